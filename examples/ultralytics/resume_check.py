"""Asked before a resume: exit code 10 if the training is finished, 11 if its checkpoint is unusable, else 0."""

import pickle
import sys
import zipfile

import torch


def main(path):
    try:
        checkpoint = torch.load(path, map_location='cpu', weights_only=False)
    except (EOFError, RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        print(f'{path} cannot be read: {error}')
        return 11
    # When the training is over Ultralytics removes the optimizer from last.pt, which cannot be resumed after that.
    return 10 if checkpoint.get('optimizer') is None else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
