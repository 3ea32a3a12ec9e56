"""Copy memory: ten symbols are shown, then nothing for long, then they are asked for.

    shown    10 symbols of a0 ... a7   T - 1 blanks   delimiter   10 blanks
    asked    T + 10 blanks                            the 10 symbols, in order

`length` = T + 20. Inputs are one-hot: a0 ... a7, blank, delimiter; the classes of the
answers are a0 ... a7, blank. The loss is the mean cross-entropy in nats over all
`length` steps, and the floor is that of a predictor that knows the time but not the
symbols, 10 ln 8 / (T + 20). The accuracy counts the 10 symbols only, chance 1/8; a
sequence is right where every largest output is.

In `copy_memory_variable` the delay of each sequence is uniform in [1, T], so that only
the delimiter tells when to answer; its floor is 10 ln 8 / (mean length). (A delay of d
has d - 1 blanks; Tallec & Ollivier say that the number of blanks is in [1, T].)

A worked example, 2 symbols out of 3 (a, b, c), T = 3:

    shown  a c - - ! - -
    asked  - - - - - a c

References:
  Hochreiter & Schmidhuber (1997) for the idea;
  Arjovsky, Shah & Bengio (2016), https://arxiv.org/abs/1511.06464
  Henaff, Szlam & LeCun (2016), the variable one, https://arxiv.org/abs/1602.06662
  Tallec & Ollivier (2018), section 3, both, https://arxiv.org/abs/1804.11188
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from lstm_jax.checks import check_whole
from lstm_jax.factories import factory
from lstm_jax.tasks import losses
from lstm_jax.tasks.sampling import (
    ask_every,
    one_hot,
    random_symbols,
    sampler,
    steps,
    uniform_between,
)
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey, any_rank


def copy_memory(num_symbols: int = 8, num_items: int = 10) -> Task:
    """Returns the task with a fixed delay, T = length - 2 num_items >= 1.

    Args:
      num_symbols: size of the alphabet.
      num_items: symbols to copy.

    Raises:
      ValueError: either is below 1.

    Example:
      >>> task = lj.tasks.copy_memory(num_symbols=3, num_items=2)
      >>> task
      <Task 'copy_memory': 5 inputs, 4 outputs, answers every_step>
      >>> round(task.floor(20), 3)  # nats per step, without memory
      0.11
    """
    _check(num_symbols, num_items)
    return _copy_memory("copy_memory", num_symbols, num_items)


def copy_memory_variable(num_symbols: int = 8, num_items: int = 10) -> Task:
    """Returns the task with delays uniform in [1, T], T = length - 2 num_items.

    Arguments and errors as for `copy_memory`.

    Example:
      >>> lj.tasks.copy_memory_variable(num_symbols=3, num_items=2).input_size
      5
    """
    _check(num_symbols, num_items)
    return _copy_memory("copy_memory_variable", num_symbols, num_items)


@factory
def _copy_memory(name: str, num_symbols: int, num_items: int) -> Task:
    varies = name == "copy_memory_variable"

    def floor(length: int) -> float:
        mean_length = length
        if varies:
            mean_length = 2 * num_items + (length - 2 * num_items + 1) / 2
        return num_items * float(np.log(num_symbols)) / mean_length

    def accuracy(outputs, batch):
        counted = is_recall(batch, num_items)
        return losses.share(losses.argmax_right(outputs, batch), counted)

    draw = partial(_draw, num_symbols, num_items, varies)
    sample = sampler(draw, shortest=2 * num_items + 1)
    return Task(
        name=name,
        input_size=num_symbols + 2,
        output_size=num_symbols + 1,
        answers="every_step",
        sample=sample,
        loss=losses.cross_entropy,
        accuracy=accuracy,
        floor=floor,
        correct=losses.all_right,
    )


@any_rank
def is_recall(batch: Batch, num_items: int) -> Bool[Array, "time batch"]:
    """Returns where the symbols are asked for."""
    step = steps(len(batch.inputs))
    late = (step >= batch.lengths - num_items) & (step < batch.lengths)
    return late & losses.scored(batch)


def _check(num_symbols: int, num_items: int) -> None:
    for name, value in (("num_symbols", num_symbols), ("num_items", num_items)):
        check_whole(name, value, 1)


def _draw(
    num_symbols: int,
    num_items: int,
    varies: bool,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Int[Array, ""],
) -> Batch:
    key_items, key_lengths = jax.random.split(key)
    items = random_symbols(key_items, (num_items, batch_size), 0, num_symbols)
    lengths = jnp.full((batch_size,), length)
    if varies:
        shortest = jnp.full_like(length, 2 * num_items + 1)
        lengths = uniform_between(key_lengths, batch_size, shortest, length)
    blank, delimiter = num_symbols, num_symbols + 1
    step = steps(max_length)
    blanks = jnp.full((max_length, batch_size), blank, jnp.int32)
    shown = blanks.at[:num_items].set(items)
    shown = jnp.where(step == lengths - num_items - 1, delimiter, shown)
    recalled = step - (lengths - num_items)
    asked = jnp.where(recalled >= 0, _take(items, recalled), blank)
    return ask_every(one_hot(shown, num_symbols + 2), asked, lengths)


def _take(
    items: Int[Array, "items batch"], index: Int[Array, "time batch"]
) -> Int[Array, "time batch"]:
    index = jnp.clip(index, 0, len(items) - 1)
    return jnp.take_along_axis(items, index, axis=0)


COPY_MEMORY = copy_memory()
COPY_MEMORY_VARIABLE = copy_memory_variable()
