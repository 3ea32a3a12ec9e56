"""What tests of paths share: losses, and a cell of one's own."""

import jax
import jax.numpy as jnp
from gradients.loops import HIDDEN, INPUT
from problems import drawn_like

import lstm_jax as lj
from lstm_jax.gradients.paths import (
    path_jacobians,
)

TIME, BATCH = 5, 2


def path_and_whole_jacobians(cell, params, xs, carry):
    @jax.jit
    def both(carry):
        arguments = cell, params, xs, carry
        return path_jacobians(*arguments), lj.step_jacobians(*arguments)

    return both(carry)


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
