"""Trains the small YOLO of the parity fixture: python3 train.py FOLDER-OF-DRAW EPOCHS. Writes FOLDER/model.onnx.

Run again, it goes on from the weights of the last run. The committed model saw 16 epochs, then 27 of 40: it is meant to be
unsure, so that confidences of all sizes can be compared.
"""
import shutil
import sys
from pathlib import Path

import onnx
import ultralytics
import yaml
from ultralytics import YOLO

folder, epochs = Path(sys.argv[1]).resolve(), int(sys.argv[2])
INPUT = 192
weights = folder / 'runs' / 'parity' / 'weights' / 'last.pt'

# The architecture is YOLO v8 as it comes with Ultralytics, half as wide as its smallest, so that the file stays small.
shipped = Path(ultralytics.__file__).parent / 'cfg' / 'models' / 'v8' / 'yolov8.yaml'
config = yaml.safe_load(shipped.read_text())
config['scales'] = {'n': [0.33, 0.125, 512]}
small = folder / 'yolov8n.yaml'
small.write_text(yaml.safe_dump(config))

model = YOLO(str(weights if weights.exists() else small))
model.train(
    data=str(folder / 'shapes.yaml'), epochs=epochs, imgsz=INPUT, batch=8, workers=0, device='cpu', seed=11,
    project=str(folder / 'runs'), name='parity', exist_ok=True, plots=False, val=False, deterministic=True, amp=False,
    optimizer='AdamW', lr0=0.002, cos_lr=True, warmup_epochs=1, mosaic=0.0,
)
exported = YOLO(str(weights)).export(format='onnx', imgsz=INPUT, opset=17, simplify=True, nms=False)
graph = onnx.load(exported)
for entry in graph.metadata_props:
    if entry.key == 'description':
        entry.value = 'Small YOLO v8 trained on generated shapes'  # instead of a path of the machine
onnx.save(graph, folder / 'model.onnx')
