import unittest

import shapes_trainer  # first: sets the number of BLAS threads
import numpy as np

from shapes_trainer import layers, network
from shapes_trainer.scratch import Scratch


def padded_of(maps):
    return np.pad(maps, ((0, 0), (0, 0), (1, 1), (1, 1)))


def slope(function, value, direction, step=1e-6):
    """The derivative of a function along a direction, by two calls."""
    return (function(value + step * direction) - function(value - step * direction)) / (2 * step)


class ConvolutionTest(unittest.TestCase):
    def setUp(self):
        self.rng = np.random.default_rng(1)

    def test_equals_the_sum_written_as_loops(self):
        maps, weight = self.rng.normal(size=(2, 3, 6, 8)), self.rng.normal(size=(4, 2, 3, 3))
        padded = padded_of(maps)
        for stride in (1, 2):
            out = layers.conv_forward(padded, weight, stride, "conv", Scratch(np.float64))
            for o, n, y, x in ((0, 0, 0, 0), (3, 2, 2, 3), (1, 1, 1, 2)):
                seen = padded[:, n, y * stride : y * stride + 3, x * stride : x * stride + 3]
                self.assertAlmostEqual(out[o, n, y, x], (seen * weight[o]).sum())

    def test_gradients_agree_with_differences(self):
        for stride in (1, 2):
            with self.subTest(stride=stride):
                maps, weight = self.rng.normal(size=(3, 2, 6, 8)), self.rng.normal(size=(4, 3, 3, 3))
                to_maps, to_weight = self.rng.normal(size=maps.shape), self.rng.normal(size=weight.shape)
                wanted = self.rng.normal(size=(4, 2, 6 // stride, 8 // stride))

                def value(maps, weight):
                    out = layers.conv_forward(padded_of(maps), weight, stride, "c", Scratch(np.float64))
                    return (out * wanted).sum()

                grad_weight = np.zeros_like(weight)
                grad_maps = layers.conv_backward(
                    wanted, padded_of(maps), weight, grad_weight, stride, "c", Scratch(np.float64)
                )

                by_maps = slope(lambda maps: value(maps, weight), maps, to_maps)
                by_weight = slope(lambda weight: value(maps, weight), weight, to_weight)
                self.assertAlmostEqual((grad_maps * to_maps).sum(), by_maps, 5)
                self.assertAlmostEqual((grad_weight * to_weight).sum(), by_weight, 5)


class NormalisationTest(unittest.TestCase):
    def test_gradients_agree_with_differences(self):
        rng = np.random.default_rng(2)
        maps, gamma, beta = rng.normal(1, 2, (3, 2, 4, 5)), rng.normal(1, 0.2, 3), rng.normal(0, 0.2, 3)
        to_maps, to_gamma, to_beta = rng.normal(size=maps.shape), rng.normal(size=3), rng.normal(size=3)
        wanted = rng.normal(size=maps.shape)

        def value(maps, gamma, beta):
            out = layers.norm_relu_forward(maps.copy(), gamma, beta, "n", Scratch(np.float64))[0]
            return (layers.inside(out) * wanted).sum()

        scratch, grad_gamma, grad_beta = Scratch(np.float64), np.zeros(3), np.zeros(3)
        _, saved, mean, variance = layers.norm_relu_forward(maps.copy(), gamma, beta, "n", scratch)
        grad = layers.norm_relu_backward(wanted, saved, gamma, grad_gamma, grad_beta, "n", scratch)

        np.testing.assert_allclose(mean, maps.mean(axis=(1, 2, 3)))
        np.testing.assert_allclose(variance, maps.var(axis=(1, 2, 3)))
        self.assertAlmostEqual((grad * to_maps).sum(), slope(lambda m: value(m, gamma, beta), maps, to_maps), 5)
        self.assertAlmostEqual(grad_gamma @ to_gamma, slope(lambda g: value(maps, g, beta), gamma, to_gamma), 5)
        self.assertAlmostEqual(grad_beta @ to_beta, slope(lambda b: value(maps, gamma, b), beta, to_beta), 5)


class NetworkTest(unittest.TestCase):
    def test_the_gradient_of_all_weights_agrees_with_differences(self):
        rng = np.random.default_rng(3)
        weights = network.fresh_parameters(2, rng)
        padded, inputs = network.input_of(1, scratch := Scratch())
        inputs[...] = rng.random(inputs.shape)
        raw, saved, _ = network.forward(weights, padded, scratch)
        wanted = rng.normal(size=raw.shape).astype(np.float32)
        gradients = network.Pack(network.parameter_shapes(2))
        network.backward(weights, wanted, saved, gradients, scratch)
        # Along the gradient itself the change is large enough to be seen with single precision.
        direction = gradients.flat / np.linalg.norm(gradients.flat)
        step = 2e-4

        def value(share):
            moved = network.Pack(network.parameter_shapes(2), weights.flat + share * direction)
            return float((network.forward(moved, padded, scratch)[0].astype(np.float64) * wanted).sum())

        difference = (value(step) - value(-step)) / (2 * step)

        self.assertAlmostEqual(difference / float(gradients.flat @ direction), 1, delta=0.03)


if __name__ == "__main__":
    unittest.main()
