"""Temporal order as Pascanu, Mikolov & Bengio (2013) set it: A and B, in which order?

    step p0          A or B, p0 in [L/10, 2 L/10)
    step p1          A or B, p1 in [5 L/10, 6 L/10)
    in between       distractors: c, d, e, f; and one of them at the last step

Tenths of the length L are rounded down, and every sequence has L steps: nothing marks
its start or its end. Symbols are one-hot; the classes count up as AA, AB, BA, BB.

    floor ln 4, plateau ln 2 (one of the two is known), in nats

A worked example, L = 10:  c A e d f B d c c f  -> AB, class 1

A sequence is right where its class has the largest output; a net has solved the task
with less than 1 % of 10 000 fresh sequences wrong.

The positions are those of the published code, tempOrder.py; its comment, which lets p0
begin at 1, says otherwise. It numbers the classes AA, BA, AB, BB.

References:
  Pascanu, Mikolov & Bengio (2013), https://arxiv.org/abs/1211.5063, section 4.1;
  code: https://github.com/pascanur/trainingRNNs
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from lstm_jax.tasks import losses
from lstm_jax.tasks.answer_units import entropy, uniform
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

SYMBOLS = "ABcdef"
WINDOWS = (1, 5)
"""Where A or B stand: each window begins at so many tenths of L and is one wide."""

SHORTEST = 10


def _draw(
    key: PRNGKey, batch_size: int, max_length: int, length: Int[Array, ""]
) -> Batch:
    key_between, key_order, key_steps = jax.random.split(key, 3)
    order = random_symbols(key_order, (len(WINDOWS), batch_size), 0, 2)
    symbols = random_symbols(
        key_between, (max_length, batch_size), SYMBOLS.index("c"), len(SYMBOLS)
    )
    keys = jax.random.split(key_steps, len(WINDOWS))
    for key_step, tenths, which in zip(keys, WINDOWS, order, strict=True):
        begin = tenths * length // 10
        at = uniform_between(key_step, batch_size, begin, begin + length // 10 - 1)
        symbols = jnp.where(steps(max_length) == at, which, symbols)
    first, second = order
    inputs = one_hot(symbols, len(SYMBOLS))
    return ask_last(inputs, 2 * first + second, length)


def floor(length: int) -> float:
    """Returns ln 4: one of four answers is right, all are as likely."""
    del length
    return entropy(uniform(4))


def plateaus(length: int) -> Mapping[str, float]:
    """Returns ln 2: one of the two symbols is known."""
    del length
    return {"1 of 2 symbols": entropy(uniform(2))}


_sample = sampler(_draw, shortest=SHORTEST)

TEMPORAL_ORDER_PASCANU = Task(
    name="temporal_order_pascanu",
    input_size=len(SYMBOLS),
    output_size=4,
    answers="last_step",
    sample=_sample,
    loss=losses.cross_entropy,
    accuracy=losses.accuracy,
    floor=floor,
    plateaus=plateaus,
    correct=losses.all_right,
)
