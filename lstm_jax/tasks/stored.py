"""What tasks made of stored data share: how examples are drawn, split and scored."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from lstm_jax.checks import check_number
from lstm_jax.tasks import losses
from lstm_jax.types import PRNGKey

LOSSES = {"squared_error": losses.squared_error, "cross_entropy": losses.cross_entropy}
CLOSE = 0.5  # standard deviations of the targets


def at_random(key: PRNGKey, batch_size: int, count: int) -> Int[Array, " batch"]:
    """Returns which examples of `count` are drawn, with replacement."""
    return jax.random.randint(key, (batch_size,), 0, count)


def each_once(key: PRNGKey, batch_size: int, count: int) -> Int[Array, " batch"]:
    """Returns which examples are drawn: all of them before one comes again."""
    return jax.random.permutation(key, count)[jnp.arange(batch_size) % count]


def num_test(test: Any, count: int, least: int = 1) -> int:
    """Returns how many of `count` are held out for the test; at least `least`."""
    check_number("test", test, "[0, 1)")
    held = round(count * test)
    if test and not least <= held <= count - least:
        raise ValueError(
            f"test: got {test:g}, {held} of {count}; it must leave at least {least} on "
            "either side"
        )
    return held


def num_valid(valid: Any, count: int, least: int = 1) -> int:
    """Returns how many of the `count` before the test are held out for validation."""
    check_number("valid", valid, "[0, 1)")
    held = round(count * valid)
    if valid and not least <= held <= count - least:
        raise ValueError(
            f"valid: got {valid:g}, {held} of the {count} before the test; it must "
            f"leave at least {least} on either side"
        )
    return held


def real(name: str, array: Any) -> Array | np.ndarray:
    """Returns an array of real numbers; refuses others."""
    found = array if isinstance(array, jax.Array) else np.asarray(array)
    if not any(jnp.issubdtype(found.dtype, of) for of in (np.floating, np.integer)):
        raise TypeError(f"{name}: dtype is {found.dtype}; it must be real numbers")
    return found


def output_size(loss: str, targets: np.ndarray) -> int:
    """Returns the numbers that answer targets (answer,) or (answer, output)."""
    if loss == "cross_entropy":
        return _num_classes(targets)
    return (*targets.shape[1:], 1)[0]


def _num_classes(targets: np.ndarray) -> int:
    """Returns one more than the largest class; refuses what are no classes."""
    kind, low = targets.dtype, targets.min()
    if kind.kind not in "iu" or low < 0:
        raise TypeError(
            f"targets: got {kind} from {low:g}; they must be classes 0, 1, 2, ..., "
            "integers, for cross_entropy"
        )
    return int(targets.max()) + 1


def scores_of(loss: str, targets: np.ndarray, accuracy: Callable | None) -> dict:
    """Returns the scores of a `Task`, by field, from answers that are asked for.

    `targets` are (answer,) or (answer, output). The floor is the loss of the best
    constant: the entropy of the classes, or the variance of the numbers.
    """
    if loss == "cross_entropy":
        shares = np.bincount(targets) / targets.size
        lowest = -float(np.sum(shares * np.log(np.where(shares > 0, shares, 1))))
        own, right = losses.accuracy, losses.all_right
    else:
        lowest = float(np.mean(np.var(targets, axis=0, dtype=np.float64)))
        own, right = partial(_share_within, CLOSE * lowest**0.5 or CLOSE), None
    return {
        "loss": LOSSES[loss],
        "accuracy": own if accuracy is None else accuracy,
        "floor": partial(level, lowest),
        "correct": right,
    }


def check_targets(targets: np.ndarray) -> None:
    """Refuses answers that are not finite, or all the same."""
    odd = targets[~np.isfinite(targets)]
    if odd.size:
        raise ValueError(f"targets: found {odd[0]}; they must be finite")
    if (targets == targets[0]).all():
        raise ValueError(
            f"targets: all of training are {targets[0]}; they must vary, for there is "
            "nothing else to learn"
        )


def level(of: Any, length: int) -> Any:
    """Returns what a floor or plateau is, at any length."""
    del length
    return of


def _share_within(tolerance: float, outputs: Array, batch: Any) -> Array:
    right = losses.within(tolerance, outputs, batch)
    return losses.share(right, losses.scored(batch))
