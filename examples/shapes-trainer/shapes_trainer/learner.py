"""One training step at a time: the batch is halved between two threads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from . import network
from .augment import augment
from .decode import finish
from .loss import loss_and_gradient, scale_of, targets
from .optimiser import Adam, average_share, rate_at
from .scratch import Scratch

BATCH = 8
THREADS = 2
# Share of a step's batch statistics in the running ones.
STATISTICS_SHARE = 0.02


class Learner:
    """Weights, their running average, the optimiser and the step. Every chance is drawn from (seed, step), so a
    learner with the same state goes on in exactly the same way."""

    def __init__(self, category_count, seed, steps):
        rng = np.random.default_rng([seed, 0])
        self.category_count, self.seed, self.steps, self.step = category_count, seed, steps, 0
        self.weights = network.fresh_parameters(category_count, rng)
        self.statistics = network.fresh_statistics()
        self.average = network.Pack(network.parameter_shapes(category_count), self.weights.flat)
        self.adam = Adam(self.weights.flat.size)
        self._threads = ThreadPoolExecutor(THREADS)
        self._scratch = [Scratch() for _ in range(THREADS)]

    def start_from(self, weights, statistics, with_head):
        """Begins with a trained model's weights instead of chance; its head fits the same categories only."""
        for name, value in self.weights.named.items():
            if with_head or not name.startswith("head."):
                value[...] = weights[name]
        self.average.flat[:] = self.weights.flat
        self.statistics.flat[:] = statistics.flat

    def state(self):
        """Everything a checkpoint needs, as arrays."""
        return {
            "weights": self.weights.flat,
            "average": self.average.flat,
            "statistics": self.statistics.flat,
            "adam_first": self.adam.first,
            "adam_second": self.adam.second,
            "step": np.int64(self.step),
            "random": np.int64([self.seed, self.steps]),
        }

    def restore(self, state):
        """Takes over what state() gave."""
        pairs = ((self.weights.flat, "weights"), (self.average.flat, "average"), (self.statistics.flat, "statistics"))
        for target, name in pairs + ((self.adam.first, "adam_first"), (self.adam.second, "adam_second")):
            target[:] = state[name]
        self.step = int(state["step"])

    def learn(self, train):
        """One step on one batch of the train set; returns the parts of its loss."""
        indices = batch_indices(len(train), self.step, self.seed)
        halves = list(self._threads.map(lambda i: self._prepare(train, indices, i), range(THREADS)))
        scale = scale_of(np.stack([half[1] for half in halves]))
        results = list(self._threads.map(lambda i: self._half(halves[i], scale, self._scratch[i]), range(THREADS)))
        self._update(results)
        return {name: sum(losses[name] for losses, _, _ in results) for name in results[0][0]}

    def outputs(self, dataset):
        """Finished outputs of the averaged model for every image, in order."""
        size = BATCH // THREADS
        groups = [range(start, min(start + size, len(dataset))) for start in range(0, len(dataset), size)]
        free = list(self._scratch)

        def predict(group):
            scratch = free.pop()
            padded, inputs = network.input_of(size, scratch)
            for i, out in zip(group, inputs):
                np.multiply(dataset.image(i), np.float32(1 / 255), out=out)
            output = finish(network.predict(self.average, self.statistics, padded, scratch))
            free.append(scratch)
            return output[: len(group)]

        for output in self._threads.map(predict, groups):
            yield from output

    def close(self):
        self._threads.shutdown()

    def _prepare(self, train, indices, part):
        places = range(part, BATCH, THREADS)
        padded, inputs = network.input_of(len(places), self._scratch[part])
        wanted = []
        for place, out in zip(places, inputs):
            rng = np.random.default_rng([self.seed, 1, self.step, place])
            wanted.append(targets(*augment(train.image(indices[place]), *train.truth(indices[place]), rng, out)))
        return (padded, *(np.stack(parts) for parts in zip(*wanted)))

    def _half(self, prepared, scale, scratch):
        padded, *wanted = prepared
        raw, saved, statistics = network.forward(self.weights, padded, scratch)
        losses, grad = loss_and_gradient(raw, *wanted, scale)
        gradients = network.Pack(network.parameter_shapes(self.category_count))
        network.backward(self.weights, grad, saved, gradients, scratch)
        return losses, gradients.flat, statistics.flat

    def _update(self, results):
        gradient = sum(gradients for _, gradients, _ in results)
        self.adam.step(self.weights.flat, gradient, rate_at(self.step, self.steps), self.step + 1)
        share = average_share(self.step)
        self.average.flat += share * (self.weights.flat - self.average.flat)
        statistics = sum(statistics for _, _, statistics in results) / np.float32(len(results))
        self.statistics.flat += max(share, np.float32(STATISTICS_SHARE)) * (statistics - self.statistics.flat)
        self.step += 1


def batch_indices(count, step, seed):
    """The images of a step's batch: all images take turns in an order drawn again for every pass."""
    indices = []
    for place in range(step * BATCH, (step + 1) * BATCH):
        turn, index = divmod(place, count)
        indices.append(int(np.random.default_rng([seed, 2, turn]).permutation(count)[index]))
    return indices
