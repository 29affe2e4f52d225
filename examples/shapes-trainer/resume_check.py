"""Asked before a resume: exit code 11 if the checkpoint cannot be read, else 0 (a finished training just ends again)."""

import sys

from shapes_trainer import files

try:
    files.load_arrays(files.CHECKPOINT)
except files.ModelError as error:
    print(error)
    sys.exit(11)
