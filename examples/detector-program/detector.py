"""A detector as a Python program: finds the red part of an image. Needs nothing but Python.

loopfleet starts it once per model and sends it one image after the other; it decodes them first (images='pixels').
"""
import loopfleet_detector

STEP = 2  # every second row and column is enough


class RedDetector:
    def __init__(self, model):
        # model.folder is where a real detector finds its weights.
        if not model.categories:
            raise ValueError('the model has no category')
        self.category = model.categories[0]['id']

    def detect(self, image):
        box = find_red(image.pixels, image.width, image.height)
        if box is None:
            return {'box_detections': []}
        return {'box_detections': [{'category_id': self.category, 'confidence': 0.9, **box}]}


def find_red(pixels, width, height):
    columns, rows = [], []
    for y in range(0, height, STEP):
        start = y * width * 3
        reds = pixels[start:start + width * 3:3 * STEP]
        greens = pixels[start + 1:start + width * 3:3 * STEP]
        red = [index * STEP for index, (r, g) in enumerate(zip(reds, greens)) if r >= 160 and g <= 90]
        if red:
            rows.append(y)
            columns += [red[0], red[-1]]
    if not rows:
        return None
    left, top = min(columns), min(rows)
    return {'x': left, 'y': top, 'width': max(columns) + STEP - left, 'height': max(rows) + STEP - top}


if __name__ == '__main__':
    loopfleet_detector.run(RedDetector, images='pixels')
