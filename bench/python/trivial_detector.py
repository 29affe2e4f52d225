"""A detector of the newest release whose backend does nothing: what is measured is the node around it.

Usage: python trivial_detector.py PORT; the Loop is named by LOOP_HOST, the folder by DATA_FOLDER.
"""

import sys

import uvicorn
from learning_loop_node.data_classes import ImageMetadata, ImagesMetadata
from learning_loop_node.detector.detector_node import DetectorNode


class Trivial:
    def evaluate(self, image):
        return ImageMetadata()

    def batch_evaluate(self, images):
        return ImagesMetadata(items=[self.evaluate(image) for image in images])


class Factory:
    model_format = 'mocked'

    async def build(self, model_info):
        return Trivial()


if __name__ == '__main__':
    node = DetectorNode(name='trivial detector', detector_factory=Factory())
    uvicorn.run(node, host='127.0.0.1', port=int(sys.argv[1]), log_level='warning')
