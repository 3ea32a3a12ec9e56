"""A task of a table: from a window of its steps, a later value.

The last steps are the test, and no window crosses into them; training draws windows at
random. An evaluation draws all test windows before it draws one again. In training
units, and on the steps of an evaluation:

    floor                        the mean of the training steps, always
    plateau "last value again"   what stands at the last step that is read
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float
from numpy import ndarray

from lstm_jax.checks import check_key, check_type, check_whole
from lstm_jax.data import Table
from lstm_jax.tasks import stored
from lstm_jax.tasks.sampling import ask_last, checked_length, steps
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey

LAST_VALUE = "last value again"


class Steps(NamedTuple):
    """The data: the table, and the columns that are asked for."""

    inputs: Float[Array, "time input"]
    targets: Float[Array, "time output"]


def from_windows(
    table: Table,
    target: str | Sequence[str],
    *,
    window: int,
    horizon: int = 1,
    test: float = 0.2,
    valid: float = 0.0,
) -> Task:
    """Returns the task of predicting a column; the table is its leaves, see `Task`.

        inputs   values[t : t + window], all columns
        target   values[t + window - 1 + horizon], those of `target`

    The loss is the squared error; accuracy is the share of predictions within half a
    standard deviation. Its length is the window: `lj.train(..., length=window)`.

    Args:
      table: what `lj.data.read_table` returns, of two axes.
      target: the column to predict, or several.
      window: steps that are read.
      horizon: steps from the last one that is read to the one that is asked for.
      test: the share of the steps, the last ones, that are held out; no window of
        training reads them, or is asked for one. With 0 `lj.evaluate` draws the windows
        of training.
      valid: the share of the steps before the test, the last of them, that are held
        out for `sample_valid` likewise.

    Raises:
      TypeError: `table` is no table.
      ValueError: it has no such column, one that is constant, or too few steps for a
        window on either side.

    Example:
      >>> import numpy as np
      >>> wave = np.sin(np.arange(100) / 5)[:, None]
      >>> table = lj.data.Table(wave, ("wave",), ())
      >>> task = lj.tasks.from_windows(table, "wave", window=10)
      >>> batch = task.sample(jax.random.key(0), 4, 10)
      >>> batch.inputs.shape, batch.targets.shape
      ((10, 4, 1), (4, 1))
    """
    check_type("table", table, Table, "a table, as lj.data.read_table returns")
    if table.values.ndim != 2:
        raise ValueError(
            f"table: its shape is {table.values.shape}; it must be (time, column)"
        )
    check_whole("window", window, 1)
    check_whole("horizon", horizon, 1)
    check_type("target", target, str | Sequence, "the name of a column, or several")
    names = [target] if isinstance(target, str) else list(target)
    for name in names:
        if name not in table.columns:
            raise ValueError(
                f"target: got {name!r}; it must be in {', '.join(table.columns)}"
            )
    asked = table.values[:, [table.columns.index(name) for name in names]]
    held = stored.num_test(test, len(asked))
    cut = len(asked) - held
    begin = cut - stored.num_valid(valid, cut)
    _check_fits(window, horizon, training=begin, validation=cut - begin, test=held)
    known, judged = asked[:begin], asked[cut:] if held else asked[:begin]
    _check_varies(names, known)
    answers, last = judged[window - 1 + horizon :], judged[window - 1 : -horizon]
    levels = {LAST_VALUE: _error(answers, last)}

    def part(first: int, last: int) -> Steps:
        return Steps(
            *(jnp.asarray(a[first:last], float) for a in (table.values, asked))
        )

    def drawing(choose: Callable, data: Steps) -> Partial:
        return Partial(partial(_drawn, choose, window, horizon), data)

    training = part(0, begin)
    validation = part(begin, cut) if begin < cut else None
    testing = part(cut, len(asked)) if held else training
    scores: dict[str, Any] = stored.scores_of("squared_error", known, None)
    floor = partial(stored.level, _error(answers, known.mean(axis=0)))
    return Task(
        name=f"{', '.join(names)} in {horizon}",
        input_size=table.values.shape[1],
        output_size=len(names),
        answers="last_step",
        sample=drawing(stored.at_random, training),
        sample_test=drawing(stored.each_once, testing),
        sample_valid=validation and drawing(stored.each_once, validation),
        plateaus=partial(stored.level, levels),
        **{**scores, "floor": floor},
    )


def _check_fits(window: int, horizon: int, **parts: int) -> None:
    """Refuses a window that a part of the table can't hold; one of 0 steps is none."""
    steps, name = min((steps, name) for name, steps in parts.items() if steps)
    if window + horizon > steps:
        raise ValueError(
            f"window: got {window} with a horizon of {horizon}; together they must be "
            f"at most {steps}, the steps of the {name}"
        )


def _check_varies(names: Sequence[str], asked: Float[ndarray, "time output"]) -> None:
    """Refuses a column of one value, of which there is nothing to learn."""
    for name, column in zip(names, asked.T, strict=True):
        if (column == column[0]).all():
            raise ValueError(
                f"target: column {name!r} has one value at all {len(column)} steps of "
                "the training; it must vary"
            )


def _error(asked: Float[ndarray, "time output"], told: ndarray) -> float:
    """Returns the mean squared error."""
    return float(np.mean((asked - told) ** 2))


def _drawn(
    choose: Callable[..., Array],
    window: int,
    horizon: int,
    data: Steps,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Any = None,
) -> Batch:
    check_key("key", key)
    check_whole("batch_size", batch_size, 1)
    length = checked_length(max_length, length, shortest=window, longest=window)
    first = choose(key, batch_size, len(data.inputs) - window - horizon + 1)
    inputs = data.inputs[first + steps(window)]
    return ask_last(inputs, data.targets[first + window - 1 + horizon], length)
