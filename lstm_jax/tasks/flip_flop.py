"""Flip-flop: what was the bit that was written last?

A string is pairs of an instruction and a bit: w writes the bit, i says to ignore it,
and after r comes the bit that was written last. The first instruction is w, the last r;
those in between are i with probability `ignored`, else w or r, equally often. Bits that
are written or ignored are 0 or 1 with probability 1/2. A length is in symbols; of an
odd one the last step is empty.

Inputs are one-hot w, r, i, 0, 1. At every r the bit that follows is asked for, as one
of two classes: of all symbols to come, those are the ones that are not chance. The loss
is their mean cross-entropy in nats:

    floor             ln 2: an r alone says nothing
    the pair before   ln 2 where that pair was ignored, nothing after a w or an r

A string is right where every bit is.

A worked example:

    shown  w 1 i 0 r 1 w 0 i 1 i 0 r 0
    asked  - - - - 1 - - - - - - - 0 -

References:
  Liu, Ash, Goel, Krishnamurthy & Zhang (2023), Exposing Attention Glitches with
  Flip-Flop Language Modeling, https://arxiv.org/abs/2306.00946: FFL(ignored)
"""

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from lstm_jax.checks import check_number
from lstm_jax.factories import factory
from lstm_jax.tasks import losses
from lstm_jax.tasks.sampling import ask_every, one_hot, random_symbols, sampler, steps
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey

W, R, I, ZERO = range(4)


def flip_flop(ignored: int | float = 0.8) -> Task:
    """Returns the task, for lengths from 4.

    Args:
      ignored: probability of an i, in [0, 1].

    Raises:
      ValueError: it is no probability.

    Example:
      >>> lj.tasks.flip_flop(ignored=0.98).input_size
      5
    """
    check_number("ignored", ignored, "[0, 1]")
    return _flip_flop(float(ignored))


@factory
def _flip_flop(ignored: float) -> Task:
    return Task(
        name="flip_flop",
        input_size=5,
        output_size=2,
        answers="every_step",
        sample=sampler(partial(_draw, ignored), shortest=4),
        loss=losses.cross_entropy,
        accuracy=losses.accuracy,
        floor=floor,
        plateaus=partial(plateaus, ignored),
        correct=losses.all_right,
    )


def floor(length: int) -> float:
    """Returns ln 2: the bit is a coin's toss."""
    del length
    return float(np.log(2))


def plateaus(ignored: float, length: int) -> Mapping[str, float]:
    """Returns ln 2 for each bit that is read after an ignored pair."""
    pairs, read = length // 2, (1 - ignored) / 2
    if pairs < 3:
        return {}
    # The first pair is a w, the last an r, whatever is drawn.
    reads = (pairs - 2) * read + 1
    after_ignored = ignored * ((pairs - 3) * read + 1)
    return {"the pair before": float(np.log(2)) * after_ignored / reads}


def _draw(
    ignored: float,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Int[Array, ""],
) -> Batch:
    key_instructions, key_bits = jax.random.split(key)
    shape = (max_length // 2, batch_size)
    pair, pairs = steps(shape[0]), length // 2
    drawn = jax.random.uniform(key_instructions, shape)
    instructions = jnp.where(drawn < (1 - ignored) / 2, W, R)
    instructions = jnp.where(drawn < 1 - ignored, instructions, I)
    instructions = jnp.where(pair == pairs - 1, R, instructions)
    instructions = jnp.where(pair == 0, W, instructions)
    bits = random_symbols(key_bits, shape, 0, 2)
    last_written = jax.lax.cummax(jnp.where(instructions == W, pair, 0), axis=0)
    stored = jnp.take_along_axis(bits, last_written, axis=0)
    reads = instructions == R
    shown = jnp.stack([instructions, ZERO + jnp.where(reads, stored, bits)], axis=1)
    asked = jnp.stack([reads, jnp.zeros_like(reads)], axis=1)
    odd = ((0, max_length % 2), (0, 0))
    in_steps = lambda of: jnp.pad(of.reshape(-1, batch_size), odd)
    answers = jnp.pad(jnp.repeat(stored, 2, axis=0), odd)
    inputs = one_hot(in_steps(shown), 5)
    return ask_every(inputs, answers, 2 * pairs, in_steps(asked))


FLIP_FLOP = flip_flop()
