import math

import numpy as np


class Scratch:
    """Arrays that one thread uses again in every step: fresh memory for each would cost more than the arithmetic."""

    def __init__(self, dtype=np.float32):
        self._dtype, self._kept, self._passing = dtype, {}, {}

    def keep(self, name, shape, dtype=None):
        """The array of this name and shape; zeros the first time, afterwards whatever was last written."""
        key = (name, shape)
        if key not in self._kept:
            self._kept[key] = np.zeros(shape, dtype or self._dtype)
        return self._kept[key]

    def passing(self, name, shape):
        """An array with anything in it, until the next call with the same name, whatever the shape."""
        size = math.prod(shape)
        if self._passing.get(name, np.empty(0)).size < size:
            self._passing[name] = np.empty(size, self._dtype)
        return self._passing[name][:size].reshape(shape)
