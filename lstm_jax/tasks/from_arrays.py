"""A task of your own arrays: sequences, and what is asked about them.

The last examples are the test; training draws the others at random, with replacement.
An evaluation draws all test examples before it draws one again. The floor is the loss
of the best constant.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, get_args

from jax.tree_util import Partial
from jaxtyping import Array

from lstm_jax.checks import check_choice, check_key, check_whole
from lstm_jax.tasks import stored
from lstm_jax.tasks.examples import (
    Examples,
    asked,
    batch_of,
    examples_of,
    on_device,
    part,
)
from lstm_jax.tasks.sampling import checked_length
from lstm_jax.tasks.task import Answers, Batch, Task
from lstm_jax.types import PRNGKey


def from_arrays(
    inputs: Any,
    targets: Any,
    *,
    lengths: Any = None,
    weights: Any = None,
    test: float = 0.2,
    valid: float = 0.0,
    loss: str = "squared_error",
    answers: Answers = "last_step",
    accuracy: Callable | None = None,
    name: str = "mine",
) -> Task:
    """Returns the task of arrays, which are its leaves; see `Task`.

    Its length is the time axis: `lj.train(..., length=inputs.shape[0])`.

    Args:
      inputs: (time, example, input); steps beyond `lengths` are not read.
      targets: (example,) or (example, output) for answers at the last step, with the
        time in front for answers at every step; integers for "cross_entropy".
      lengths: (example,), the steps that count; all if not given.
      weights: (example,), or (time, example) for answers at every step; how much each
        answer counts, 1 if not given.
      test: the share of examples, the last ones, that are held out for
        `lj.evaluate`; with 0 it draws those of training.
      valid: the share of the others, at their end, that are held out of training for
        `sample_valid`.
      loss: "squared_error" or "cross_entropy".
      answers: "last_step" or "every_step".
      accuracy: `(outputs, batch) -> scalar`; if not given the share of right classes,
        or of numbers that are within half a standard deviation of all targets.
      name: what tables and messages call it.

    Raises:
      TypeError: an array is not of real numbers, or classes are not integers.
      ValueError: axes don't fit one another; the message has the `swapaxes` to write
        if they do the other way round. Or an input or target is not finite, or all
        targets are the same.

    Example:
      >>> import optax
      >>> inputs = jax.random.normal(jax.random.key(0), (12, 50, 2))
      >>> labels = (inputs[0, :, 0] > 0).astype(int)
      >>> task = lj.tasks.from_arrays(inputs, labels, loss="cross_entropy")
      >>> state, _ = lj.train(
      ...     jax.random.key(1), lj.LSTM, task, optax.adam(1e-2),
      ...     hidden_size=4, num_steps=3, batch_size=8, length=12,
      ... )
      >>> result = lj.evaluate(
      ...     jax.random.key(2), lj.LSTM, task, state.params, batch_size=10, length=12
      ... )
      >>> result.loss.shape
      ()
    """
    check_choice("answers", answers, get_args(Answers))
    check_choice("loss", loss, stored.LOSSES)
    every = answers == "every_step"
    given = examples_of(inputs, targets, lengths, weights, every=every)
    _, count, input_size = given.inputs.shape
    held = stored.num_test(test, count)
    cut = count - held
    begin = cut - stored.num_valid(valid, cut)
    output_size = stored.output_size(loss, asked(given))
    known = asked(part(given, 0, begin))
    stored.check_targets(known)
    scores = stored.scores_of(loss, known, accuracy)
    # Both samplers hold the same arrays: parts of them would be copies.
    data = on_device(given)

    def drawing(choose: Callable, *part: int) -> Partial:
        return Partial(partial(_drawn, choose, *part), data)

    return Task(
        name=name,
        input_size=input_size,
        output_size=output_size,
        answers=answers,
        sample=drawing(stored.at_random, 0, begin),
        sample_test=drawing(stored.each_once, *((cut, count) if held else (0, begin))),
        sample_valid=drawing(stored.each_once, begin, cut) if begin < cut else None,
        **scores,
    )


def _drawn(
    choose: Callable[..., Array],
    first: int,
    end: int,
    data: Examples,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Any = None,
) -> Batch:
    check_key("key", key)
    check_whole("batch_size", batch_size, 1)
    time = len(data.inputs)
    checked_length(max_length, length, shortest=time, longest=time)
    return batch_of(data, first + choose(key, batch_size, end - first))
