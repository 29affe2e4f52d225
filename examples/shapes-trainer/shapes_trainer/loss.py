"""What the head should say for an image, and how wrong it is."""

import numpy as np

from .network import GRID_HEIGHT, GRID_WIDTH, STRIDE

CATEGORY_WEIGHT, BOX_WEIGHT = 4.0, 2.0
# A cell speaks for a box if it lies near the box's middle; the bell around the middle is this share of the side.
BELL = 0.14
MIN_BELL = 3.0
MIN_CLOSENESS = 0.3
MIN_DISTANCE = 0.5
MAX_LOG_DISTANCE = 5.0

_X, _Y = np.meshgrid((np.arange(GRID_WIDTH) + 0.5) * STRIDE, (np.arange(GRID_HEIGHT) + 0.5) * STRIDE)


def targets(boxes, categories):
    """Boxes (n, 4) as left, top, right, bottom in input pixels, categories (n,).

    Returns (closeness 0...1 per cell, category per cell, log distances (4, rows, columns)); closeness is 1 at the
    cell which holds the middle of a box, and the category counts where it is at least MIN_CLOSENESS.
    """
    closeness = np.zeros((GRID_HEIGHT, GRID_WIDTH), np.float32)
    category = np.zeros((GRID_HEIGHT, GRID_WIDTH), np.int64)
    distances = np.zeros((4, GRID_HEIGHT, GRID_WIDTH), np.float32)
    middles = []
    for (left, top, right, bottom), index in zip(boxes, categories):
        middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
        bell_x, bell_y = max(MIN_BELL, BELL * (right - left)), max(MIN_BELL, BELL * (bottom - top))
        near = np.exp(-0.5 * (((_X - middle_x) / bell_x) ** 2 + ((_Y - middle_y) / bell_y) ** 2))
        column = min(max(int(middle_x / STRIDE), 0), GRID_WIDTH - 1)
        row = min(max(int(middle_y / STRIDE), 0), GRID_HEIGHT - 1)
        near[row, column] = 1
        middles.append((row, column))
        mine = near > closeness
        closeness[mine] = near[mine]
        category[mine] = index
        sides = np.stack([_X - left, _Y - top, right - _X, bottom - _Y])
        distances[:, mine] = np.log(np.maximum(sides[:, mine], MIN_DISTANCE) / STRIDE)
    return closeness, category, distances


def loss_and_gradient(raw, closeness, category, distances, scale):
    """Raw head (outputs, images, rows, columns) against targets stacked over the images.

    `scale` (objects, cells near objects) counts over the whole batch, of which this may be a part.
    Returns (parts of the loss as a dict, gradient of the raw head).
    """
    objects, near_cells = scale
    grad = np.zeros_like(raw)
    object_loss = _object_loss(raw[0], closeness, objects, grad[0])
    weight = np.where(closeness >= MIN_CLOSENESS, closeness, 0) / near_cells
    at = np.nonzero(weight)
    near = weight[at].astype(np.float32)
    category_loss = _category_loss(raw[1:-4], category, at, near, grad[1:-4])
    box_loss = _box_loss(raw[-4:], distances, at, near, grad[-4:])
    return {"object": object_loss, "category": category_loss, "box": box_loss}, grad


def scale_of(closeness):
    """The numbers of objects and of cells near them (weighted), never 0."""
    near = closeness[closeness >= MIN_CLOSENESS].sum()
    return max(1.0, float((closeness == 1).sum())), max(1.0, float(near))


def _object_loss(raw, closeness, objects, grad):
    """Focal loss: easy cells count little, and cells near a middle are hardly blamed for seeing the object."""
    chance = np.clip(sigmoid(raw), 1e-6, 1 - 1e-6)
    hit = closeness == 1
    blame = (1 - closeness) ** 4
    miss = 1 - chance
    loss = np.where(hit, -(miss**2) * np.log(chance), -blame * chance**2 * np.log(miss))
    at_hit = 2 * chance * miss**2 * np.log(chance) - miss**3
    elsewhere = blame * (chance**3 - 2 * chance**2 * miss * np.log(miss))
    grad[...] = np.where(hit, at_hit, elsewhere) / objects
    return float(loss.sum() / objects)


def _category_loss(raw, category, at, near, grad):
    cells = (slice(None),) + at
    chances = softmax(raw[cells])
    labels = category[at]
    picked = chances[labels, np.arange(len(labels))]
    chances[labels, np.arange(len(labels))] -= 1
    grad[cells] = CATEGORY_WEIGHT * near * chances
    return float(CATEGORY_WEIGHT * (near * -np.log(np.maximum(picked, 1e-9))).sum())


def _box_loss(raw, distances, at, near, grad):
    """Smooth L1 of the logarithms, so that an error counts by its share of the distance."""
    cells = (slice(None),) + at
    error = raw[cells] - distances.transpose(1, 0, 2, 3)[cells]
    knee = 0.1
    size = np.abs(error)
    loss = np.where(size < knee, 0.5 * error**2 / knee, size - knee / 2)
    grad[cells] = BOX_WEIGHT * near * np.clip(error / knee, -1, 1)
    return float(BOX_WEIGHT * (near * loss).sum())


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    """Over the first axis."""
    e = np.exp(x - x.max(axis=0, keepdims=True))
    return e / e.sum(axis=0, keepdims=True)
