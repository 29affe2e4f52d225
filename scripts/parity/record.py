"""Records what Ultralytics finds in the pictures of a folder: python3 record.py FIXTURE, which has model.onnx and images/."""
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import PIL
import torch
import torchvision
import ultralytics
from ultralytics import YOLO

fixture = Path(sys.argv[1])
THRESHOLD, NMS_IOU = 0.2, 0.45

model = YOLO(str(fixture / 'model.onnx'), task='detect')
images = []
for path in sorted((fixture / 'images').iterdir()):
    [result] = model.predict(str(path), conf=THRESHOLD, iou=NMS_IOU, verbose=False)
    height, width = result.orig_shape
    boxes = [
        {'category': result.names[int(category)], 'confidence': round(confidence, 6), 'edges': [round(edge, 3) for edge in edges]}
        for *edges, confidence, category in result.boxes.data.tolist()
    ]
    images.append({'name': path.name, 'width': width, 'height': height, 'boxes': boxes})

versions = {
    'ultralytics': ultralytics.__version__,
    'onnxruntime': onnxruntime.__version__,
    'torch': torch.__version__,
    'torchvision': torchvision.__version__,
    'opencv': cv2.__version__,
    'numpy': np.__version__,
    'pillow': PIL.__version__,
}
reference = {'versions': versions, 'threshold': THRESHOLD, 'nms_iou': NMS_IOU, 'images': images}
(fixture / 'reference.json').write_text(json.dumps(reference, indent=1) + '\n')
confidences = [box['confidence'] for image in images for box in image['boxes']]
print(len(images), 'images,', len(confidences), 'boxes,', sum(0.25 <= one <= 0.95 for one in confidences), 'of them in 0.25…0.95')
