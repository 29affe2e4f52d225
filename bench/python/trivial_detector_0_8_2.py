"""A detector of release 0.8.2 whose backend does nothing; it is handed the image undecoded.

Usage: python trivial_detector_0_8_2.py PORT; the Loop is named by LOOP_HOST, the folder by DATA_FOLDER.
"""

import os
import sys

import uvicorn
from learning_loop_node.data_classes import Detections
from learning_loop_node.detector.detector_logic import DetectorLogic
from learning_loop_node.globals import GLOBALS

GLOBALS.data_folder = os.environ['DATA_FOLDER']

from learning_loop_node.detector.detector_node import DetectorNode  # noqa: E402 (reads the folder when it is imported)


class Trivial(DetectorLogic):
    def __init__(self):
        super().__init__('mocked')

    def init(self):
        pass

    def evaluate(self, image):
        return Detections()


if __name__ == '__main__':
    node = DetectorNode(name='trivial detector', detector=Trivial())
    uvicorn.run(node, host='127.0.0.1', port=int(sys.argv[1]), log_level='warning')
