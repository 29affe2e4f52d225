"""A small detector as an author writes it with the newest release of the library; finds one box in every image.

Usage: python small_detector_newest.py; the Loop is named by LOOP_HOST, the folder by DATA_FOLDER.
"""

from pathlib import Path
from typing import List

import numpy as np
import uvicorn
from learning_loop_node.data_classes import BoxDetection, ImageMetadata, ImagesMetadata, ModelInformation
from learning_loop_node.detector.detector_node import DetectorNode
from learning_loop_node.globals import GLOBALS


class SmallDetector:
    def __init__(self, model: ModelInformation) -> None:
        self.model = model
        text = (Path(model.model_root_path) / 'file_1.txt').read_text()
        if text != 'content of file one':
            raise ValueError(f'file_1.txt contains {text}')

    def evaluate(self, image: np.ndarray) -> ImageMetadata:
        height, width = image.shape[:2]
        category = next(category for category in self.model.categories if category.type == 'box')
        box = BoxDetection(
            category_name=category.name, category_id=category.id, model_name=self.model.version,
            x=0, y=0, width=width, height=height, confidence=0.5,
        )
        return ImageMetadata(box_detections=[box])

    def batch_evaluate(self, images: List[np.ndarray]) -> ImagesMetadata:
        return ImagesMetadata(items=[self.evaluate(image) for image in images])


class Factory:
    model_format = 'mocked'

    async def build(self, model_info: ModelInformation) -> SmallDetector:
        return SmallDetector(model_info)


if __name__ == '__main__':
    node = DetectorNode(name='small detector', detector_factory=Factory())
    uvicorn.run(node, uds=f'{GLOBALS.data_folder}/http.sock')  # a socket file takes nobody's port
