"""The gradient curve, norms of all carries at all steps, against the plain gradient.

The plain gradient is `value_and_grad` with respect to weights and first carry. The two
compute different things: what is compared is what both give, the norm of the gradient
with respect to the carry that enters step 0.
"""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp

import lstm_jax as lj
from benchmarks.cases import layer_sides
from benchmarks.cases.layer_sides import Problem
from benchmarks.shapes import Shape
from benchmarks.sides import Comparison, Setting, Side, jax_side


def curve(shape: Shape, setting: Setting) -> Iterator[Comparison]:
    """Both curves against the plain gradient through `lj.unroll`, ours and plain."""
    problem = layer_sides.draw(shape)
    plain = [
        plain_gradient("value_and_grad", "auto", problem, setting),
        plain_gradient("value_and_grad plain", "plain", problem, setting),
    ]
    curves = {
        "gradient_norms": (lj.gradient_norms, lambda norms: norms),
        "log_gradient_norms": (lj.log_gradient_norms, jnp.exp),
    }
    for work, (measure, to_norm) in curves.items():
        our = curve_side(measure, to_norm, problem, setting)
        for peer in plain:
            yield Comparison("curve", shape.name, work, our, peer)


def curve_side(
    measure: Callable, to_norm: Callable, problem: Problem, setting: Setting
) -> Side:
    """Returns the side of one of our functions."""

    def function(params, xs, cotangent):
        return measure(lj.LSTM, params, xs, lambda ys: jnp.sum(ys * cotangent))

    def home(norms):
        return {"h": to_norm(norms.h[0]), "c": to_norm(norms.c[0])}

    return jax_side("lstm_jax", function, tuple(problem), setting, home)


def plain_gradient(
    name: str, implementation: str, problem: Problem, setting: Setting
) -> Side:
    """Returns the side of the plain gradient, by one implementation of `unroll`."""
    first = lj.LSTM.init_carry(problem.params, problem.xs.shape[1:-1])

    def loss(params, carry, xs, cotangent):
        _, ys = lj.unroll(lj.LSTM, params, xs, carry, implementation=implementation)
        return jnp.sum(ys * cotangent)

    def home(results):
        _, (_, carry) = results
        norms = jax.tree.map(lambda leaf: jnp.linalg.norm(leaf, axis=-1), carry)
        return {"h": norms.h, "c": norms.c}

    return jax_side(
        name,
        jax.value_and_grad(loss, argnums=(0, 1)),
        (problem.params, first, problem.xs, problem.cotangent),
        setting,
        home,
    )
