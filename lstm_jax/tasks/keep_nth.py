"""Keep the n-th: which symbol was the n-th of a text?

A text of random symbols is shown, each as likely as another, and at its last step the
n-th of them is asked for: what came before it must not be kept, nor what came after.
Inputs are one-hot symbols. The loss is the cross-entropy in nats. With v symbols:

    floor                ln v: the last symbol says nothing, nor does knowing nothing
    one of the first n   -q ln q - (1 - q) ln((1 - q)/(v - 1)), q = 1/n + (1 - 1/n)/v,
                         where one of them is kept, as likely one as another
    the first n, no order
                         v E[C/n ln(n/C)], C binomial (n, 1/v): how often each came

A sequence is right where the largest output is.

A worked example, n = 3, symbols a b c d:

    d a b b c a  -> b, class 1

References:
  Danieli et al. (2025), ParaRNN, https://arxiv.org/abs/2510.21450: n = 5 of 128,
  length 100
"""

from collections.abc import Mapping
from functools import partial

import numpy as np
from jaxtyping import Array, Int

from lstm_jax.checks import check_whole
from lstm_jax.factories import factory
from lstm_jax.tasks import losses, one_of
from lstm_jax.tasks.sampling import ask_last, one_hot, random_symbols, sampler
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey


def keep_nth(n: int = 5, num_symbols: int = 128) -> Task:
    """Returns the task, for lengths from n + 1.

    Args:
      n: which symbol to keep, 1 for the first.
      num_symbols: size of the alphabet, at least 2.

    Raises:
      TypeError: one of them is not a whole number.
      ValueError: one of them is too small.

    Example:
      >>> lj.tasks.keep_nth(n=3, num_symbols=8)
      <Task 'keep_nth_3_of_8': 8 inputs, 8 outputs, answers last_step>
    """
    check_whole("n", n, 1)
    check_whole("num_symbols", num_symbols, 2)
    return _keep_nth(n, num_symbols)


@factory
def _keep_nth(n: int, num_symbols: int) -> Task:
    default = (n, num_symbols) == (5, 128)
    return Task(
        name="keep_nth" + ("" if default else f"_{n}_of_{num_symbols}"),
        input_size=num_symbols,
        output_size=num_symbols,
        answers="last_step",
        sample=sampler(partial(_draw, n, num_symbols), shortest=n + 1),
        loss=losses.cross_entropy,
        accuracy=losses.accuracy,
        floor=partial(floor, num_symbols),
        plateaus=partial(plateaus, n, num_symbols),
        correct=losses.all_right,
    )


def floor(num_symbols: int, length: int) -> float:
    """Returns ln v."""
    del length
    return float(np.log(num_symbols))


def plateaus(n: int, num_symbols: int, length: int) -> Mapping[str, float]:
    """Returns the losses of who knows one of the first n, and all without order."""
    del length
    if n == 1:
        return {}
    return {
        "one of the first n": one_of.one_known(n, num_symbols),
        "the first n, no order": one_of.all_known(n, num_symbols),
    }


def _draw(
    n: int,
    num_symbols: int,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Int[Array, ""],
) -> Batch:
    text = random_symbols(key, (max_length, batch_size), 0, num_symbols)
    return ask_last(one_hot(text, num_symbols), text[n - 1], length)


KEEP_NTH = keep_nth()
