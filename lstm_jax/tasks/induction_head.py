"""Induction head: which symbol came after the mark, when it was shown before?

A text of random symbols has a mark in it, at any step but the last two with the same
probability; at the last step the mark is shown again, and the symbol that followed it
is asked for. Inputs are one-hot: the symbols, the mark. The loss is the cross-entropy
in nats. With n symbols and m = length - 2 of them in a text:

    floor              ln n: the mark says nothing, and neither does knowing nothing
    the last symbol    -q ln q - (1 - q) ln((1 - q)/(n - 1)), q = 1/m + (1 - 1/m)/n:
                       it may be the one
    symbols, no marks  n E[C/m ln(m/C)], C binomial (m, 1/n): how often each was shown

A sequence is right where the largest output is.

A worked example, symbols a b c and the mark !, length 7:

    c a ! b a c !  -> b, class 1

References:
  Dao et al. (2022), H3, https://arxiv.org/abs/2212.14052, section 3.1
  Gu & Dao (2023), Mamba, https://arxiv.org/abs/2312.00752, appendix E.1: trained on
  length 256, tested from 2^6 to 2^20
"""

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from lstm_jax.checks import check_whole
from lstm_jax.factories import factory
from lstm_jax.tasks import losses, one_of
from lstm_jax.tasks.sampling import (
    ask_last,
    one_hot,
    random_symbols,
    sampler,
    steps,
    uniform_between,
)
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey


def induction_head(num_symbols: int = 16) -> Task:
    """Returns the task, for lengths from 3.

    Args:
      num_symbols: size of the alphabet without the mark, at least 2.

    Raises:
      TypeError: it is not a whole number.
      ValueError: it is too small.

    Example:
      >>> lj.tasks.induction_head(num_symbols=8)
      <Task 'induction_head_8': 9 inputs, 8 outputs, answers last_step>
    """
    check_whole("num_symbols", num_symbols, 2)
    return _induction_head(num_symbols)


@factory
def _induction_head(num_symbols: int) -> Task:
    return Task(
        name="induction_head" + ("" if num_symbols == 16 else f"_{num_symbols}"),
        input_size=num_symbols + 1,
        output_size=num_symbols,
        answers="last_step",
        sample=sampler(partial(_draw, num_symbols), shortest=3),
        loss=losses.cross_entropy,
        accuracy=losses.accuracy,
        floor=partial(floor, num_symbols),
        plateaus=partial(plateaus, num_symbols),
        correct=losses.all_right,
    )


def floor(num_symbols: int, length: int) -> float:
    """Returns ln n."""
    del length
    return float(np.log(num_symbols))


def plateaus(num_symbols: int, length: int) -> Mapping[str, float]:
    """Returns the losses of who knows the last symbol, and all of them unmarked."""
    many = length - 2
    if many == 1:
        return {}
    return {
        "the last symbol": one_of.one_known(many, num_symbols),
        "symbols, no marks": one_of.all_known(many, num_symbols),
    }


def _draw(
    num_symbols: int,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Int[Array, ""],
) -> Batch:
    key_text, key_place = jax.random.split(key)
    text = random_symbols(key_text, (max_length, batch_size), 0, num_symbols)
    place = uniform_between(key_place, batch_size, jnp.asarray(0), length - 3)
    step = steps(max_length)
    shown = jnp.where((step == place) | (step == length - 1), num_symbols, text)
    followed = jnp.take_along_axis(text, place[None] + 1, axis=0)[0]
    return ask_last(one_hot(shown, num_symbols + 1), followed, length)


INDUCTION_HEAD = induction_head()
