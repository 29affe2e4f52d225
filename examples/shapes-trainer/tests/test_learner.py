import os
import tempfile
import unittest

import shapes_trainer  # first: sets the number of BLAS threads
import numpy as np

from shapes_trainer import files
from shapes_trainer.augment import augment
from shapes_trainer.learner import Learner, batch_indices


class Squares:
    """Grey images with one bright square each."""

    def __init__(self, count):
        rng = np.random.default_rng(5)
        self._corners = rng.integers(20, 180, (count, 2))

    def __len__(self):
        return len(self._corners)

    def truth(self, index):
        x, y = self._corners[index]
        return np.float32([[x, y, x + 40, y + 40]]), np.int64([index % 2])

    def image(self, index):
        x, y = self._corners[index]
        image = np.full((3, 240, 320), 90, np.uint8)
        image[:, y : y + 40, x : x + 40] = 160 + 60 * (index % 2)
        return image


class LearnerTest(unittest.TestCase):
    def test_the_loss_falls(self):
        learner, train = Learner(2, seed=1, steps=12), Squares(8)

        losses = [sum(learner.learn(train).values()) for _ in range(12)]

        learner.close()
        self.assertLess(np.mean(losses[-3:]), 0.8 * np.mean(losses[:3]))

    def test_going_on_from_a_checkpoint_equals_never_having_stopped(self):
        train, straight, first, second = Squares(10), *(Learner(2, seed=4, steps=6) for _ in range(3))
        for _ in range(4):
            straight.learn(train)
        for _ in range(2):
            first.learn(train)

        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "checkpoints", "last.npz")
            files.save_arrays(path, first.state(), {"version": files.VERSION})
            second.restore(files.load_arrays(path)[0])
        for _ in range(2):
            second.learn(train)

        for name, value in straight.state().items():
            np.testing.assert_array_equal(second.state()[name], value, name)
        for learner in (straight, first, second):
            learner.close()

    def test_every_pass_shows_every_image_once(self):
        indices = [index for step in range(5) for index in batch_indices(20, step, seed=1)]

        self.assertEqual(sorted(indices), sorted(list(range(20)) * 2))


class AugmentTest(unittest.TestCase):
    def test_boxes_stay_around_what_they_are_around(self):
        train, out = Squares(6), np.zeros((3, 240, 320), np.float32)
        for index in range(6):
            boxes, _ = augment(train.image(index), *train.truth(index), np.random.default_rng(index), out)
            left, top, right, bottom = boxes[0].astype(int)
            inner, corner = out[:, top:bottom, left:right], out[:, :1, :1]
            self.assertGreater(np.abs(inner - corner).min(), 0.05)
            self.assertLess(inner.std(axis=(1, 2)).max(), 1e-3)


class FilesTest(unittest.TestCase):
    def test_a_damaged_model_is_refused_with_a_sentence(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.npz")
            for content in (b"", b"PK\x03\x04 half a zip", b"no zip at all"):
                with open(path, "wb") as file:
                    file.write(content)
                with self.assertRaises(files.ModelError):
                    files.load_model(path)


if __name__ == "__main__":
    unittest.main()
