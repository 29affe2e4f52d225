import math

import numpy as np

PEAK_RATE = 5e-3
WARM_UP_STEPS = 100
FIRST_MOMENT, SECOND_MOMENT, EPSILON = 0.9, 0.99, 1e-8
# The averaged weights follow with this share per step (sooner at the start): they are the model which is kept.
AVERAGE_SHARE = 0.02


def rate_at(step, steps):
    """Learning rate of a step (from 0) of a budget: a linear warm-up, then half a cosine down to nearly 0."""
    warm_up = min(WARM_UP_STEPS, max(1, steps // 5))
    if step < warm_up:
        return PEAK_RATE * (step + 1) / warm_up
    share = (step - warm_up) / max(1, steps - warm_up)
    return PEAK_RATE * (0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2)


class Adam:
    """Adam over one flat array; `first`, `second` and the number of steps are its whole state."""

    def __init__(self, size):
        self.first, self.second = np.zeros(size, np.float32), np.zeros(size, np.float32)

    def step(self, values, gradient, rate, number):
        """Changes `values` in place; number counts from 1."""
        self.first += (1 - FIRST_MOMENT) * (gradient - self.first)
        self.second += (1 - SECOND_MOMENT) * (gradient * gradient - self.second)
        first = self.first / np.float32(1 - FIRST_MOMENT**number)
        second = self.second / np.float32(1 - SECOND_MOMENT**number)
        values -= np.float32(rate) * first / (np.sqrt(second) + np.float32(EPSILON))


def average_share(step):
    """How much of the newest values goes into the average at a step (from 0)."""
    return np.float32(max(AVERAGE_SHARE, 1 / (1 + step / 5)))
