"""What limits the signal that travels back: windows and clipped adjoints."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cells.short_runs import BATCH, HIDDEN, INPUT, TIME, close, sequence
from problems import slow_but

import lstm_jax as lj


@pytest.mark.parametrize(
    ("window", "reverse"),
    slow_but(
        [(3, True)], [(1, False), (3, False), (3, True), (TIME, False), (100, True)]
    ),
)
def test_truncated_gradients_are_those_of_windows_with_given_carries(
    key, x64, window, reverse
):
    params = lj.LSTM.init(key, INPUT, HIDDEN, dtype=jnp.float64)
    xs = sequence(key)

    def truncated(params, xs):
        carry, ys = lj.unroll_truncated(
            lj.LSTM, params, xs, window=window, reverse=reverse
        )
        return jnp.sum(ys**2), carry

    def in_pieces(params, xs):
        starts = range(0, TIME, window)
        carry, total = lj.LSTM.init_carry(params, (BATCH,)), 0.0
        for start in reversed(starts) if reverse else starts:
            carry, ys = lj.unroll(
                lj.LSTM,
                params,
                xs[start : start + window],
                jax.lax.stop_gradient(carry),
                reverse=reverse,
            )
            total += jnp.sum(ys**2)
        return total, carry

    @jax.jit
    def both(params, xs):
        return [
            jax.value_and_grad(f, (0, 1), has_aux=True)(params, xs)
            for f in (truncated, in_pieces)
        ]

    close(*both(params, xs))
    with pytest.raises(ValueError, match="window: got 0; it must be at least 1"):
        lj.unroll_truncated(lj.LSTM, params, xs, window=0)


def test_clip_backward_limits_the_adjoint_at_every_step(key, x64):
    init = partial(lj.RNN.init, gain=3.0, dtype=jnp.float64)
    params = jax.jit(init, static_argnums=(1, 2))(key, INPUT, HIDDEN)
    xs = sequence(key)
    limit = 0.01
    probes = jnp.zeros((TIME, BATCH, HIDDEN))

    def adjoints(step):
        def probed(params, carry, x_and_probe):
            x, probe = x_and_probe
            return step(params, lj.RNNCarry(h=carry.h + probe), x)

        def loss(probes):
            start = lj.RNN.init_carry(params, (BATCH,))
            return jnp.sum(lj.scan(probed, params, start, (xs, probes))[1][-1])

        return np.linalg.norm(jax.jit(jax.grad(loss))(probes), axis=-1)

    def clipped(params, carry, x):
        return lj.RNN.step(params, lj.clip_backward(carry, limit), x)

    free, limited = adjoints(lj.RNN.step), adjoints(clipped)
    assert np.all(free[-1] > limit)
    np.testing.assert_allclose(limited[-1], limit)
    assert np.all(limited <= limit * (1 + 1e-12))
    assert (
        lj.scan_report(
            clipped, params, lj.RNN.init_carry(params, (BATCH,)), xs
        ).implementation
        == "weighted"
    )
    same, pullback = jax.vjp(lambda h: lj.clip_backward(h, 100.0), xs)
    close((same, *pullback(xs)), (xs, xs), 0)
