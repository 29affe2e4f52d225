"""Counting hits and errors on the test images."""

import numpy as np

from .decode import decode, iou
from .network import INPUT_HEIGHT, INPUT_WIDTH


def match(found, truth, limit=0.5):
    """Greedy by confidence: found (boxes, categories, ...) best first against truth (boxes, categories).

    Returns {category: [tp, fp, fn]}; a hit needs the same category and an overlap of at least the limit.
    """
    boxes, categories = found[0], found[1]
    true_boxes, true_categories = truth
    counts = {}
    free = np.ones(len(true_boxes), bool)
    overlaps = iou(np.asarray(boxes).reshape(-1, 4), np.asarray(true_boxes).reshape(-1, 4))
    for i, category in enumerate(categories):
        fitting = np.where(free & (np.asarray(true_categories) == category), overlaps[i], 0)
        best = int(fitting.argmax()) if len(fitting) else -1
        hit = best >= 0 and fitting[best] >= limit
        if hit:
            free[best] = False
        counts.setdefault(int(category), [0, 0, 0])[0 if hit else 1] += 1
    for category in np.asarray(true_categories)[free]:
        counts.setdefault(int(category), [0, 0, 0])[2] += 1
    return counts


def confusion_of(outputs, truths, category_ids):
    """{category id: {tp, fp, fn}} of finished outputs against the true boxes of the same images."""
    total = np.zeros((len(category_ids), 3), int)
    for output, truth in zip(outputs, truths):
        for category, counts in match(decode(output, INPUT_WIDTH, INPUT_HEIGHT), truth).items():
            total[category] += counts
    return {id: dict(zip(("tp", "fp", "fn"), map(int, row))) for id, row in zip(category_ids, total)}


def summary(confusion):
    """Precision, recall and F1 over all categories; left out where nothing was found or there to be found."""
    tp, fp, fn = (sum(row[key] for row in confusion.values()) for key in ("tp", "fp", "fn"))
    shares = {"precision": (tp, tp + fp), "recall": (tp, tp + fn), "f1": (2 * tp, 2 * tp + fp + fn)}
    return {name: part / whole for name, (part, whole) in shares.items() if whole > 0}
