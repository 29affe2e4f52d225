"""Whether two models of the shapes trainer find the same: images to look at, and a measure."""

import numpy as np

THRESHOLD = 0.3
SAME_IOU = 0.8
# So close to the threshold a cell may be an object for one model and none for the other: that is chance, not an error.
MARGIN = 0.05


def sample_images(width, height, count=2, shapes=6, seed=0):
    """(count, 3, height, width), 0...1: rectangles and discs of plain colours on a noisy background."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    images = np.empty((count, 3, height, width), np.float32)
    for image in images:
        image[:] = 0.5 + 0.15 * random.random((3, 1, 1)) + 0.1 * random.standard_normal((3, height, width))
        for shape in range(shapes):
            size = random.uniform(8, 36)
            left, top = random.uniform(size, width - size), random.uniform(size, height - size)
            inside = np.maximum(abs(x - left), abs(y - top)) if shape % 2 else np.hypot(x - left, y - top)
            image[:, inside < size] = random.random((3, 1))
    return np.clip(images, 0, 1)


def agreement(first, second):
    """
    Share of the cells with an object in either output that hold the same category and nearly the same box in both. An
    output is (images, 1 + categories + 4, rows, columns): objectness, chances, distances to the four sides.
    """
    seen = np.maximum(first[:, 0], second[:, 0]) >= THRESHOLD
    near = abs(first[:, 0] - second[:, 0]) <= MARGIN
    both = np.minimum(first[:, 0], second[:, 0]) >= THRESHOLD
    category = first[:, 1:-4].argmax(axis=1) == second[:, 1:-4].argmax(axis=1)
    same = np.where(both, category & (overlap(first[:, -4:], second[:, -4:]) >= SAME_IOU), near)
    # Two models that see nothing at all agree if they are equally sure of it.
    return float(same[seen].mean()) if seen.any() else float(near.mean())


def overlap(first, second):
    """IoU of two boxes around the same middle, given by their distances to left, top, right and bottom."""
    low = np.minimum(first, second)
    shared = (low[:, 0] + low[:, 2]) * (low[:, 1] + low[:, 3])
    areas = [(sides[:, 0] + sides[:, 2]) * (sides[:, 1] + sides[:, 3]) for sides in (first, second)]
    return shared / np.maximum(areas[0] + areas[1] - shared, 1e-9)
