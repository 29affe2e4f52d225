import unittest

import shapes_trainer  # first: sets the number of BLAS threads
import numpy as np

from shapes_trainer import loss
from shapes_trainer.decode import decode, finish
from shapes_trainer.evaluate import confusion_of, match, summary

BOXES = np.float32([[40, 40, 100, 90], [200, 120, 216, 150]])
CATEGORIES = np.int64([1, 0])


class LossTest(unittest.TestCase):
    def test_gradient_agrees_with_differences(self):
        rng = np.random.default_rng(1)
        wanted = [np.stack([part]) for part in loss.targets(BOXES, CATEGORIES)]
        scale = loss.scale_of(wanted[0])
        raw = rng.normal(size=(1 + 3 + 4, 1, loss.GRID_HEIGHT, loss.GRID_WIDTH))
        direction = rng.normal(size=raw.shape)
        _, grad = loss.loss_and_gradient(raw, *wanted, scale)

        def value(raw):
            return sum(loss.loss_and_gradient(raw, *wanted, scale)[0].values())

        difference = (value(raw + 1e-6 * direction) - value(raw - 1e-6 * direction)) / 2e-6
        self.assertAlmostEqual(difference / (grad * direction).sum(), 1, 4)

    def test_a_head_that_says_the_targets_is_decoded_to_the_boxes(self):
        closeness, category, distances = loss.targets(BOXES, CATEGORIES)
        raw = np.zeros((1 + 3 + 4, 1, *closeness.shape), np.float32)
        raw[0, 0] = np.where(closeness == 1, 5, -5)
        raw[1:-4, 0] = 5 * (np.arange(3)[:, None, None] == category)
        raw[-4:, 0] = distances

        boxes, categories, confidences = decode(finish(raw)[0], 320, 240)

        order = np.argsort(boxes[:, 0])
        np.testing.assert_allclose(boxes[order], BOXES, atol=0.01)
        np.testing.assert_array_equal(categories[order], CATEGORIES)
        self.assertGreater(confidences.min(), 0.99)


class EvaluationTest(unittest.TestCase):
    def test_a_second_find_of_a_box_and_a_wrong_category_are_false(self):
        found = (np.float32([BOXES[0], BOXES[0] + 1, BOXES[1]]), np.int64([1, 1, 2]))

        counts = match(found, (BOXES, CATEGORIES))

        self.assertEqual(counts, {1: [1, 1, 0], 2: [0, 1, 0], 0: [0, 0, 1]})

    def test_images_without_boxes_and_finds_count_nothing(self):
        output = np.zeros((1 + 3 + 4, loss.GRID_HEIGHT, loss.GRID_WIDTH))
        truth = (np.zeros((0, 4), np.float32), np.zeros(0, np.int64))

        confusion = confusion_of([output], [truth], ["a", "b", "c"])

        self.assertEqual(confusion["a"], {"tp": 0, "fp": 0, "fn": 0})
        self.assertEqual(summary(confusion), {})


if __name__ == "__main__":
    unittest.main()
