"""The dataset as loopfleet lays it out: dataset.json beside a folder of images."""

import json
import os

import numpy as np
from PIL import Image, ImageOps

from .network import INPUT_HEIGHT, INPUT_WIDTH

# Decoded images are kept up to this many bytes; what does not fit is decoded again each time.
CACHE_BYTES = 64 * 1024 * 1024
# A point is learned as a small box around it, if its category does not say how large.
POINT_SIZE = 20


class DataError(Exception):
    """The dataset cannot be trained on; the message is for people."""


class Dataset:
    """Images and true boxes of one set; boxes are in input pixels, categories are indices."""

    def __init__(self, folder, entries, categories):
        self._folder, self._entries = folder, entries
        self._truths = [_truth_of(entry, categories) for entry in entries]
        self._cache, self._room = {}, CACHE_BYTES

    def __len__(self):
        return len(self._entries)

    def truth(self, index):
        """(boxes (n, 4) as left, top, right, bottom, categories (n,))"""
        return self._truths[index]

    def image(self, index):
        """uint8 (3, INPUT_HEIGHT, INPUT_WIDTH), stretched from whatever size the file has."""
        if index in self._cache:
            return self._cache[index]
        image = read_image(os.path.join(self._folder, self._entries[index]["file"]))
        if self._room >= image.nbytes:
            self._room -= image.nbytes
            self._cache[index] = image
        return image

    @property
    def box_count(self):
        return sum(len(boxes) for boxes, _ in self._truths)


def read_image(path):
    """uint8 (3, INPUT_HEIGHT, INPUT_WIDTH) of an image file; DataError if it is none."""
    try:
        return _read_image(path)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow calls some damages a SyntaxError
        raise DataError(f"Image {path} cannot be read: {error}") from error


def _read_image(path):
    with Image.open(path) as image:
        image.draft("RGB", (INPUT_WIDTH, INPUT_HEIGHT))  # a JPEG is decoded at reduced size, which is much faster
        image = ImageOps.exif_transpose(image).convert("RGB")  # as it is annotated and detected
        if image.size != (INPUT_WIDTH, INPUT_HEIGHT):
            image = image.resize((INPUT_WIDTH, INPUT_HEIGHT), Image.Resampling.BILINEAR, reducing_gap=2)
        return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def load_dataset(folder, limit=None):
    """(categories, train set, test set) of dataset.json; `limit` takes only so many images of each set."""
    path = os.path.join(folder, "dataset.json")
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    categories = content["categories"]
    if not any(category.get("type") in ("box", "point") for category in categories):
        raise DataError("The project has no box or point category; this trainer finds boxes and points only.")
    sets = []
    for name in ("train", "test"):
        entries = [entry for entry in content["images"] if entry["set"] == name]
        sets.append(Dataset(folder, entries[:limit], categories))
    if sets[0].box_count == 0:
        raise DataError(f"None of the {len(sets[0])} training images has a box or point: nothing to learn from.")
    return categories, sets[0], sets[1]


def _truth_of(entry, categories):
    places = {category["id"]: index for index, category in enumerate(categories)}
    sizes = {category["id"]: category.get("point_size") or POINT_SIZE for category in categories}
    rows = [
        (places[box["category_id"]], box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"])
        for box in entry.get("box_annotations") or ()
        if box["category_id"] in places
    ]
    for point in entry.get("point_annotations") or ():
        half = sizes.get(point["category_id"], POINT_SIZE) / 2
        if point["category_id"] in places:
            x, y = point["x"], point["y"]
            rows.append((places[point["category_id"]], x - half, y - half, x + half, y + half))
    table = np.array(rows, np.float32).reshape(-1, 5)
    scale = np.float32([INPUT_WIDTH / entry["width"], INPUT_HEIGHT / entry["height"]] * 2)
    return table[:, 1:] * scale, table[:, 0].astype(np.int64)
