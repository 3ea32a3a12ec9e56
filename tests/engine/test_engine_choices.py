"""What the engine chooses by size: products with x inside the loop, or ahead of it."""

from collections import Counter
from functools import partial

import jax
import jax.numpy as jnp
import pytest
from numpy.testing import assert_allclose

import lstm_jax as lj

TIME = 3


def dots_in_loops(program):
    """The shapes of every product inside the loops of a program."""
    found = []
    for equation in program.eqns:
        inner = [p for p in equation.params.values() if hasattr(p, "eqns")]
        inner += [p.jaxpr for p in equation.params.values() if hasattr(p, "jaxpr")]
        for inside in inner:
            if equation.primitive.name == "scan":
                found += list(_dots(inside))
            else:
                found += dots_in_loops(inside)
    return found


def _dots(program):
    for equation in program.eqns:
        if equation.primitive.name == "dot_general":
            yield tuple(var.aval.shape for var in equation.invars)
        for parameter in equation.params.values():
            inside = getattr(parameter, "jaxpr", parameter)
            if hasattr(inside, "eqns"):
                yield from _dots(inside)


def test_a_product_that_a_sum_and_somebody_else_read_is_made_once():
    """y is a term of tanh's sum: swallowed by the sum it would be made twice."""

    def step(params, h, x):
        from_h = h @ params["w"]
        return jnp.tanh(from_h + x @ params["u"]), from_h

    params = {"w": jnp.ones((4, 4)), "u": jnp.ones((5, 4))}
    report = lj.scan_report(step, params, jnp.zeros((2, 4)), jnp.ones((TIME, 2, 5)))
    # Two points, where one that is only summed would be one of two products.
    apart = (("float32[2,4] @ 4x4",), ("float32[2,5] @ 5x4",))
    assert report.weight_products == apart


@pytest.mark.parametrize(
    ("rows", "width", "is_ahead"),
    [(2, 1024, True), (32, 1024, True), (33, 1024, False), (2, 1023, False)],
)
def test_a_large_matrix_and_few_rows_leave_the_loop(rows, width, is_ahead):
    """1024 x 1024 float32 weights are 4 MiB."""
    sizes = jax.eval_shape(lambda k: lj.LSTM.init(k, width, 256), jax.random.key(0))
    xs = jax.ShapeDtypeStruct((TIME, rows, width), jnp.float32)

    def loss(params, xs):
        return jnp.sum(lj.unroll(lj.LSTM, params, xs)[1])

    for function in (loss, jax.grad(loss)):
        program = jax.make_jaxpr(function)(sizes, xs)
        with_x = ((rows, width), (width, 1024)) in dots_in_loops(program.jaxpr)
        assert with_x == (not is_ahead)


@pytest.mark.parametrize(("time", "is_ahead"), [(2048, True), (2049, False)])
def test_a_forward_pass_holds_at_most_four_matrices_more(time, is_ahead):
    """Products of 2 rows and 2048 steps take 4 times the memory of 1024 x 1024."""
    sizes = jax.eval_shape(lambda k: lj.LSTM.init(k, 1024, 256), jax.random.key(0))
    xs = jax.ShapeDtypeStruct((time, 2, 1024), jnp.float32)
    program = jax.make_jaxpr(partial(lj.unroll, lj.LSTM))(sizes, xs)
    assert (((2, 1024), (1024, 1024)) in dots_in_loops(program.jaxpr)) != is_ahead


def test_products_ahead_change_nothing(key, monkeypatch):
    """The largest matrix counts as large; values and gradients stay."""
    from lstm_jax.engine import points

    key_params, key_xs = jax.random.split(key)
    params = lj.GRU.init(key_params, 3, 4)
    xs = jax.random.normal(key_xs, (TIME, 2, 3))

    def value_and_gradients():
        def loss(params, xs):
            return jnp.sum(lj.scan(step, params, start, xs)[1] ** 2)

        def step(*arguments):  # a new one, which is compiled anew
            return lj.GRU.step(*arguments)

        start = lj.GRU.init_carry(params, (2,))
        return jax.value_and_grad(loss, (0, 1))(params, xs)

    inside = value_and_gradients()
    monkeypatch.setattr(points, "LARGE_MATRIX", 0)
    ahead = value_and_gradients()
    jax.tree.map(
        lambda a, b: assert_allclose(a, b, rtol=1e-5, atol=1e-6), ahead, inside
    )


def test_the_gates_are_not_made_again_on_the_way_back():
    """They are kept by value; tanh(c), whose argument is kept, is made again."""
    sizes = jax.eval_shape(lambda k: lj.LSTM.init(k, 3, 4), jax.random.key(0))
    xs = jax.ShapeDtypeStruct((TIME, 2, 3), jnp.float32)

    def loss(params, xs):
        return jnp.sum(lj.unroll(lj.LSTM, params, xs)[1])

    forward = Counter(_names(jax.make_jaxpr(loss)(sizes, xs).jaxpr))
    both = Counter(_names(jax.make_jaxpr(jax.grad(loss))(sizes, xs).jaxpr))
    assert (forward["logistic"], forward["tanh"]) == (3, 2)
    assert (both["logistic"], both["tanh"]) == (3, 3)


def _names(program):
    for equation in program.eqns:
        yield equation.primitive.name
        for parameter in equation.params.values():
            inside = getattr(parameter, "jaxpr", parameter)
            if hasattr(inside, "eqns"):
                yield from _names(inside)
