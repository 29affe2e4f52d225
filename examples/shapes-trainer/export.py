"""Turns model.npz into model.onnx and decoder.json. Started by loopfleet as the convert step; see README.md."""

import argparse
import json
import os
import sys

import shapes_trainer  # first: sets the number of BLAS threads
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from shapes_trainer import files, network
from shapes_trainer.decode import NMS_IOU, THRESHOLD, finish
from shapes_trainer.loss import MAX_LOG_DISTANCE
from shapes_trainer.network import CONVOLUTIONS, GRID_HEIGHT, GRID_WIDTH, INPUT_HEIGHT, INPUT_WIDTH, STRIDE
from shapes_trainer.scratch import Scratch

OPSET = 13
TOLERANCE = 1e-3


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="folder of model.npz")
    parser.add_argument("--output", required=True, help="folder for model.onnx and decoder.json")
    arguments = parser.parse_args()
    try:
        weights, statistics, categories = files.load_model(os.path.join(arguments.model, files.MODEL))
    except files.ModelError as error:
        sys.exit(f"error: {error}")
    model = to_onnx(weights, statistics, len(categories))
    difference = compare(model, weights, statistics)
    if difference > TOLERANCE:
        sys.exit(f"error: the exported model differs from the trained one by {difference:.2g}; nothing is written.")
    os.makedirs(arguments.output, exist_ok=True)
    onnx.save(model, os.path.join(arguments.output, "model.onnx"))
    with open(os.path.join(arguments.output, "decoder.json"), "w", encoding="utf-8") as file:
        json.dump(decoder_of(categories), file, indent=2)
    print(f"exported {len(categories)} categories; largest difference to numpy {difference:.2g}")


def decoder_of(categories):
    """How to read the output, for loopfleet's `grid` decoder."""
    return {
        "layout": "grid",
        "input": {"width": INPUT_WIDTH, "height": INPUT_HEIGHT},
        "stride": STRIDE,
        "threshold": THRESHOLD,
        "nms_iou": NMS_IOU,
        "point_categories": [category["id"] for category in categories if category["type"] == "point"],
    }


def to_onnx(weights, statistics, category_count):
    """The network for predictions: normalisation folded into the convolutions, activations of the head included."""
    nodes, constants, last = [], [], "images"

    def constant(name, value):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(operator, inputs, outputs, **attributes):
        nodes.append(helper.make_node(operator, inputs, outputs, **attributes))
        return outputs[0]

    for i, (weight, scale, shift) in enumerate(network.folded(weights, statistics)):
        kernel = constant(f"conv{i}.weight", weight * scale[:, None, None, None])
        bias, stride = constant(f"conv{i}.bias", shift), CONVOLUTIONS[i][1]
        last = add("Conv", [last, kernel, bias], [f"conv{i}"], pads=[1] * 4, strides=[stride] * 2, kernel_shape=[3, 3])
        last = add("Relu", [last], [f"relu{i}"])
    kernel = constant("head.weight", weights["head.weight"][:, :, None, None])
    raw = add("Conv", [last, kernel, constant("head.bias", weights["head.bias"])], ["raw"], kernel_shape=[1, 1])
    sizes = constant("sizes", np.int64([1, category_count, 4]))
    add("Split", [raw, sizes], ["raw_object", "raw_category", "raw_sides"], axis=1)
    add("Sigmoid", ["raw_object"], ["objectness"])
    add("Softmax", ["raw_category"], ["categories"], axis=1)
    add("Min", ["raw_sides", constant("highest", np.float32(MAX_LOG_DISTANCE))], ["bounded"])
    add("Exp", ["bounded"], ["cells"])
    add("Mul", ["cells", constant("stride", np.float32(STRIDE))], ["sides"])
    add("Concat", ["objectness", "categories", "sides"], ["grid"], axis=1)
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, INPUT_HEIGHT, INPUT_WIDTH])
    grid = ["N", 1 + category_count + 4, GRID_HEIGHT, GRID_WIDTH]
    output = helper.make_tensor_value_info("grid", TensorProto.FLOAT, grid)
    graph = helper.make_graph(nodes, "shapes", [images], [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="shapes-trainer")
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


def compare(model, weights, statistics):
    """Largest difference between the exported network and numpy's on an image of noise."""
    image = np.random.default_rng(0).random((1, 3, INPUT_HEIGHT, INPUT_WIDTH), np.float32)
    (exported,) = ReferenceEvaluator(model).run(None, {"images": image})
    padded, inputs = network.input_of(1, scratch := Scratch())
    np.copyto(inputs, image)
    ours = finish(network.predict(weights, statistics, padded, scratch))
    if exported.shape != ours.shape:
        return float("inf")
    return float(np.abs(exported - ours).max())


if __name__ == "__main__":
    main()
