"""JANET: one gate that keeps and, β later, learns."""

import jax.numpy as jnp
import numpy as np
import pytest
from cells.sequences import float64_problem
from comparing import assert_close
from gradients.path_problems import assert_paths_by_hand
from problems import slow_but

import lstm_jax as lj
from lstm_jax.cells.janet import JANET, JANETCarry, JANETParams, janet

in_float64 = pytest.mark.usefixtures("x64")


def test_however_it_is_called_it_is_one_cell():
    assert JANET is janet() is janet(1) is janet(beta=1.0) is not janet(0.5)


@in_float64
@pytest.mark.parametrize("beta", slow_but([1.0], [0.0, 1.0, 2.5]))
def test_janet_is_an_lstm_whose_input_gate_is_tied_to_its_forget_gate(beta):
    """i = 1 - σ(s - β) = σ(β - s): minus the forget gate's weights, and β - b_f."""
    (w_ih, w_hh, b), (c,), xs, *_ = float64_problem(JANET)

    def four(leaf, shift=0.0):
        f, g = jnp.split(leaf, 2, axis=-1)
        return jnp.concatenate([shift - f, f, g, 0 * g], axis=-1)

    lstm = lj.LSTMParams(w_ih=four(w_ih), w_hh=four(w_hh), b=four(b, shift=beta))
    params, carry = JANETParams(w_ih=w_ih, w_hh=w_hh, b=b), JANETCarry(c=c)
    for x in xs:
        i, f, g, _ = lj.lstm_gates(lstm, carry.c, x)
        wanted = f * carry.c + i * g
        carry, y = janet(beta).step(params, carry, x)
        assert_close((carry.c, y), (wanted, wanted))


def paths_by_hand(params, c, x, a, beta=1.0):
    sigmoid = lambda z: 1 / (1 + np.exp(-z))
    w_f, w_g = np.split(params.w_hh, 2, axis=-1)
    s, g = np.split(x @ params.w_ih + c @ params.w_hh + params.b, 2, axis=-1)
    f, late, g = sigmoid(s), sigmoid(s - beta), np.tanh(g)
    dz_f = a * (c * f * (1 - f) - g * late * (1 - late))
    dz_g = a * (1 - late) * (1 - g**2)
    return {"cell": f * a, "f": dz_f @ w_f.T, "g": dz_g @ w_g.T}


@pytest.mark.slow
@in_float64
def test_its_paths_are_those_written_out_by_hand():
    assert_paths_by_hand(JANET, paths_by_hand)
