"""What the flags of `experiments.train` must not be together."""

from typing import Any

from experiments.common import cli
from experiments.common.errors import ConfigError

UPDATES_PER_VALIDATION = 100  # or the nearest multiple of --log_interval


def check_curriculum(config: Any) -> None:
    """Refuses a curriculum that is half given, or does not grow."""
    first, steps = config.start_length, config.curriculum_steps
    if (first is None) != (steps is None):
        raise ConfigError(
            f"start_length: got {first} with curriculum_steps={steps}; both must be "
            "given, or neither"
        )
    if first is None or steps is None:
        return
    if first > config.length:
        raise ConfigError(
            f"start_length: got {first}; it must be at most length, {config.length}"
        )
    growth = config.length - first
    if growth * steps > cli.INT32_MAX:
        raise ConfigError(
            f"curriculum_steps: got {steps}; it must be at most "
            f"{cli.INT32_MAX // growth} for sequences that grow from {first} to "
            f"{config.length}"
        )


def check_directions(config: Any) -> None:
    """Refuses to predict a text by a network that has read it from its end."""
    if config.text is not None and config.bidirectional:
        raise ConfigError(
            "bidirectional: got True with --text; it must be False: the backward "
            "direction reads the very character that is asked for"
        )


def check_validation(config: Any) -> None:
    """Refuses a patience without validation, and a run that ends before the first."""
    if config.valid is None:
        if config.patience is not None:
            raise ConfigError(
                f"patience: got {config.patience} without valid; it must be given with "
                "--valid=SHARE"
            )
    elif config.num_steps < validation_interval(config):
        raise ConfigError(
            f"num_steps: got {config.num_steps}; it must be at least "
            f"{validation_interval(config)}, the updates before the first validation"
        )


def validation_interval(config: Any) -> int:
    """Returns the updates between two validations."""
    logged = config.log_interval
    nearest = max(1, round(UPDATES_PER_VALIDATION / logged)) * logged
    return config.eval_interval or nearest
