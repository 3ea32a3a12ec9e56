"""What tests of paths share: losses, and a cell of one's own."""

import jax
import jax.numpy as jnp
import numpy as np
from gradients.loops import HIDDEN, INPUT
from numpy.testing import assert_allclose
from problems import draw, drawn_like, make_carry, make_params

import lstm_jax as lj
from lstm_jax.gradients.paths import path_gradients, path_jacobians

TIME, BATCH = 5, 2


def path_and_whole_jacobians(cell, params, xs, carry):
    @jax.jit
    def both(carry):
        arguments = cell, params, xs, carry
        return path_jacobians(*arguments), lj.step_jacobians(*arguments)

    return both(carry)


def assert_paths_by_hand(cell, by_hand):
    """Asserts that those of a cell with one memory are `by_hand(params, m, x, a)`.

    Of one step: m the memory that enters it, a = dL/dm of the one that leaves it.
    """
    params, xs = make_params(cell), draw(TIME, BATCH, INPUT, seed=100)
    carry = make_carry(cell, params, (BATCH,))
    weights = draw(TIME, BATCH, HIDDEN, seed=101)
    found = jax.jit(
        lambda carry: path_gradients(
            cell, params, xs, lambda ys: jnp.sum(weights * ys), carry
        )
    )(carry)
    entering = [carry]
    for x in xs:
        entering.append(cell.step(params, entering[-1], x)[0])
    adjoint = np.zeros((BATCH, HIDDEN))
    for t in reversed(range(TIME)):
        expected = by_hand(params, entering[t][0], xs[t], adjoint + weights[t])
        adjoint = sum(expected.values())
        for name, path in expected.items():
            assert_allclose(found[name][0][t], path, rtol=1e-12, atol=1e-14)


def own_step(params, carry, x):
    f = jax.nn.sigmoid(x @ params["w_f"] + carry @ params["u_f"])
    g = jnp.tanh(x @ params["w_g"] + carry @ params["u_g"])
    new = f * carry + (1 - f) * g
    return new, new


def begin(params, batch_shape):
    return jnp.zeros((*batch_shape, HIDDEN))


def own_params():
    shapes = {"w": (INPUT, HIDDEN), "u": (HIDDEN, HIDDEN)}
    names = ("w_f", "u_f", "w_g", "u_g")
    return drawn_like({n: jnp.zeros(shapes[n[0]]) for n in names}, scale=0.5)


OWN = lj.from_function(own_step, begin)
