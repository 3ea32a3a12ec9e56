"""Random RNNs whose Lyapunov exponents are pushed to zero, by gradient flossing.

As in https://github.com/RainerEngelken/GradientFlossing: h_t = tanh(W_ihᵀ x_t + W_hhᵀ
h_{t-1} + b), driven by random bits.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

import lstm_jax as lj
from experiments.common import compiling
from lstm_jax import initializers
from lstm_jax.types import PRNGKey

BURN_IN = 15  # steps whose stretching is not counted
QR_EVERY = 5  # steps between two QR factorisations in training
RELAXED = 100  # steps without input before a run
MOST_BIAS = 0.1
CLIP = 0.03  # of the norm of all gradients: a few sequences have far larger ones
NUM_MEASURED = 2  # sequences


class Flossed(NamedTuple):
    """One net.

    Attributes:
      losses: before every update.
      exponents: of fresh sequences, (measure, rank), descending.
      log_singular_values: of the Jacobian of a whole run, (measure, rank), likewise.
    """

    losses: Any
    exponents: Any
    log_singular_values: Any


def begin(key: PRNGKey, size: int) -> tuple[lj.RNNParams, lj.RNNCarry]:
    """Returns a net, W_hh N(0, 1/N), W_ih N(0, 1), b U[0, 0.1], and a relaxed state."""
    key_cell, key_b, key_h = jax.random.split(key, 3)
    params = lj.RNN.init(
        key_cell,
        1,
        size,
        input_init=jax.random.normal,
        recurrent_init=initializers.gaussian,
        dtype=jnp.float64,
    )
    params = params._replace(
        b=MOST_BIAS * jax.random.uniform(key_b, (size,), jnp.float64)
    )
    first = lj.RNNCarry(h=jnp.tanh(jax.random.normal(key_h, (size,), jnp.float64)))
    start, _ = lj.unroll(lj.RNN, params, jnp.zeros((RELAXED, 1)), first)
    return params, start


def bits(key: PRNGKey, length: int) -> Float[Array, "time 1"]:
    """Returns random bits as inputs."""
    return jax.random.bernoulli(key, 0.5, (length, 1)).astype(jnp.float64)


def _optimizer(rate: float) -> optax.GradientTransformation:
    return optax.chain(optax.clip_by_global_norm(CLIP), optax.adam(rate))


def flossed(config: Any) -> tuple[list[int], list[Flossed]]:
    """Returns the updates at which nets were measured, and every net.

    `config` has the fields floss_* of `experiments.orthogonality`, log_interval and
    seed.
    """
    root = jax.random.fold_in(jax.random.key(config.seed), 2)
    every = min(config.log_interval, config.floss_updates)
    at = [*range(0, config.floss_updates + 1, every)]
    keys = jax.random.split(root, config.floss_seeds)
    compiled = partial(jax.jit, compiler_options=compiling.soon())
    update = compiled(partial(_updated, config, every))
    measure = compiled(partial(_measured, config.floss_length))
    return at, [_one_flossed(key, config, at, update, measure) for key in keys]


def _one_flossed(
    key: PRNGKey, config: Any, at: list[int], update: Any, measure: Any
) -> Flossed:
    key_net, key_data, key_test = jax.random.split(key, 3)
    params, start = begin(key_net, config.floss_size)
    state, losses = _optimizer(config.floss_rate).init(params), []
    measured = [measure(params, start, key_test)]
    for done in at[:-1]:
        of_stretch = jax.random.fold_in(key_data, done)
        params, state, loss = update(params, state, start, of_stretch)
        losses.append(loss)
        measured.append(measure(params, start, key_test))
    exponents, values = (np.stack(of) for of in zip(*measured, strict=True))
    return Flossed(np.concatenate(losses), exponents, values)


def _updated(
    config: Any, every: int, params: Any, state: Any, start: Any, key: PRNGKey
) -> Any:
    """Returns params, the optimiser's state and the losses after so many updates."""
    optimizer = _optimizer(config.floss_rate)

    def loss(params, xs):
        how = {"burn_in": BURN_IN, "qr_every": QR_EVERY, "carry": start}
        return lj.gradients.flossing(lj.RNN, params, xs, config.floss_exponents, **how)

    def update(carried, key):
        params, state = carried
        xs = bits(key, config.floss_length)
        value, gradients = jax.value_and_grad(loss)(params, xs)
        with jax.numpy_dtype_promotion("standard"):
            updates, state = optimizer.update(gradients, state)
            return (optax.apply_updates(params, updates), state), value

    keys = jax.random.split(key, every)
    (params, state), losses = jax.lax.scan(update, (params, state), keys)
    return params, state, losses


def _measured(
    length: int, params: Any, start: Any, key: PRNGKey
) -> tuple[Array, Array]:
    """Returns exponents and ln of singular values, means over fresh sequences."""

    def one(key):
        xs = bits(key, length)
        exponents = lj.lyapunov_exponents(
            lj.RNN, params, xs, burn_in=BURN_IN, carry=start
        )
        product = lj.gradients.product_singular_values(lj.RNN, params, xs, start)
        return exponents, product.log_singular_values

    found = jax.lax.map(one, jax.random.split(key, NUM_MEASURED))
    return jax.tree.map(lambda of: jnp.mean(of, axis=0), found)
