"""The layers, forwards and backwards. Feature maps are (channels, images, height, width).

Channels come first, so that a sum per channel runs over one contiguous row. A "padded" map has a border of one zero
pixel; only its inside is ever written. `scratch` is a Scratch, `name` keeps the layers apart in it.
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided

BN_EPSILON = 1e-3



def inside(padded):
    return padded[:, :, 1:-1, 1:-1]


def _patches(image, stride, height, width):
    """A view of a padded image as (channels, 3, 3, height, width): what the kernel sees at each place."""
    channel, row, column = image.strides
    shape = (image.shape[0], 3, 3, height, width)
    return as_strided(image, shape, (channel, row, column, stride * row, stride * column))


def _columns(padded, stride, height, width, scratch):
    """Yields per image its patches copied out for a matrix product: (channels * 9, height * width)."""
    columns = scratch.passing("columns", (padded.shape[0] * 9, height * width))
    for i in range(padded.shape[1]):
        view = _patches(padded[:, i], stride, height, width)
        np.copyto(columns.reshape(view.shape), view)
        yield i, columns


def conv_forward(padded, weight, stride, name, scratch):
    """3x3 convolution without bias; weight is (out, in, 3, 3). Returns (out, images, rows, columns)."""
    _, count, height, width = inside(padded).shape
    height, width = -(-height // stride), -(-width // stride)
    matrix = weight.reshape(len(weight), -1)
    out = scratch.keep(name + ".conv", (len(weight), count, height * width))
    for i, columns in _columns(padded, stride, height, width, scratch):
        np.matmul(matrix, columns, out=out[:, i])
    return out.reshape(len(weight), count, height, width)


def conv_backward(grad, padded, weight, grad_weight, stride, name, scratch, with_input=True):
    """Adds to grad_weight; returns the gradient of the padded input, its inside only (None without with_input)."""
    out_channels, count, height, width = grad.shape
    flat = grad.reshape(out_channels, count, -1)
    for i, columns in _columns(padded, stride, height, width, scratch):
        grad_weight += (flat[:, i] @ columns.T).reshape(weight.shape)
    if not with_input:
        return None
    if stride == 1:
        # The gradient of a convolution is a convolution with the turned kernel: cheaper than scattering.
        turned = np.ascontiguousarray(weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3))
        grad_padded = scratch.keep(name + ".grad_padded", (out_channels, count, height + 2, width + 2))
        np.copyto(inside(grad_padded), grad)
        return conv_forward(grad_padded, turned, 1, "grad", scratch)
    return _scatter(flat, padded.shape, weight, stride, (height, width), scratch)


def _scatter(flat, shape, weight, stride, size, scratch):
    """The gradient of the input of a convolution with stride: every place adds to the pixels it has seen."""
    grad_input = scratch.passing("grad_input", shape)
    grad_input[...] = 0
    grad_columns = scratch.passing("grad_columns", (weight[0].size, size[0] * size[1]))
    for i in range(shape[1]):
        np.matmul(weight.reshape(len(weight), -1).T, flat[:, i], out=grad_columns)
        parts = grad_columns.reshape(-1, 3, 3, *size)
        for y in range(3):
            for x in range(3):
                rows, columns = (slice(start, start + stride * n, stride) for start, n in zip((y, x), size))
                grad_input[:, i, rows, columns] += parts[:, y, x]
    return inside(grad_input)


def norm_relu_forward(maps, gamma, beta, name, scratch):
    """Batch normalisation over these images, then ReLU. Centres `maps` in place.

    Returns (padded output, what the backward pass needs, mean, variance).
    """
    channels, count, height, width = maps.shape
    centred = maps.reshape(channels, -1)
    mean = centred.mean(axis=1)
    centred -= mean[:, None]
    variance = np.einsum("cm,cm->c", centred, centred) / centred.shape[1]
    inverse = 1 / np.sqrt(variance + BN_EPSILON)
    value = scratch.passing("value", centred.shape)
    np.multiply(centred, (gamma * inverse)[:, None], out=value)
    value += beta[:, None]
    active = scratch.keep(name + ".active", centred.shape, bool)
    np.greater(value, 0, out=active)
    padded = scratch.keep(name + ".padded", (channels, count, height + 2, width + 2))
    np.maximum(value.reshape(maps.shape), 0, out=inside(padded))
    return padded, (centred, inverse, active), mean, variance


def norm_relu_backward(grad, saved, gamma, grad_gamma, grad_beta, name, scratch):
    """Adds to grad_gamma and grad_beta, uses up what was saved; returns the gradient of the convolution's output."""
    centred, inverse, active = saved
    flat = scratch.passing("grad_flat", centred.shape)
    np.multiply(grad, active.reshape(grad.shape), out=flat.reshape(grad.shape))
    sum_grad = flat.sum(axis=1)
    sum_product = np.einsum("cm,cm->c", flat, centred) * inverse
    grad_gamma += sum_product
    grad_beta += sum_grad
    size = np.float32(centred.shape[1])
    centred *= (inverse * sum_product / size)[:, None]
    flat -= centred
    flat -= (sum_grad / size)[:, None]
    flat *= (gamma * inverse)[:, None]
    return flat.reshape(grad.shape)


def scale_relu(maps, scale, shift, name, scratch):
    """Normalisation by running statistics folded to one scale and shift per channel, then ReLU, for predictions."""
    channels, count, height, width = maps.shape
    maps *= scale[:, None, None, None]
    maps += shift[:, None, None, None]
    padded = scratch.keep(name + ".padded", (channels, count, height + 2, width + 2))
    np.maximum(maps, 0, out=inside(padded))
    return padded
