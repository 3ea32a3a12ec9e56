"""An LSTM over sequences of different lengths, in float64."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj

TIME, LENGTHS = 9, np.array([9, 4, 1, 6])
CELL = lj.LSTM


@cache
def float64_run():
    params = CELL.init(jax.random.key(0), 3, 4, dtype=jnp.float64)
    xs = jax.random.normal(jax.random.key(1), (TIME, len(LENGTHS), 3), jnp.float64)
    return params, xs


def last(ys):
    return lj.last_step(ys, LENGTHS).sum()
