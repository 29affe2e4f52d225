"""What an order may ask for, from training.json."""

from dataclasses import dataclass

from .learner import BATCH

FULL_STEPS, SHORT_STEPS = 800, 30
# An epoch is as many whole passes over the train images as fit in about this many steps, or in half as many as there
# are test images: measuring must stay a small share of the work.
EPOCH_STEPS, SHORT_EPOCH_STEPS = 50, 10
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

    def epoch_steps(self, train_count, test_count):
        """Steps of one epoch."""
        if self.image_limit is not None:
            return self.epoch_target
        one_pass = max(1, -(-train_count // BATCH))
        return one_pass * max(1, max(self.epoch_target, test_count // 2) // one_pass)


def settings_of(hyperparameters):
    """Reads `steps`, `seed` and `short`; others, such as the resolution, are not ours."""
    short = hyperparameters.get("short", False)
    if short in ("true", "false"):
        short = short == "true"  # hyperparameters may come through a form
    if not isinstance(short, bool):
        raise SettingsError(f"Hyperparameter short must be true or false, got {short!r}.")
    steps = _whole(hyperparameters, "steps", SHORT_STEPS if short else FULL_STEPS, 1, MAX_STEPS)
    seed = _whole(hyperparameters, "seed", 0, 0, 2**31 - 1)
    if short:
        return Settings(steps, seed, SHORT_IMAGES, SHORT_EPOCH_STEPS)
    return Settings(steps, seed, None, EPOCH_STEPS)


def _whole(hyperparameters, name, default, low, high):
    value = hyperparameters.get(name, default)
    if isinstance(value, str) and value.strip().isdigit():
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SettingsError(f"Hyperparameter {name} must be a whole number from {low} to {high}, got {value!r}.")
    return value
