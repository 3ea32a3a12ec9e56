"""Gradients along paths, against hand-written ones and the whole."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradients.loops import HIDDEN, INPUT
from gradients.path_problems import BATCH, TIME, assert_paths_by_hand
from numpy.testing import assert_allclose, assert_array_equal
from problems import (
    assert_trees_close,
    draw,
    every_output_counts,
    in_float64,
    make_carry,
    make_params,
    slow_but,
)

import lstm_jax as lj
from lstm_jax.gradients.paths import (
    log_path_norms,
    path_gradients,
    path_shares,
)


def last_output(ys):
    return jnp.sum(ys[-1])


def summed(paths):
    return jax.tree.map(lambda *parts: sum(parts), *paths.values())


def lstm_paths_by_hand(params, xs, dys):
    """The Jacobians of an LSTM step written out, with NumPy; see its docstring."""
    w_ih, w_hh, b = (np.asarray(leaf) for leaf in params)
    sigmoid = lambda z: 1 / (1 + np.exp(-z))
    h = c = np.zeros((BATCH, HIDDEN))
    forward = []
    for x in np.asarray(xs):
        i, f, g, o = np.split(x @ w_ih + h @ w_hh + b, 4, axis=-1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c_before, c = c, f * c + i * g
        h = o * np.tanh(c)
        forward.append((i, f, g, o, c_before, c))
    w = dict(zip("ifgo", np.split(w_hh, 4, axis=-1), strict=True))
    dh = dc = np.zeros((BATCH, HIDDEN))
    paths = []
    for (i, f, g, o, c_before, c), dy in zip(forward[::-1], dys[::-1], strict=True):
        dh = dh + dy
        dc = dc + dh * o * (1 - np.tanh(c) ** 2)
        at_t = {
            "cell": (0 * dh, dc * f),
            "i": ((dc * g * i * (1 - i)) @ w["i"].T, 0 * dc),
            "f": ((dc * c_before * f * (1 - f)) @ w["f"].T, 0 * dc),
            "g": ((dc * i * (1 - g**2)) @ w["g"].T, 0 * dc),
            "o": ((dh * np.tanh(c) * o * (1 - o)) @ w["o"].T, 0 * dc),
        }
        dh, dc = (sum(part) for part in zip(*at_t.values(), strict=True))
        paths.append(at_t)
    return {
        name: lj.LSTMCarry(
            h=jnp.stack([at_t[name][0] for at_t in paths[::-1]]),
            c=jnp.stack([at_t[name][1] for at_t in paths[::-1]]),
        )
        for name in paths[0]
    }


@pytest.mark.slow
@in_float64
def test_paths_of_an_lstm_are_those_written_out_by_hand():
    params, xs = make_params(lj.LSTM), draw(TIME, BATCH, INPUT, seed=100)
    weights = draw(TIME, BATCH, HIDDEN, seed=101)  # every output is read
    loss = lambda ys: jnp.sum(weights * ys)

    @jax.jit
    def measured():
        arguments = lj.LSTM, params, xs, loss
        measures = path_gradients, log_path_norms, path_shares
        return [measure(*arguments) for measure in measures]

    gradients, log_norms, shares = measured()
    expected = lstm_paths_by_hand(params, xs, np.asarray(weights))
    assert set(gradients) == {"cell", "i", "f", "g", "o"}
    assert_trees_close(gradients, expected, rtol=1e-12, atol=1e-13)
    whole = summed(expected)
    square = sum((leaf**2).sum(-1) for leaf in whole)
    for name, path in expected.items():
        for found, part in zip(log_norms[name], path, strict=True):
            assert_allclose(np.exp(found), np.linalg.norm(part, axis=-1), rtol=1e-12)
        inner = sum((a * b).sum(-1) for a, b in zip(path, whole, strict=True))
        assert_allclose(shares[name], inner / square, rtol=1e-11, atol=1e-13)
    assert_allclose(sum(shares.values()), 1, rtol=1e-12)


def mgu_paths_by_hand(params, h, x, a):
    """Paths of one step of an MGU, a = dL/dh_t; see its docstring."""
    (w_f, w_n), (z_f, z_n) = (
        np.split(w, 2, axis=-1)
        for w in (params.w_hh, np.asarray(x @ params.w_ih + params.b))
    )
    inside = h @ w_n + params.b_hn
    f = 1 / (1 + np.exp(-(z_f + h @ w_f)))
    n = np.tanh(z_n + f * inside)
    dz_n = a * (1 - f) * (1 - n**2)
    dz_f = (a * (h - n) + dz_n * inside) * f * (1 - f)
    return {"cell": f * a, "f": dz_f @ w_f.T, "n": (f * dz_n) @ w_n.T}


@pytest.mark.slow
@in_float64
def test_paths_of_an_mgu_are_those_written_out_by_hand():
    assert_paths_by_hand(lj.cells.MGU, mgu_paths_by_hand)


@pytest.mark.slow
@in_float64
def test_each_layer_of_a_stack_has_its_own_paths():
    cell = lj.stack(lj.cells.MGU, lj.RNN)
    params, xs = make_params(cell), draw(TIME, BATCH, INPUT, seed=100)
    mask = jnp.ones((TIME, BATCH), bool).at[1, 0].set(False)

    @jax.jit
    def both(carry):
        arguments = cell, params, xs, every_output_counts, carry
        return (
            path_gradients(*arguments, mask=mask),
            lj.carry_gradients(*arguments, mask=mask),
        )

    paths, whole = both(make_carry(cell, params, (BATCH,)))
    assert set(paths) == {"0.cell", "0.f", "0.n", "1.h"}
    assert_trees_close(summed(paths), whole, rtol=1e-12, atol=1e-13)
    for name, path in paths.items():
        layer = int(name[0])
        assert np.any(path[layer].h) and not np.any(path[1 - layer].h)
    # A step that does not count hands each layer on along its own first path.
    assert_allclose(paths["0.cell"][0].h[1, 0], whole[0].h[1, 0], rtol=1e-13)
    assert_allclose(paths["1.h"][1].h[1, 0], whole[1].h[1, 0], rtol=1e-13)


@pytest.mark.slow
@in_float64
@pytest.mark.parametrize(
    "reverse", slow_but([False], [False, True]), ids=["forward", "reverse"]
)
def test_paths_add_up_under_every_mask(reverse):
    cell = lj.GRU
    params, xs = make_params(cell), draw(TIME, BATCH, INPUT, seed=100)
    carry = make_carry(cell, params, (BATCH,))
    masks: Any = {
        "mask": jnp.ones((TIME, BATCH), bool).at[1, 0].set(False),
        "resets": jnp.zeros((TIME, BATCH), bool).at[2, 1].set(True),
        "lengths": jnp.array([TIME, TIME - 1]),
    }

    @jax.jit
    def both():
        arguments = cell, params, xs, every_output_counts, carry
        return (
            path_gradients(*arguments, **masks, reverse=reverse),
            lj.carry_gradients(*arguments, **masks, reverse=reverse),
        )

    paths, whole = both()
    assert_trees_close(summed(paths), whole, rtol=1e-12, atol=1e-13)
    # A step that does not count hands everything on along the first path.
    assert_allclose(paths["cell"].h[1, 0], whole.h[1, 0], rtol=1e-13)
    assert np.all(whole.h[1, 0] != 0)
    for gate in ("r", "z", "n"):
        assert not np.any(paths[gate].h[1, 0])
    if not reverse:  # what enters a reset is forgotten on every path
        assert all(not np.any(path.h[2, 1]) for path in paths.values())


def test_nothing_underflows_on_a_path():
    """A linear RNN of one unit: the adjoint is w^(T-t), down to 1e-600."""
    cell, time, w = lj.rnn("linear"), 300, 0.01
    params = lj.RNNParams(jnp.ones((1, 1)), jnp.full((1, 1), w), jnp.zeros(1))

    @jax.jit
    def measured():
        arguments = cell, params, jnp.ones((time, 1)), last_output
        return log_path_norms(*arguments)["h"], path_shares(*arguments)["h"]

    log_norms, shares = measured()
    assert_allclose(log_norms.h, np.log(w) * np.arange(time, 0, -1), rtol=1e-6)
    assert_array_equal(shares, 1)


@pytest.mark.slow
@in_float64
def test_shares_where_one_leaf_is_far_below_the_other():
    """h has 1e-30 of the gradient of c, whose square no float32 holds."""
    params = make_params(lj.LSTM)
    params = params._replace(w_hh=1e-30 * params.w_hh)
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params)
    xs = draw(6, BATCH, INPUT).astype(jnp.float32)
    shares = path_shares(lj.LSTM, params, xs, last_output)
    assert_allclose(summed(shares), 1, rtol=1e-5)
