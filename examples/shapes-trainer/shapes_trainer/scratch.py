import numpy as np


class Scratch:
    """Arrays that one thread uses again in every step: fresh memory for each would cost more than the arithmetic."""

    def __init__(self, dtype=np.float32):
        self._dtype, self._arrays = dtype, {}

    def get(self, name, shape, dtype=None):
        """The array of this name and shape; zeros the first time, afterwards whatever was last written."""
        key = (name, shape)
        if key not in self._arrays:
            self._arrays[key] = np.zeros(shape, dtype or self._dtype)
        return self._arrays[key]
