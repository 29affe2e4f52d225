"""From the head's output to boxes: the same rules as loopfleet's decoder for the `grid` layout."""

import numpy as np

from .loss import MAX_LOG_DISTANCE, sigmoid, softmax
from .network import STRIDE

THRESHOLD, NMS_IOU = 0.3, 0.5


def finish(raw):
    """Raw head (outputs, images, rows, columns) to the layout of the exported model (images, outputs, rows, columns):
    objectness, category chances, distances to the four sides in input pixels."""
    distances = STRIDE * np.exp(np.minimum(raw[-4:], MAX_LOG_DISTANCE))
    return np.concatenate([sigmoid(raw[:1]), softmax(raw[1:-4]), distances]).transpose(1, 0, 2, 3)


def decode(output, width, height, threshold=THRESHOLD):
    """One image's finished output (outputs, rows, columns) to (boxes (n, 4), categories (n,), confidences (n,)),
    best first; boxes are left, top, right, bottom in input pixels inside width and height."""
    objectness = output[0]
    rows, columns = np.nonzero((objectness >= threshold) & (objectness >= _highest_around(objectness)))
    order = np.argsort(-objectness[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    x, y = (columns + 0.5) * STRIDE, (rows + 0.5) * STRIDE
    left, top, right, bottom = output[-4:, rows, columns]
    boxes = np.stack([x - left, y - top, x + right, y + bottom], axis=1)
    boxes[:, 0::2] = np.clip(boxes[:, 0::2], 0, width)
    boxes[:, 1::2] = np.clip(boxes[:, 1::2], 0, height)
    keep = suppress(boxes)
    categories = output[1:-4, rows, columns].argmax(axis=0)
    return boxes[keep], categories[keep], objectness[rows, columns][keep]


def suppress(boxes, limit=NMS_IOU):
    """Indices of the boxes (best first) which overlap no better one by more than the limit, whatever the category."""
    keep = []
    for i in range(len(boxes)):
        if not keep or iou(boxes[i : i + 1], boxes[keep]).max() <= limit:
            keep.append(i)
    return keep


def iou(a, b):
    """Overlap of each box of a (n, 4) with each of b (m, 4), 0...1."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    area_a, area_b = np.prod(a[:, 2:] - a[:, :2], axis=1), np.prod(b[:, 2:] - b[:, :2], axis=1)
    return shared / np.maximum(area_a[:, None] + area_b[None] - shared, 1e-9)


def _highest_around(values):
    padded = np.pad(values, 1, constant_values=-1)
    height, width = values.shape
    return np.max([padded[y : y + height, x : x + width] for y in range(3) for x in range(3)], axis=0)
