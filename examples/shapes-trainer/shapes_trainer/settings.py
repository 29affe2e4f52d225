"""What an order may ask for, from training.json."""

from dataclasses import dataclass

from .learner import BATCH

FULL_STEPS, SHORT_STEPS = 1500, 30
# An epoch is as many whole passes over the train images as make about this many steps (a pass over few images is over
# in a second, and a measurement after each would take longer than the learning).
EPOCH_STEPS, SHORT_EPOCH_STEPS = 100, 10
SHORT_IMAGES = 24
MAX_STEPS = 1_000_000


class SettingsError(Exception):
    """A hyperparameter cannot be used; the message is for people."""


@dataclass(frozen=True)
class Settings:
    """`steps` is the whole budget, `image_limit` the most images per set (None: all)."""

    steps: int
    seed: int
    image_limit: "int | None"
    epoch_target: int

    def epoch_steps(self, train_count):
        """Steps of one epoch."""
        if self.image_limit is not None:
            return self.epoch_target
        one_pass = max(1, -(-train_count // BATCH))
        return one_pass * max(1, self.epoch_target // one_pass)

    def epochs(self, train_count):
        return -(-self.steps // self.epoch_steps(train_count))


def settings_of(training):
    """Reads `steps`, `seed` and `short` of the hyperparameters; others, such as the resolution, are not ours."""
    given = training.get("hyperparameters") or {}
    short = given.get("short", False)
    if not isinstance(short, bool):
        raise SettingsError(f"Hyperparameter short must be true or false, got {short!r}.")
    steps = _whole(given, "steps", SHORT_STEPS if short else FULL_STEPS, 1, MAX_STEPS)
    seed = _whole(given, "seed", 0, 0, 2**31 - 1)
    if short:
        return Settings(steps, seed, SHORT_IMAGES, SHORT_EPOCH_STEPS)
    return Settings(steps, seed, None, EPOCH_STEPS)


def _whole(given, name, default, low, high):
    value = given.get(name, default)
    if isinstance(value, str) and value.strip().isdigit():
        value = int(value)  # hyperparameters may come through a form
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SettingsError(f"Hyperparameter {name} must be a whole number from {low} to {high}, got {value!r}.")
    return value
