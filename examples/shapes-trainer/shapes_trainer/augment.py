"""Chance changes to a training image, so that few images teach much. Nothing here knows what the images show."""

import numpy as np

MAX_SHIFT = 48
# A box of which less than this share is left in the image is no longer asked for.
MIN_VISIBLE = 0.4
GAIN, OFFSET = (0.75, 1.25), (-0.1, 0.1)


def augment(image, boxes, categories, rng, out):
    """Writes a changed copy of a uint8 image (3, height, width) to `out` as floats around 0...1.

    Returns the boxes (n, 4: left, top, right, bottom) and categories (n,) that are still to be seen there.
    """
    image, boxes = _flip(image, boxes, rng)
    boxes, keep = _shift_boxes(boxes, *_shift(image[rng.permutation(3)], rng, out), image.shape)
    gain, offset = rng.uniform(*GAIN, 3).astype(np.float32), rng.uniform(*OFFSET, 3).astype(np.float32)
    out *= (gain / 255)[:, None, None]
    out += offset[:, None, None]
    return boxes[keep], categories[keep]


def _flip(image, boxes, rng):
    _, height, width = image.shape
    boxes = boxes.copy()
    if rng.random() < 0.5:
        image = image[:, :, ::-1]
        boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    if rng.random() < 0.5:
        image = image[:, ::-1]
        boxes[:, [1, 3]] = height - boxes[:, [3, 1]]
    return image, boxes


def _shift(image, rng, out):
    """Copies the image moved by some pixels; where nothing comes in, the edge is repeated."""
    _, height, width = image.shape
    dx, dy = (int(shift) for shift in rng.integers(-MAX_SHIFT, MAX_SHIFT + 1, 2))
    left, right, top, bottom = max(dx, 0), width + min(dx, 0), max(dy, 0), height + min(dy, 0)
    out[:, top:bottom, left:right] = image[:, top - dy : bottom - dy, left - dx : right - dx]
    out[:, top:bottom, :left] = out[:, top:bottom, left : left + 1]
    out[:, top:bottom, right:] = out[:, top:bottom, right - 1 : right]
    out[:, :top] = out[:, top : top + 1]
    out[:, bottom:] = out[:, bottom - 1 : bottom]
    return dx, dy


def _shift_boxes(boxes, dx, dy, shape):
    _, height, width = shape
    seen = np.clip(boxes + np.float32([dx, dy, dx, dy]), 0, np.float32([width, height, width, height]))
    area, full = (np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (seen, boxes))
    return seen, area >= MIN_VISIBLE * full
