"""Temporal order: which of X and Y came first, which second (and which third)?

    step 0           E, the start
    step t1          X or Y
    step t2          X or Y (for three symbols also at t3)
    the last step    B, which asks
    in between       distractors: a, b, c, d

    T = 100          length         t1         t2         t3        classes
    two symbols      100 .. 110     10 .. 20   50 .. 60             4
    three symbols    100 .. 110     10 .. 20   33 .. 43   66 .. 76  8

Other T scale the table; T = `sampling.nominal_length(length)`, so a `length` of 110 is
the paper's setting. Symbols are one-hot; the classes count up as XX, XY, YX, YY.

    two symbols      floor ln 4, plateau ln 2 (one of the two is known), in nats
    three symbols    floor ln 8, plateaus 2 ln 2, ln 2

A worked example, two symbols:  E a c X d b Y a B  -> XY, class 1

A sequence is right where every output unit is within 0.3 of its target, 0 or 1.

References:
  Hochreiter & Schmidhuber (1997), experiments 6a and 6b,
  https://doi.org/10.1162/neco.1997.9.8.1735
"""

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from lstm_jax.factories import factory
from lstm_jax.tasks import losses
from lstm_jax.tasks.answer_units import answer_units, uniform
from lstm_jax.tasks.sampling import (
    ask_last,
    lengths_from_nominal,
    nominal_length,
    one_hot,
    random_symbols,
    sampler,
    steps,
    uniform_between,
)
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey

SYMBOLS = "EBabcdXY"
WINDOWS = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}
"""Where X or Y stand, both ends included, in hundredths of T."""

TOLERANCE = 0.3
SHORTEST = 10


def temporal_order(num_symbols: int = 2, units: str = "softmax") -> Task:
    """Returns the task with two or three symbols to remember.

    Args:
      num_symbols: 2, experiment 6a, or 3, experiment 6b.
      units: "softmax", cross-entropy in nats; "logistic", squared error as in 1997.

    Raises:
      ValueError: another number, or other units.

    Example:
      >>> lj.tasks.temporal_order(num_symbols=3).output_size
      8
    """
    if num_symbols not in WINDOWS:
        raise ValueError(f"num_symbols: got {num_symbols}; it must be 2 or 3")
    answer_units(units)
    return _temporal_order(num_symbols, units)


@factory
def _temporal_order(num_symbols: int, units: str) -> Task:
    loss, activations, uncertainty = answer_units(units)

    def plateaus(length: int) -> Mapping[str, float]:
        del length
        return {
            f"{known} of {num_symbols} symbols": uncertainty(
                uniform(2 ** (num_symbols - known))
            )
            for known in range(1, num_symbols)
        }

    sample = sampler(partial(_draw, num_symbols), shortest=SHORTEST)
    return Task(
        name="temporal_order" if num_symbols == 2 else "temporal_order_3",
        input_size=len(SYMBOLS),
        output_size=2**num_symbols,
        answers="last_step",
        sample=sample,
        loss=loss,
        accuracy=losses.accuracy,
        floor=lambda length: uncertainty(uniform(2**num_symbols)),
        plateaus=plateaus,
        correct=partial(losses.all_within, TOLERANCE, activations),
    )


def _draw(
    num_symbols: int,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Int[Array, ""],
) -> Batch:
    key_between, key_order, key_steps, key_lengths = jax.random.split(key, 4)
    lengths = lengths_from_nominal(key_lengths, batch_size, length)
    order = random_symbols(key_order, (num_symbols, batch_size), 0, 2)
    symbols = random_symbols(
        key_between, (max_length, batch_size), SYMBOLS.index("a"), SYMBOLS.index("X")
    )
    step = steps(max_length)
    for at, which in zip(
        _steps_of_symbols(key_steps, num_symbols, batch_size, length),
        order,
        strict=True,
    ):
        symbols = jnp.where(step == at, SYMBOLS.index("X") + which, symbols)
    symbols = jnp.where(step == 0, SYMBOLS.index("E"), symbols)
    symbols = jnp.where(step == lengths - 1, SYMBOLS.index("B"), symbols)
    inputs = one_hot(symbols, len(SYMBOLS))
    return ask_last(inputs, _class_of(order), lengths)


def _steps_of_symbols(
    key: PRNGKey, num_symbols: int, batch_size: int, length: Int[Array, ""]
) -> list[Int[Array, " batch"]]:
    nominal, keys = nominal_length(length), jax.random.split(key, num_symbols)
    return [
        uniform_between(key, batch_size, low * nominal // 100, high * nominal // 100)
        for key, (low, high) in zip(keys, WINDOWS[num_symbols], strict=True)
    ]


def _class_of(order: Int[Array, "symbols batch"]) -> Int[Array, " batch"]:
    places = 2 ** jnp.arange(len(order), dtype=jnp.int32)[::-1]
    return jnp.sum(order * places[:, None], axis=0)


TEMPORAL_ORDER = temporal_order()
TEMPORAL_ORDER_3 = temporal_order(3)
