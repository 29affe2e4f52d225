"""Saves images in the library's outbox, as its detector does, and ends without sending them."""

import asyncio

from learning_loop_node.data_classes import BoxDetection, ImageMetadata
from learning_loop_node.detector.outbox import Outbox


async def main():
    outbox = Outbox()
    await outbox.set_mode('stopped')
    for number in range(25):
        box = BoxDetection(category_name='cat', x=number, y=2, width=3, height=4, model_name='1.2', confidence=0.5)
        await outbox.save(bytes(f'image {number}', 'ascii'), ImageMetadata(box_detections=[box], tags=['uncertain'],
                          source=f'camera {number}'), number == 24)


asyncio.run(main())
