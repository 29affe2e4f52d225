"""A client of today's detector: raw arrays, batches, metadata with an upload, modes; by polling and WebSocket."""
import json
import sys

import socketio
from PIL import Image

URL, IMAGE = sys.argv[1:]

client = socketio.Client()
client.connect(URL, socketio_path='/ws/socket.io')  # polling first, then an upgrade, as by default
pixels = Image.open(IMAGE).convert('RGB')
array = {'bytes': pixels.tobytes(), 'dtype': 'uint8', 'shape': [pixels.height, pixels.width, 3]}
box = {'category_name': 'circle', 'x': 1, 'y': 2, 'width': 3, 'height': 4, 'model_name': 'robot', 'confidence': 0.5}
answers = {
    'detect': client.call('detect', {'image': array, 'camera_id': 'front', 'tags': ['night'], 'source': 'robot'}, timeout=30),
    'batch': client.call('batch_detect', {'images': [array, array, array], 'autoupload': 'disabled'}, timeout=30),
    'upload': client.call(
        'upload', {'image': array, 'metadata': {'box_detections': [box], 'tags': ['own']}, 'upload_priority': True}, timeout=30
    ),
    'about': client.call('about', timeout=30),
    'version': client.call('get_model_version', timeout=30),
    'pause': client.call('set_model_version_mode', 'pause', timeout=30),
    'bad_version': client.call('set_model_version_mode', 'newest', timeout=30),
    'outbox': client.call('get_outbox_mode', timeout=30),
    'stop': client.call('set_outbox_mode', 'stopped', timeout=30),
    'bad_outbox': client.call('set_outbox_mode', 'sometimes', timeout=30),
    'no_image': client.call('detect', {'tags': []}, timeout=30),
    'go': client.call('set_outbox_mode', 'continuous_upload', timeout=30),
}
client.disconnect()
print(json.dumps(answers))
