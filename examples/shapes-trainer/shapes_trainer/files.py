"""Checkpoints and models on disk. Whoever reads them finds a whole file or none."""

import json
import os

import numpy as np

from . import network

CHECKPOINT = os.path.join("checkpoints", "last.npz")
MODEL = "model.npz"
VERSION = 1


class ModelError(Exception):
    """A model or checkpoint file cannot be used; the message is for people."""


def save_arrays(path, arrays, description):
    """Writes arrays and a description (anything JSON can hold) to an .npz file in one step."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "wb") as file:
        np.savez(file, description=np.array(json.dumps(description)), **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load_arrays(path):
    """(arrays by name, description) of a file that save_arrays has written."""
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        description = json.loads(str(arrays.pop("description")))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    except Exception as error:  # numpy and its zip reader know a dozen ways to say that a file is damaged
        raise ModelError(f"{path} is no file of this trainer or damaged: {error}") from error
    if description.get("version") != VERSION:
        raise ModelError(f"{path} is of version {description.get('version')}; this program reads version {VERSION}.")
    return arrays, description


def save_model(path, weights, statistics, categories):
    """Writes the finished weights, the running statistics and what they were trained for."""
    kept = [{key: category.get(key) for key in ("id", "name", "type", "point_size")} for category in categories]
    save_arrays(path, {"weights": weights, "statistics": statistics}, {"version": VERSION, "categories": kept})


def load_model(path):
    """(weights, statistics, categories) of a model file, as named arrays; ModelError if it fits no network."""
    arrays, description = load_arrays(path)
    try:
        categories = description["categories"]
        weights = network.Pack(network.parameter_shapes(len(categories)), arrays["weights"])
        return weights, network.Pack(network.statistic_shapes(), arrays["statistics"]), categories
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} is no model of this trainer: {error}") from error


def identity(categories):
    """What must be the same for a head to go on: the categories' ids in their order."""
    return [category["id"] for category in categories]
