"""Selective copying: symbols lie scattered among blanks, and are asked for in order.

    shown    num_items symbols and blanks, at random places    num_items markers
    asked                                                      the symbols, in order

`length` includes the markers. The places of the symbols are uniform among all sets of
so many steps. Inputs are one-hot: the symbols, blank, marker; the classes of the
answers are the symbols, asked for at the markers alone. The loss is their mean
cross-entropy in nats. With k symbols out of an alphabet of n:

    floor           ln n: a marker says nothing, and neither does knowing nothing
    the last one    (k - 1)/k ln n
    the last two    (k - 2)/k ln n, if there are more than two

The accuracy is the share of right symbols. A sequence is right where every one is.

A worked example, 2 symbols out of 3 (a, b, c), length 7:

    shown  - c - a - ! !
    asked  - - - - - c a

Gu & Dao ask for 16 symbols of 4096 steps; how often which step holds a symbol is what
time alone can't tell, so that a memory with a fixed clock fails.

References:
  Gu & Dao (2023), Mamba, https://arxiv.org/abs/2312.00752, appendix E.1
  Feng et al. (2024), https://arxiv.org/abs/2410.01201, whose sampler has the markers
"""

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from lstm_jax.checks import check_whole
from lstm_jax.factories import factory
from lstm_jax.tasks import losses
from lstm_jax.tasks.sampling import ask_every, one_hot, random_symbols, sampler, steps
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey


def selective_copy(num_symbols: int = 8, num_items: int = 4) -> Task:
    """Returns the task, for lengths from 2 num_items.

    Args:
      num_symbols: size of the alphabet, at least 2.
      num_items: symbols to copy, at least 1.

    Raises:
      TypeError: one of them is not a whole number.
      ValueError: one of them is too small.

    Example:
      >>> lj.tasks.selective_copy(num_items=8)
      <Task 'selective_copy_8_of_8': 10 inputs, 8 outputs, answers every_step>
    """
    check_whole("num_symbols", num_symbols, 2)
    check_whole("num_items", num_items, 1)
    return _selective_copy(num_symbols, num_items)


@factory
def _selective_copy(num_symbols: int, num_items: int) -> Task:
    default = (num_symbols, num_items) == (8, 4)
    return Task(
        name="selective_copy" + ("" if default else f"_{num_items}_of_{num_symbols}"),
        input_size=num_symbols + 2,
        output_size=num_symbols,
        answers="every_step",
        sample=sampler(partial(_draw, num_symbols, num_items), shortest=2 * num_items),
        loss=losses.cross_entropy,
        accuracy=losses.accuracy,
        floor=partial(floor, num_symbols),
        plateaus=partial(plateaus, num_symbols, num_items),
        correct=losses.all_right,
    )


def floor(num_symbols: int, length: int) -> float:
    """Returns ln n."""
    del length
    return float(np.log(num_symbols))


def plateaus(num_symbols: int, num_items: int, length: int) -> Mapping[str, float]:
    """Returns the losses of who knows the last one or two symbols."""
    del length
    known = {"the last one": 1, "the last two": 2}
    return {
        name: (num_items - number) / num_items * float(np.log(num_symbols))
        for name, number in known.items()
        if number < num_items
    }


def _draw(
    num_symbols: int,
    num_items: int,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Int[Array, ""],
) -> Batch:
    key_items, key_places = jax.random.split(key)
    items = random_symbols(key_items, (num_items, batch_size), 0, num_symbols)
    step, markers = steps(max_length), length - num_items
    # The steps with the smallest of uniform numbers are a uniform set of steps.
    drawn = jax.random.uniform(key_places, (max_length, batch_size), jnp.float32)
    order = jnp.argsort(jnp.where(step < markers, drawn, 2.0), axis=0)
    chosen = jnp.argsort(order, axis=0) < num_items
    item = jnp.clip(jnp.cumsum(chosen, axis=0) - 1, 0, num_items - 1)
    blank, marker = num_symbols, num_symbols + 1
    at_step = jnp.where(chosen, jnp.take_along_axis(items, item, axis=0), blank)
    shown = jnp.where(step >= markers, marker, at_step)
    place = jnp.clip(step - markers, 0, num_items - 1)
    place = jnp.broadcast_to(place, shown.shape)
    asked = jnp.take_along_axis(items, place, axis=0)
    inputs = one_hot(shown, num_symbols + 2)
    return ask_every(inputs, asked, length, step >= markers)


SELECTIVE_COPY = selective_copy()
