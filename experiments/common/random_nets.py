"""Untrained nets with Gaussian weights, and what is measured on many of them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from threadpoolctl import threadpool_limits

import lstm_jax as lj
from lstm_jax import initializers
from lstm_jax.gradients.lyapunov import lyapunov_spectrum
from lstm_jax.types import Carry, Params


def one_thread() -> AbstractContextManager[Any]:
    """Runs BLAS on one thread.

    On shared cores a QR of 100 columns spends its time waiting when BLAS has two
    threads: 12 ms of CPU time, against 0.3 ms on a single thread.
    """
    return threadpool_limits(limits=1, user_api="blas")


def net(
    cell: lj.Cell, key: jax.Array, size: int, gain: Any, input_size: int = 1
) -> tuple[Params, Carry]:
    """Returns a net with W_ij ~ N(0, g²/N), and a state away from its fixed point."""
    key_params, key_state = jax.random.split(key)
    drawn = {"recurrent_init": initializers.gaussian, "dtype": jnp.float64}
    params = cell.init(key_params, input_size, size, gain=gain, **drawn)
    empty, structure = jax.tree.flatten(cell.init_carry(params))
    keys = [jax.random.fold_in(key_state, at) for at in range(1, len(empty))]
    leaves = [
        jax.random.normal(key, leaf.shape)
        for key, leaf in zip([key_state, *keys], empty, strict=True)
    ]
    return params, jax.tree.unflatten(structure, leaves)


def spectra(
    cell: lj.Cell,
    size: int,
    gains: Sequence[float],
    *,
    seed: int,
    num_seeds: int,
    num_steps: int,
    burn_in: int,
    num_exponents: int | None = None,
) -> Any:
    """Returns the spectra of nets without input, leaves (gain, seed, ...)."""
    inputs = jnp.zeros((burn_in + num_steps, 1))

    def measure(key, gain):
        params, start = net(cell, key, size, gain)
        return lyapunov_spectrum(
            cell, params, inputs, num_exponents, burn_in=burn_in, carry=start
        )

    return side_by_side(measure, seed, num_seeds, gains)


def side_by_side(
    measure: Callable[[jax.Array, Any], Any],
    seed: int,
    num_seeds: int,
    gains: Sequence[float],
) -> Any:
    """Returns measure(key, gain) as numpy arrays, leaves (gain, seed, ...)."""
    keys = jax.random.split(jax.random.key(seed), num_seeds)
    keys = jnp.tile(keys, len(gains))
    repeated = jnp.repeat(jnp.asarray(gains, jnp.float64), num_seeds)
    # One net at a time rather than vmap: its weights then stay in the cache.
    one_by_one = jax.jit(lambda nets: jax.lax.map(lambda net: measure(*net), nets))
    found = one_by_one((keys, repeated))
    shaped = lambda leaf: leaf.reshape(len(gains), num_seeds, *leaf.shape[1:])
    return jax.tree.map(lambda leaf: shaped(np.asarray(leaf)), found)
