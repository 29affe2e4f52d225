"""Detect for loopfleet in Python: one long-lived program, images in, detections out.

Copy this file beside your detector, or import it as it is: loopfleet puts its folder on PYTHONPATH.
Needs Python 3.8 or newer and nothing else. Printing is fine: output goes to the log.

    import loopfleet_detector

    class Detector:
        def __init__(self, model):                # model.folder, model.categories, model.resolution
            self.network = load(model.folder)

        def detect(self, image):                  # image.array() with numpy, or image.pixels, .width, .height
            return {'box_detections': [{'category_name': 'cat', 'confidence': 0.9,
                                        'x': 10, 'y': 20, 'width': 30, 'height': 40}]}

    loopfleet_detector.run(Detector, images='pixels')

With images='encoded' the image comes as it was sent, mostly a JPEG in image.data. A class with detect_batch(images)
gets several in one call, as many as max_images, when several wait. Raise BadImage for an image that cannot be used.
"""

import json
import os
import struct
import traceback
from types import SimpleNamespace


class BadImage(Exception):
    """The image itself is at fault; the client gets an error."""


class Image:
    """kind 'encoded': data is the file. kind 'pixels': data is rows of height x width x channels bytes."""

    def __init__(self, header, data):
        self.kind = header['kind']
        self.data = data
        self.width = header.get('width')
        self.height = header.get('height')
        self.channels = header.get('channels')

    @property
    def pixels(self):
        return self.data

    def array(self):
        """The pixels as a numpy array of shape (height, width, channels); needs numpy."""
        import numpy
        return numpy.frombuffer(self.data, numpy.uint8).reshape(self.height, self.width, self.channels)


def run(detector_class, images='encoded', max_images=8):
    """Load the model and answer images until loopfleet closes the pipe."""
    pipe_in = os.fdopen(_own(os.environ['LOOPFLEET_DETECTOR_IN']), 'rb')
    pipe_out = os.fdopen(_own(os.environ['LOOPFLEET_DETECTOR_OUT']), 'wb')
    start, _ = _read(pipe_in)
    try:
        detector = detector_class(SimpleNamespace(**start['model']))
    except Exception as error:
        traceback.print_exc()
        _write(pipe_out, {'type': 'failed', 'error': _sentence(error)})
        return
    has_batches = hasattr(detector, 'detect_batch')
    _write(pipe_out, {'type': 'ready', 'images': images, 'max_images': max_images if has_batches else 1})
    while True:
        request, body = _read(pipe_in)
        if request is None:
            break
        _write(pipe_out, {'type': 'answers', 'id': request['id'], 'answers': _answer(detector, request, body)})
    if hasattr(detector, 'close'):
        detector.close()


def _answer(detector, request, body):
    images, start = [], 0
    for header in request['images']:
        images.append(Image(header, body[start:start + header['bytes']]))
        start += header['bytes']
    if len(images) > 1 and hasattr(detector, 'detect_batch'):
        try:
            return [_checked(findings) for findings in detector.detect_batch(images)]
        except Exception:
            traceback.print_exc()  # one of them may be at fault: each is tried alone
    return [_alone(detector, image) for image in images]


def _alone(detector, image):
    try:
        if hasattr(detector, 'detect'):
            return _checked(detector.detect(image))
        return _checked(detector.detect_batch([image])[0])
    except BadImage as error:
        return {'error': _sentence(error), 'bad_image': True}
    except Exception as error:
        traceback.print_exc()
        return {'error': _sentence(error), 'bad_image': False}


def _checked(findings):
    plain = _plain(findings)
    json.dumps(plain, allow_nan=False)  # a number that is not finite fails here, with its image
    return plain


def _plain(value):
    """Turn numpy-like numbers into plain ones."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    return value.item() if hasattr(value, 'item') else value


def _sentence(error):
    return f'{type(error).__name__}: {error}'


def _own(number):
    fd = int(number)
    os.set_inheritable(fd, False)  # what the detector starts must not hold the pipes open
    return fd


def _read(pipe):
    """A frame: two big-endian numbers of four bytes, how long header and body are; the header as JSON; the body."""
    lengths = pipe.read(8)
    if len(lengths) < 8:
        return None, b''
    header_bytes, body_bytes = struct.unpack('>II', lengths)
    header = json.loads(pipe.read(header_bytes))
    return header, memoryview(pipe.read(body_bytes))


def _write(pipe, header):
    text = json.dumps(header, allow_nan=False, separators=(',', ':')).encode('utf-8')
    pipe.write(struct.pack('>II', len(text), 0) + text)
    pipe.flush()
