"""A small detector as an author writes it with release 0.8.2 of the library; finds one box in every image.

Usage: python small_detector_0_8_2.py DATA_FOLDER; the Loop is named by LOOP_HOST.
"""

import sys
from pathlib import Path

import numpy as np
import uvicorn
from learning_loop_node.data_classes import BoxDetection, Detections
from learning_loop_node.detector.detector_logic import DetectorLogic
from learning_loop_node.detector.detector_node import DetectorNode
from learning_loop_node.globals import GLOBALS


class SmallDetector(DetectorLogic):
    def init(self) -> None:
        text = (Path(self.model_info.model_root_path) / 'file_1.txt').read_text()
        if text != 'content of file one':
            raise ValueError(f'file_1.txt contains {text}')

    def evaluate(self, image: np.ndarray) -> Detections:
        if not self.is_initialized:
            return Detections()
        category = next(category for category in self.model_info.categories if category.type == 'box')
        box = BoxDetection(
            category_name=category.name, category_id=category.id, model_name=self.model_info.version,
            x=0, y=0, width=64, height=48, confidence=0.5,
        )
        return Detections(box_detections=[box])


if __name__ == '__main__':
    GLOBALS.data_folder = sys.argv[1]
    node = DetectorNode(name='small detector', detector=SmallDetector(model_format='mocked'))
    uvicorn.run(node, uds=f'{GLOBALS.data_folder}/http.sock')  # a socket file takes nobody's port
