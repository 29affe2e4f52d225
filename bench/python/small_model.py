"""Writes a small convolutional model in the layout of YOLOv8 (320x320, four categories, random weights).

It has about 0.6 billion multiplications, a third of the smallest YOLOv8 at that size.

Usage: python small_model.py FILE; needs numpy and onnx. Its answers mean nothing, its arithmetic is that of a real one.
"""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Channels and stride of each convolution.
LAYERS = [(16, 2), (32, 2), (32, 1), (64, 2), (64, 1), (64, 1), (64, 1), (128, 2), (128, 1), (128, 1), (128, 1)]
CATEGORIES = 4
SIZE = 320


def main(path):
    random = np.random.default_rng(1)
    nodes, constants, last = [], {}, 'images'
    before = 3
    for index, (after, stride) in enumerate(LAYERS):
        weights = random.normal(0, (2 / (before * 9)) ** 0.5, (after, before, 3, 3))
        constants[f'weights{index}'] = weights.astype(np.float32)
        nodes.append(helper.make_node('Conv', [last, f'weights{index}'], [f'conv{index}'],
                                      kernel_shape=[3, 3], strides=[stride, stride], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node('Relu', [f'conv{index}'], [f'relu{index}']))
        last = f'relu{index}'
        before = after
    constants['head'] = random.normal(0, 0.01, (4 + CATEGORIES, LAYERS[-1][0], 1, 1)).astype(np.float32)
    cells = (SIZE // 16) ** 2
    constants['shape'] = np.array([0, 4 + CATEGORIES, cells], np.int64)  # 0 takes the batch as it is
    nodes.append(helper.make_node('Conv', [last, 'head'], ['raw']))
    nodes.append(helper.make_node('Sigmoid', ['raw'], ['scores']))
    nodes.append(helper.make_node('Reshape', ['scores', 'shape'], ['output0']))
    graph = helper.make_graph(
        nodes,
        'small',
        [helper.make_tensor_value_info('images', TensorProto.FLOAT, ['batch', 3, SIZE, SIZE])],
        [helper.make_tensor_value_info('output0', TensorProto.FLOAT, ['batch', 4 + CATEGORIES, cells])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


if __name__ == '__main__':
    main(sys.argv[1])
