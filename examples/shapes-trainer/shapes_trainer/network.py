"""The detector: eight 3x3 convolutions down to a grid of one cell per 8x8 pixels, and a 1x1 head on top."""

import numpy as np

from . import layers

INPUT_WIDTH, INPUT_HEIGHT, STRIDE = 320, 240, 8
GRID_WIDTH, GRID_HEIGHT = INPUT_WIDTH // STRIDE, INPUT_HEIGHT // STRIDE
# (channels, stride) of each convolution
CONVOLUTIONS = ((16, 2), (24, 2), (32, 1), (48, 2), (48, 1), (48, 1), (48, 1), (48, 1))
# At the start almost every cell is background; the head's bias says so, or the first steps would be lost on it.
OBJECT_PRIOR = 0.02


def parameter_shapes(category_count):
    """Name and shape of everything that is learned, in order."""
    shapes, channels = {}, 3
    for i, (out, _) in enumerate(CONVOLUTIONS):
        shapes.update({f"conv{i}.weight": (out, channels, 3, 3), f"conv{i}.gamma": (out,), f"conv{i}.beta": (out,)})
        channels = out
    outputs = 1 + category_count + 4
    shapes.update({"head.weight": (outputs, channels), "head.bias": (outputs,)})
    return shapes


def statistic_shapes():
    """Name and shape of the running means and variances of the normalisations."""
    return {f"conv{i}.{kind}": (out,) for i, (out, _) in enumerate(CONVOLUTIONS) for kind in ("mean", "variance")}


class Pack:
    """Named arrays that lie in one flat array, so that the optimiser does not care for their shapes."""

    def __init__(self, shapes, flat=None):
        size = sum(int(np.prod(shape)) for shape in shapes.values())
        self.flat = np.zeros(size, np.float32) if flat is None else np.array(flat, np.float32)
        if self.flat.shape != (size,):
            raise ValueError(f"The network has {size} values, the file {self.flat.shape}.")
        self.named, start = {}, 0
        for name, shape in shapes.items():
            end = start + int(np.prod(shape))
            self.named[name] = self.flat[start:end].reshape(shape)
            start = end

    def __getitem__(self, name):
        return self.named[name]


def fresh_parameters(category_count, rng):
    pack = Pack(parameter_shapes(category_count))
    for name, value in pack.named.items():
        if name.endswith("gamma"):
            value[...] = 1
        elif name == "head.weight":
            value[...] = rng.normal(0, 0.02, value.shape)
        elif name.endswith("weight"):
            value[...] = rng.normal(0, np.sqrt(2 / np.prod(value.shape[1:])), value.shape)
    pack["head.bias"][0] = -np.log(1 / OBJECT_PRIOR - 1)
    return pack


def fresh_statistics():
    pack = Pack(statistic_shapes())
    for name, value in pack.named.items():
        value[...] = 1 if name.endswith("variance") else 0
    return pack


def input_of(count, scratch):
    """The padded input for so many images, to be filled with values 0...1, and its inside by image."""
    padded = scratch.keep("input", (3, count, INPUT_HEIGHT + 2, INPUT_WIDTH + 2))
    return padded, layers.inside(padded).transpose(1, 0, 2, 3)


def forward(parameters, padded, scratch):
    """Training pass: returns the raw head (outputs, images, rows, columns), what backward needs, and statistics."""
    saved, statistics = [], Pack(statistic_shapes())
    for i, (_, stride) in enumerate(CONVOLUTIONS):
        name = f"conv{i}"
        maps = layers.conv_forward(padded, parameters[name + ".weight"], stride, name, scratch)
        gamma, beta = parameters[name + ".gamma"], parameters[name + ".beta"]
        out, norm, mean, variance = layers.norm_relu_forward(maps, gamma, beta, name, scratch)
        statistics[name + ".mean"][...], statistics[name + ".variance"][...] = mean, variance
        saved.append((padded, norm))
        padded = out
    return _head(parameters, padded, scratch), (saved, padded), statistics


def backward(parameters, grad_raw, saved, gradients, scratch):
    """Adds the gradients of the parameters to `gradients` (a Pack)."""
    saved, last = saved
    features = np.ascontiguousarray(layers.inside(last)).reshape(last.shape[0], -1)
    flat = grad_raw.reshape(len(grad_raw), -1)
    gradients["head.weight"][...] += flat @ features.T
    gradients["head.bias"][...] += flat.sum(axis=1)
    grad = (parameters["head.weight"].T @ flat).reshape(layers.inside(last).shape)
    for i in reversed(range(len(CONVOLUTIONS))):
        name, (padded, norm) = f"conv{i}", saved[i]
        gamma, sums = parameters[name + ".gamma"], (gradients[name + ".gamma"], gradients[name + ".beta"])
        grad = layers.norm_relu_backward(grad, norm, gamma, *sums, name, scratch)
        weight, grad_weight = parameters[name + ".weight"], gradients[name + ".weight"]
        stride = CONVOLUTIONS[i][1]
        grad = layers.conv_backward(grad, padded, weight, grad_weight, stride, name, scratch, with_input=i > 0)


def folded(parameters, statistics):
    """Per convolution (weight, scale, shift) with the running statistics worked into scale and shift."""
    for i in range(len(CONVOLUTIONS)):
        name = f"conv{i}"
        scale = parameters[name + ".gamma"] / np.sqrt(statistics[name + ".variance"] + layers.BN_EPSILON)
        yield parameters[name + ".weight"], scale, parameters[name + ".beta"] - statistics[name + ".mean"] * scale


def predict(parameters, statistics, padded, scratch):
    """Raw head of a finished network: (outputs, images, rows, columns)."""
    for i, (weight, scale, shift) in enumerate(folded(parameters, statistics)):
        maps = layers.conv_forward(padded, weight, CONVOLUTIONS[i][1], f"conv{i}", scratch)
        padded = layers.scale_relu(maps, scale, shift, f"conv{i}", scratch)
    return _head(parameters, padded, scratch)


def _head(parameters, padded, scratch):
    weight = parameters["head.weight"]
    channels, count, height, width = layers.inside(padded).shape
    features = scratch.passing("features", (channels, count, height, width))
    np.copyto(features, layers.inside(padded))
    raw = weight @ features.reshape(channels, -1)
    raw += parameters["head.bias"][:, None]
    return raw.reshape(len(weight), count, height, width)
