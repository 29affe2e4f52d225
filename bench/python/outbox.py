"""The library's own outbox: saves images and sends them."""

import asyncio
import os
import time

from tasks import do_tasks

from learning_loop_node.data_classes import ImageMetadata
from learning_loop_node.detector.outbox import Outbox


async def set_up():
    return Outbox()


async def work(outbox, task):
    jpegs = []
    for path in task['images']:
        with open(path, 'rb') as file:
            jpegs.append(file.read())
    await outbox.set_mode('stopped' if task['perSecond'] == 0 else 'continuous_upload')
    save_ms = []
    started_at = time.perf_counter()
    for number in range(task['count']):
        if task['perSecond'] > 0:
            await asyncio.sleep(max(0, started_at + number / task['perSecond'] - time.perf_counter()))
        before = time.perf_counter()
        await outbox.save(jpegs[number % len(jpegs)], ImageMetadata(tags=['bench']))
        save_ms.append((time.perf_counter() - before) * 1000)
    if task['perSecond'] > 0:
        return {'seconds': 0, 'saveMs': save_ms}
    started_at = time.perf_counter()
    await outbox.set_mode('continuous_upload')
    while outbox.get_upload_folders():
        await asyncio.sleep(0.05)
    return {'seconds': time.perf_counter() - started_at, 'saveMs': save_ms}


if __name__ == '__main__':
    do_tasks(set_up, work)
    os._exit(0)  # its upload process would keep it
