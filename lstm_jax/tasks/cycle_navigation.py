"""Cycle navigation: where on a circle of five places does a walk end?

It starts at place 0. Every step is a move, one-hot as (stay, forwards, backwards), each
as likely; the place, one of 5 classes, is asked for at the last step. The loss is the
cross-entropy in nats. With ν_t the law of the place after t moves and H the entropy, of
`length` steps,

    floor           H(ν_{length-1}): the last move is seen
    the last two    H(ν_{length-2}): and the one before it

both nearly ln 5. It is the word problem of the cyclic group Z5 with three generators,
asked once, at its end.

A worked example, + for forwards, - for backwards, 0 for stay:

    + + 0 + + + -  -> place 4

A sequence is right where the largest output is.

References:
  Deletang et al. (2023), "Cycle Navigation", trained on lengths 1 to 40 and tested up
  to 500, https://arxiv.org/abs/2207.02098
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from lstm_jax.tasks import losses
from lstm_jax.tasks.sampling import (
    ask_last,
    one_hot,
    random_symbols,
    sampler,
    steps,
)
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey

PLACES = 5
MOVES = (0, 1, -1)


def floor(length: int) -> float:
    """Returns H(ν_{length-1}), in nats."""
    return _uncertain(length - 1)


def plateaus(length: int) -> Mapping[str, float]:
    """Returns the loss of who sees the last two moves."""
    return {"the last two": _uncertain(length - 2)} if length > 1 else {}


def _uncertain(num_moves: int) -> float:
    """Returns the entropy of the place after so many moves, in nats."""
    law = np.eye(PLACES)[0]
    for _ in range(num_moves):
        law = np.mean([np.roll(law, move) for move in MOVES], axis=0)
    law = law[law > 0]
    return float(-np.sum(law * np.log(law)))


def _draw(
    key: PRNGKey, batch_size: int, max_length: int, length: Int[Array, ""]
) -> Batch:
    moves = random_symbols(key, (max_length, batch_size), 0, len(MOVES))
    walked = jnp.asarray(MOVES, jnp.int32)[moves]
    place = jnp.sum(jnp.where(steps(max_length) < length, walked, 0), axis=0) % PLACES
    return ask_last(one_hot(moves, len(MOVES)), place, length)


CYCLE_NAVIGATION = Task(
    name="cycle_navigation",
    input_size=len(MOVES),
    output_size=PLACES,
    answers="last_step",
    sample=sampler(_draw, shortest=1),
    loss=losses.cross_entropy,
    accuracy=losses.accuracy,
    floor=floor,
    plateaus=plateaus,
    correct=losses.all_right,
)
