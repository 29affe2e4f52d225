"""Without a fast BLAS under numpy a training takes twenty times as long; better to say so immediately."""

import time

import numpy as np

SLOW_GIGAFLOPS = 8.0


def slowness():
    """A sentence that says how slow matrix products are here, or None if they are fast."""
    rate = _gigaflops()
    if rate >= SLOW_GIGAFLOPS:
        return None
    return (
        f"Matrix products run at {rate:.1f} GFLOP/s here (BLAS: {_blas_name()}), so this training will be very slow. "
        "Install numpy as a wheel (pip install numpy), which brings OpenBLAS."
    )


def _gigaflops():
    a, b = np.ones((48, 432), np.float32), np.ones((432, 1200), np.float32)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - start)
    return 2 * 48 * 432 * 1200 / min(seconds) / 1e9


def _blas_name():
    try:
        return np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
    except (KeyError, TypeError):
        return "unknown"
