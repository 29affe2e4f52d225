"""Writes an ONNX model that finds red cells of a picture: python make_model.py FOLDER. Needs numpy and onnx.

It stands for whatever your training exports. The output has the layout "grid" of decoder.json: per cell of 16x16 pixels
objectness, one probability per category, and the distances to the left, top, right and bottom of the box.
"""
import json
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH, HEIGHT, STRIDE, CATEGORIES = 64, 48, 16, 1


def main(folder):
    channels = 1 + CATEGORIES + 4
    weights = np.zeros((channels, 3, 1, 1), np.float32)
    weights[0, 0], weights[0, 1] = 1, -1  # objectness = red - green
    bias = np.array([0, 1] + [STRIDE / 2] * 4, np.float32)
    nodes = [
        helper.make_node('AveragePool', ['images'], ['cells'], kernel_shape=[STRIDE] * 2, strides=[STRIDE] * 2),
        helper.make_node('Conv', ['cells', 'weights', 'bias'], ['raw']),
        helper.make_node('Clip', ['raw', 'zero', 'most'], ['output0']),
    ]
    constants = {'weights': weights, 'bias': bias, 'zero': np.float32(0), 'most': np.float32(100)}
    graph = helper.make_graph(
        nodes,
        'red',
        # A name instead of a number leaves the batch free: several images may then go through the model at the same time.
        [helper.make_tensor_value_info('images', TensorProto.FLOAT, ['batch', 3, HEIGHT, WIDTH])],
        [helper.make_tensor_value_info('output0', TensorProto.FLOAT,
                                       ['batch', channels, HEIGHT // STRIDE, WIDTH // STRIDE])],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, os.path.join(folder, 'model.onnx'))
    decoder = {'layout': 'grid', 'input': {'width': WIDTH, 'height': HEIGHT}, 'stride': STRIDE, 'threshold': 0.5,
               'nms_iou': 0.5}
    with open(os.path.join(folder, 'decoder.json'), 'w', encoding='utf-8') as file:
        json.dump(decoder, file, indent=2)


if __name__ == '__main__':
    main(sys.argv[1])
