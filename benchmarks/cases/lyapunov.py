"""All Lyapunov exponents of 8 gains and 4 seeds, against their products and QR alone.

One program: a tanh RNN with Gaussian weights and no input, all directions
orthonormalised at every step. The time is proportional to T, so a few steps are enough.
The peer multiplies 32 matrices by 32 frames and factors the results, T times, but reads
nothing off them; ours also computes ln|det J_t| at every step, by LU.
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp

import lstm_jax as lj
from benchmarks.shapes import Shape
from benchmarks.sides import Comparison, Setting, jax_side, timed_alone
from lstm_jax import initializers
from lstm_jax.linalg import qr

GAINS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)
SEEDS = 4


def lyapunov(shape: Shape, setting: Setting) -> Iterator[Comparison]:
    """Exponents against products and QR."""
    keys = jax.random.split(jax.random.key(0), SEEDS)
    xs = jnp.zeros((shape.time, shape.input))
    size = (len(GAINS) * SEEDS, shape.hidden, shape.hidden)
    matrices = jax.random.normal(keys[0], size) / shape.hidden**0.5

    def spectra(keys, xs):
        def one(gain, key):
            params = lj.RNN.init(
                key,
                shape.input,
                shape.hidden,
                gain=gain,
                recurrent_init=initializers.gaussian,
            )
            start = jax.random.normal(key, (shape.hidden,))
            found = lj.gradients.lyapunov_spectrum(
                lj.RNN, params, xs, carry=lj.RNNCarry(h=start)
            )
            return found.exponents

        over_seeds = jax.vmap(one, in_axes=(None, 0))
        return jax.vmap(over_seeds, in_axes=(0, None))(jnp.array(GAINS), keys)

    def products_and_qr(matrices):
        def step(frames, _):
            return qr(matrices @ frames)[0], ()

        return jax.lax.scan(step, matrices, length=shape.time)[0]

    sides = (
        jax_side("lj.gradients.lyapunov_spectrum", spectra, (keys, xs), setting),
        jax_side("products and QR", products_and_qr, (matrices,), setting),
    )
    ours, peer = map(timed_alone, sides)  # they do not do the same work
    yield Comparison(
        "lyapunov", shape.name, "all exponents", ours, peer, measures=("time",)
    )
