"""Log-norms behind saturated activations, against arithmetic of 200 digits.

In float32 tanh(z) is 1 from z = 9 on, and 1 - tanh(z)² zero; at z = 80 the slope is
1e-69. Every step of these runs has pre-activations between 5 and 80.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from problems import slow_but

import lstm_jax as lj

TIME, INPUT, HIDDEN = 4, 2, 3
DIGITS = 200


class Dual:
    """A number with its slopes, in the precision of mpmath."""

    def __init__(self, value, slopes):
        self.value, self.slopes = value, slopes

    def __add__(self, other):
        other = dual(other, self)
        slopes = [a + b for a, b in zip(self.slopes, other.slopes, strict=True)]
        return Dual(self.value + other.value, slopes)

    def __mul__(self, other):
        other = dual(other, self)
        slopes = [
            a * other.value + b * self.value
            for a, b in zip(self.slopes, other.slopes, strict=True)
        ]
        return Dual(self.value * other.value, slopes)

    def __rsub__(self, other):
        return self * -1 + other

    __radd__, __rmul__ = __add__, __mul__


def dual(value, like):
    if isinstance(value, Dual):
        return value
    return Dual(mpmath.mpf(float(value)), [mpmath.mpf(0)] * len(like.slopes))


def function(of_value, slope):
    def apply(z):
        return Dual(of_value(z.value), [slope(z.value) * d for d in z.slopes])

    return np.vectorize(apply, otypes=[object])


tanh = function(mpmath.tanh, lambda z: 4 / (mpmath.exp(z) + mpmath.exp(-z)) ** 2)
sigmoid = function(
    lambda z: 1 / (1 + mpmath.exp(-z)),
    lambda z: 1 / (2 + mpmath.exp(z) + mpmath.exp(-z)),
)


def affine(x, w_x, h, w_h, b):
    """x W + h U + b; x and weights are numbers, h duals."""
    exact = np.vectorize(lambda v: mpmath.mpf(float(v)), otypes=[object])
    return exact(x) @ exact(w_x) + h @ exact(w_h) + exact(b)


def rnn_step(p, state, x):
    return tanh(affine(x, p.w_ih, state, p.w_hh, p.b))


def lstm_step(p, state, x):
    h, c = np.split(state, 2)
    i, f, g, o = np.split(affine(x, p.w_ih, h, p.w_hh, p.b), 4)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return np.concatenate([sigmoid(o) * tanh(c), c])


def gru_step(p, h, x):
    gates = zip(
        *(np.split(np.asarray(a), 3, -1) for a in (p.w_ih, p.w_hh, p.b)), strict=True
    )
    (w_r, v_r, b_r), (w_z, v_z, b_z), (w_n, v_n, b_n) = gates
    r = sigmoid(affine(x, w_r, h, v_r, b_r))
    z = sigmoid(affine(x, w_z, h, v_z, b_z))
    nothing = np.zeros_like(x)
    n = tanh(affine(x, w_n, 0 * h, v_n, b_n) + r * affine(nothing, w_n, h, v_n, p.b_hn))
    return z * h + (1 - z) * n


def exact_log_norms(step, params, state, xs, read):
    """ln ||dL/d(state that enters step t)||, L the sum of `read` of the last state."""
    jacobians = []
    for x in xs:
        unit = np.eye(len(state))
        state = [
            Dual(s, [mpmath.mpf(u) for u in e])
            for s, e in zip(state, unit, strict=True)
        ]
        after = step(params, np.array(state, object), x)
        jacobians.append(np.array([dual.slopes for dual in after]))
        state = [dual.value for dual in after]
    adjoint = np.array([mpmath.mpf(float(r)) for r in read])
    norms = []
    for jacobian in reversed(jacobians):
        adjoint = adjoint @ jacobian
        parts = np.split(adjoint, len(adjoint) // HIDDEN)
        norms.append([float(mpmath.log(mpmath.norm(part.tolist()))) for part in parts])
    return np.array(norms[::-1])


def saturated(tree, seed):
    """Weights of pre-activations between 5 and 80, of either sign."""
    rng = np.random.default_rng(seed)

    def draw(leaf):
        if leaf.ndim == 1:
            size = rng.uniform(40, 45, leaf.shape) * rng.choice([-1, 1], leaf.shape)
        else:
            size = rng.uniform(-5, 5, leaf.shape)
        return np.asarray(size, np.float32)

    return jax.tree.map(draw, tree)


def with_closed_gates(p):
    """A GRU that keeps nothing, unless it is 1e-17 of it."""
    r, _, n = np.split(p.b, 3)
    return p._replace(b=np.concatenate([r, -np.abs(r), n]))


def linen_params(p):
    """The weights of our LSTM, as those of Flax."""
    w_ih, w_hh, b = (np.split(np.asarray(a), 4, -1) for a in p)
    kernels = {
        **{f"i{gate}": {"kernel": w} for gate, w in zip("ifgo", w_ih, strict=True)},
        **{
            f"h{gate}": {"kernel": w, "bias": c}
            for gate, w, c in zip("ifgo", w_hh, b, strict=True)
        },
    }
    return {"params": kernels}


def of_linen(p):
    return lj.from_linen(nn.LSTMCell(HIDDEN)), linen_params(p)


# Cell, equations, how the cell is made of the params, the leaves in the oracle's order
CASES = {
    "rnn": (lj.RNN, rnn_step, lambda p: (lj.RNN, p), lambda c: [c.h]),
    "lstm": (lj.LSTM, lstm_step, lambda p: (lj.LSTM, p), lambda c: [c.h, c.c]),
    "gru": (lj.GRU, gru_step, lambda p: (lj.GRU, p), lambda c: [c.h]),
    "linen": (lj.LSTM, lstm_step, of_linen, lambda c: [c[1], c[0]]),
}


@pytest.mark.parametrize("seed", slow_but([0], range(3)))
@pytest.mark.parametrize("case", slow_but(["gru", "rnn"], CASES))
def test_log_norms_behind_saturated_activations(case, seed):
    like, step, made_of, leaves = CASES[case]
    init = partial(like.init, input_size=INPUT, hidden_size=HIDDEN)
    params = saturated(jax.eval_shape(init, jax.random.key(0)), seed)
    if case == "gru":
        params = with_closed_gates(params)
    xs = np.random.default_rng(9).uniform(-1, 1, (TIME, INPUT)).astype(np.float32)
    size = HIDDEN * len(jax.tree.leaves(like.init_carry(params)))
    with mpmath.workdps(200):
        zero = [mpmath.mpf(0)] * size
        read = [1.0] * HIDDEN + [0.0] * (size - HIDDEN)
        wanted = exact_log_norms(step, params, zero, xs, read)
    cell, own = made_of(params)
    found = jax.jit(
        lambda own, xs: lj.log_gradient_norms(cell, own, xs, lambda ys: ys[-1].sum())
    )(own, xs)
    assert wanted.min() < -5
    np.testing.assert_allclose(np.stack(leaves(found), -1), wanted, atol=1e-3, rtol=0)


def test_a_saturated_unit_beside_an_open_one():
    """Elementwise, so that every unit is on its own: ln |dL/dh_t| = Σ ln w tanh'(z)."""

    def step(p, h, x):
        h = p["w"] * jnp.tanh(h + p["b"] + 0 * x) * p["v"]
        return h, h

    def begin(p, batch):
        return jnp.zeros((*batch, 2), jnp.float32)

    w, v, b = (np.array(pair, np.float32) for pair in ((0.5, 1), (1, 3), (0.1, 60)))
    cell = lj.from_function(step, begin)
    xs = jnp.zeros((TIME, 2), jnp.float32)
    loss = lambda y: y[-1].sum()
    measure = jax.jit(partial(lj.gradients.log_gradients, cell, loss_fn=loss))
    found = measure({"w": w, "v": v, "b": b}, xs)
    h, slopes = [mpmath.mpf(0)] * 2, []
    for _ in range(TIME):
        z = [a + mpmath.mpf(float(c)) for a, c in zip(h, b, strict=True)]
        scale = [mpmath.mpf(float(a * c)) for a, c in zip(w, v, strict=True)]
        h = [s * mpmath.tanh(a) for s, a in zip(scale, z, strict=True)]
        slopes.append(
            [
                float(mpmath.log(s / mpmath.cosh(a) ** 2))
                for s, a in zip(scale, z, strict=True)
            ]
        )
    wanted = np.cumsum(np.array(slopes)[::-1], axis=0)[::-1]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-3)
