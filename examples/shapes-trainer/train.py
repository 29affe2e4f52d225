"""Learns to find the boxes and points of a project. Started by loopfleet in its workspace; see README.md."""

import argparse
import os
import shutil
import signal
import sys

import loopfleet_events as events
from shapes_trainer import files
from shapes_trainer.blas import slowness
from shapes_trainer.data import DataError, load_dataset
from shapes_trainer.evaluate import confusion_of, summary
from shapes_trainer.files import ModelError
from shapes_trainer.learner import Learner
from shapes_trainer.settings import SettingsError, settings_of

FORMAT = "shapes_numpy"
KEPT_MODELS = 5
# A model whose epoch had a much higher loss than the best one so far has gone astray and is not reported.
ASTRAY = 1.25


def main():
    parser = argparse.ArgumentParser(description=__doc__, epilog="What is given here replaces the hyperparameter.")
    parser.add_argument("--steps", help="batches to learn from")
    parser.add_argument("--seed", help="decides all chance")
    parser.add_argument("--short", action="store_const", const=True, help="a few steps on a few images, for tests")
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    training = events.load_training()
    try:
        code = Run(training, {**(training.get("hyperparameters") or {}), **given}).learn()
    except (DataError, ModelError, SettingsError) as error:
        events.error(str(error))
        sys.exit(f"error: {error}")
    sys.exit(code)


class Run:
    """One training from its workspace's files to its last epoch."""

    def __init__(self, training, hyperparameters):
        self.settings = settings_of(hyperparameters)
        folder = training["dataset"]["folder"]
        self.categories, self.train, self.test = load_dataset(folder, self.settings.image_limit)
        self.epoch_steps = self.settings.epoch_steps(len(self.train), len(self.test))
        self.epochs = -(-self.settings.steps // self.epoch_steps)
        self.learner = Learner(len(self.categories), self.settings.seed, self.settings.steps)
        self.loss_sum, self.lowest_loss = 0.0, float("inf")
        self.ended = False
        print(f"{len(self.train)} images to learn from, {len(self.test)} to measure on, {self.settings}", flush=True)
        warn(slowness())
        if not (training.get("resume") and self._resume()):
            self._start_from_base_model(training.get("base_model"))

    def learn(self):
        """Learns until the budget is spent (0) or somebody asks to end (143, as if by the signal)."""
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        if self.learner.step > 0 and self._at_epoch_end():
            self._finish_epoch()  # whether its report was read before the interruption is not known
        while self.learner.step < self.settings.steps:
            if self.learner.step % self.epoch_steps == 0:
                self.loss_sum = 0.0
            self.loss_sum += sum(self.learner.learn(self.train).values())
            done = self.learner.step
            if self._at_epoch_end():
                self._finish_epoch()
            elif done % 5 == 0:
                self._report_progress()
            if self.ended and done < self.settings.steps:
                self._save()
                print(f"ended after step {done}; the checkpoint is saved", flush=True)
                return 143
        self.learner.close()
        return 0

    def _at_epoch_end(self):
        return self.learner.step % self.epoch_steps == 0 or self.learner.step == self.settings.steps

    def _finish_epoch(self):
        epoch = -(-self.learner.step // self.epoch_steps)
        loss = self.loss_sum / (self.learner.step - (epoch - 1) * self.epoch_steps)
        self.lowest_loss = min(self.lowest_loss, loss)
        self._save()
        confusion = self._measure()
        values = {**summary(confusion or {}), "loss": loss}
        print(f"epoch {epoch}/{self.epochs} " + " ".join(f"{k}={v:.3f}" for k, v in values.items()), flush=True)
        events.metrics(epoch, **values)
        if loss <= self.lowest_loss * ASTRAY:
            self._report_model(epoch, confusion, values)
        else:
            warn(f"The loss of epoch {epoch} is {loss:.2f} after {self.lowest_loss:.2f}: this model is not reported.")
        self._report_progress()

    def _measure(self):
        """Hits and errors by category; None without test images, since nothing is known then."""
        truths = [self.test.truth(i) for i in range(len(self.test))]
        if not truths:
            return None
        return confusion_of(self.learner.outputs(self.test), truths, files.identity(self.categories))

    def _report_model(self, epoch, confusion, values):
        path = os.path.join("weights", f"epoch-{epoch:06d}", files.MODEL)
        files.save_model(path, self.learner.average.flat, self.learner.statistics.flat, self.categories)
        events.model(epoch, {FORMAT: [path]}, confusion, **values)
        for folder in sorted(os.listdir("weights"))[:-KEPT_MODELS]:
            shutil.rmtree(os.path.join("weights", folder))

    def _report_progress(self):
        epoch = min(self.epochs, self.learner.step // self.epoch_steps + 1)
        events.progress(self.learner.step / self.settings.steps, epoch=epoch, epochs=self.epochs)

    def _save(self):
        progress = {"loss_sum": self.loss_sum, "lowest_loss": self.lowest_loss}
        description = {"version": files.VERSION, "plan": self._plan(), "progress": progress}
        files.save_arrays(files.CHECKPOINT, self.learner.state(), description)

    def _resume(self):
        if not os.path.exists(files.CHECKPOINT):
            return False
        try:
            state, description = files.load_arrays(files.CHECKPOINT)
        except ModelError as error:
            warn(f"{error} The training starts again.")
            return False
        if description["plan"] != self._plan():
            warn("The checkpoint is of another plan (steps, seed, images or categories); the training starts again.")
            return False
        self.learner.restore(state)
        self.loss_sum, self.lowest_loss = (description["progress"][key] for key in ("loss_sum", "lowest_loss"))
        print(f"goes on after step {self.learner.step}", flush=True)
        return True

    def _plan(self):
        """Only with the same plan does going on give what an undisturbed training would have given."""
        ids = files.identity(self.categories)
        return [self.settings.steps, self.settings.seed, len(self.train), self.train.box_count, self.epoch_steps, *ids]

    def _start_from_base_model(self, base_model):
        if not base_model:
            return
        path = os.path.join(base_model["folder"], files.MODEL)
        if not os.path.exists(path):
            warn(f"The base model has no {files.MODEL}, so it is not ours; the training starts from scratch.")
            return
        weights, statistics, categories = files.load_model(path)
        same = files.identity(categories) == files.identity(self.categories)
        self.learner.start_from(weights, statistics, with_head=same)
        if not same:
            warn("The base model was trained for other categories: its head starts afresh.")

    def _end(self, _signal, _frame):
        self.ended = True


def warn(sentence):
    if sentence:
        print(f"warning: {sentence}", flush=True)


if __name__ == "__main__":
    main()
