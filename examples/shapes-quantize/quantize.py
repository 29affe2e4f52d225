"""Turns the weights of model.onnx into half or 8-bit numbers, if the detections stay the same; see README.md."""

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from agreement import agreement, sample_images

# Smaller tensors (biases, constants of the head) weigh nothing and stay exact.
LARGE = 256
ENOUGH = 0.95


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of model.onnx and decoder.json")
    parser.add_argument("--output", type=Path, required=True, help="folder for the smaller model.onnx and decoder.json")
    parser.add_argument("--to", choices=sorted(STORES), required=True, help="how weights are stored")
    arguments = parser.parse_args()
    original = onnx.load(str(arguments.model / "model.onnx"))
    smaller = shrink(original, STORES[arguments.to])
    share = compare(original, smaller)
    print(f"detections agree in {share:.1%} of the places where either model sees an object")
    if share < ENOUGH:
        sys.exit(f"error: detections agree in only {share:.1%} of the places, less than {ENOUGH:.0%}; nothing is written.")
    arguments.output.mkdir(parents=True, exist_ok=True)
    onnx.save(smaller, str(arguments.output / "model.onnx"))
    shutil.copyfile(arguments.model / "decoder.json", arguments.output / "decoder.json")
    before, after = (path.stat().st_size for path in (arguments.model / "model.onnx", arguments.output / "model.onnx"))
    print(f"{before} bytes became {after}")


def shrink(original, store):
    """The same network with its large weights stored otherwise, and nodes that make them float32 again."""
    model = onnx.ModelProto()
    model.CopyFrom(original)
    weights = [tensor for tensor in model.graph.initializer if is_large(tensor)]
    nodes = []
    for tensor in weights:
        model.graph.initializer.remove(tensor)
        stored, unfolding = store(tensor.name, numpy_helper.to_array(tensor))
        model.graph.initializer.extend(stored)
        nodes.extend(unfolding)
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes + rest)
    onnx.checker.check_model(model, full_check=True)
    return model


def is_large(tensor):
    return tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= LARGE


def as_half(name, weights):
    """16 bits each: about three decimal places."""
    stored = numpy_helper.from_array(weights.astype(np.float16), f"{name}.half")
    return [stored], [helper.make_node("Cast", [stored.name], [name], to=TensorProto.FLOAT)]


def as_bytes(name, weights):
    """8 bits each, with one scale per output channel, so that a channel of small weights keeps its precision."""
    highest = np.abs(weights).reshape(len(weights), -1).max(axis=1)
    scale = np.where(highest > 0, highest / 127, 1).astype(np.float32).reshape(-1, *[1] * (weights.ndim - 1))
    stored = numpy_helper.from_array(np.rint(weights / scale).astype(np.int8), f"{name}.bytes")
    factor = numpy_helper.from_array(scale, f"{name}.scale")
    cast = helper.make_node("Cast", [stored.name], [f"{name}.whole"], to=TensorProto.FLOAT)
    return [stored, factor], [cast, helper.make_node("Mul", [f"{name}.whole", factor.name], [name])]


STORES = {"fp16": as_half, "int8": as_bytes}


def compare(original, smaller):
    """Share of agreement, 0...1, on images that both models see for the first time."""
    feed = original.graph.input[0]
    height, width = (size.dim_value for size in feed.type.tensor_type.shape.dim[2:])
    images = sample_images(width, height)
    outputs = [ReferenceEvaluator(model).run(None, {feed.name: images})[0] for model in (original, smaller)]
    return agreement(*outputs)


if __name__ == "__main__":
    main()
