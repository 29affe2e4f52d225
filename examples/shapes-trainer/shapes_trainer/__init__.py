"""A small detector trained with numpy alone.

The trainer runs two threads of its own, so BLAS gets one thread each. OpenBLAS reads this when numpy is first
imported, hence before everything else.
"""

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
