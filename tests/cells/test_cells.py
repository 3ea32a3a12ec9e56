"""Every cell against its equations, other libraries, and the promises of `Cell`."""

from functools import partial

import by_hand
import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from cells.sequences import (
    EVERY_CELL,
    EVERY_WIRING,
    FACTORY_VARIANTS,
    FEW_CELLS,
    OF_PAPERS,
    SIZES,
    WRONG_WIDTH,
    as_jax,
    each_kind_of,
    for_a_few_families,
    for_every_cell,
    for_every_dtype,
    inner,
    make_params,
    make_problem,
    solve,
    unrolled,
)
from comparing import assert_close

import lstm_jax as lj
from lstm_jax.cells.lstm2000 import lstm2000

# ---------------------------------------------------------------------------
# Against the oracles
# ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", lj.CELLS)
def test_a_cell_is_listed_under_its_own_name(name):
    assert lj.CELLS[name].name == name


@each_kind_of(EVERY_WIRING)
def test_values_and_gradients_agree_with_the_oracle(cell, x64):
    problem = make_problem(cell, jnp.float64)
    final, ys, wanted = by_hand.run(oracles.ORACLES[cell.name], *problem)
    got = solve(unrolled(cell), problem)
    assert_close(got, (final, ys, wanted.params, wanted.carry, wanted.xs))


@each_kind_of([*FEW_CELLS, *FACTORY_VARIANTS])
def test_adjoint_of_every_entering_carry_agrees_with_the_oracle(cell, x64):
    params, carry, xs, dys, dcarry = problem = make_problem(cell, jnp.float64)
    _, _, wanted = by_hand.run(oracles.ORACLES[cell.name], *problem)

    def probed_step(params, carry, x_and_probe):
        x, probe = x_and_probe
        return cell.step(params, jax.tree.map(jnp.add, carry, probe), x)

    @jax.jit
    @jax.grad
    def adjoints(probes):
        final, ys = lj.scan(probed_step, params, as_jax(carry), (xs, probes))
        return inner((ys, final), (dys, dcarry))

    assert_close(
        adjoints(jax.tree.map(jnp.zeros_like, wanted.entering)), wanted.entering
    )


# ---------------------------------------------------------------------------
# The four gates
# ---------------------------------------------------------------------------


@pytest.mark.parametrize(("d", "h"), [(1, 1), (2, 3), (7, 4)])
def test_number_of_parameters(d, h):
    def number(cell):
        params = jax.eval_shape(partial(cell.init, jax.random.key(0), d, h))
        return sum(leaf.size for leaf in params)

    assert number(lj.RNN) == h**2 + h * d + h
    assert number(lj.LSTM) == 4 * h**2 + 4 * h * d + 4 * h
    assert number(lj.FOUR_GATE) == 5 * h**2 + 4 * h * d + 5 * h


# ---------------------------------------------------------------------------
# Promises of every cell
# ---------------------------------------------------------------------------


@for_every_cell
def test_a_compiled_step_equals_an_eager_one(cell):
    params, carry, xs, *_ = as_jax(make_problem(cell))
    compiled = jax.jit(cell.step)(params, carry, xs[0])
    assert_close(compiled, cell.step(params, carry, xs[0]))


@for_every_cell
def test_vmap_over_examples_equals_the_native_batch(cell):
    params, carry, xs, *_ = as_jax(make_problem(cell))
    one_by_one = jax.vmap(cell.step, in_axes=(None, 0, 0))
    assert_close(one_by_one(params, carry, xs[0]), cell.step(params, carry, xs[0]))


@for_a_few_families
def test_gradients_under_vmap_equal_those_of_the_native_batch(cell):
    problem = make_problem(cell)

    def one_by_one(params, carry, xs):
        run = partial(unrolled(cell), params)
        return jax.vmap(run, in_axes=(0, 1), out_axes=(0, 1))(carry, xs)

    assert_close(solve(one_by_one, problem), solve(unrolled(cell), problem))


@pytest.mark.parametrize("batch_shape", [(), (SIZES.batch,), (1, SIZES.batch)])
@for_every_cell
def test_any_number_of_batch_axes(cell, batch_shape):
    params, carry, xs, *_ = as_jax(make_problem(cell))
    wanted = cell.step(params, carry, xs[0])

    def shaped(leaf):
        if batch_shape == ():
            return leaf[0]
        return leaf.reshape(*batch_shape, *leaf.shape[1:])

    got = cell.step(params, *jax.tree.map(shaped, (carry, xs[0])))
    assert_close(got, jax.tree.map(shaped, wanted))
    fresh = cell.init_carry(params, batch_shape)
    assert jax.tree.map(jnp.shape, fresh) == jax.tree.map(jnp.shape, got[0])


@for_every_cell
def test_the_carry_starts_empty(cell):
    params = make_params(cell)
    for leaf in cell.init_carry(params, (2, 3)):
        np.testing.assert_array_equal(leaf, np.zeros((2, 3, *leaf.shape[2:])))


@for_every_dtype
@each_kind_of([*EVERY_CELL, *OF_PAPERS])
def test_dtype_is_kept(cell, dtype, x64):
    """Under x64, so that a stray double shows, also where float32 was asked for."""

    def everything(key, problem):
        params = cell.init(key, SIZES.input, SIZES.hidden, dtype=dtype)
        carry = cell.init_carry(params, (SIZES.batch,))
        return params, carry, solve(unrolled(cell), problem)

    traced = jax.eval_shape(everything, jax.random.key(0), make_problem(cell, dtype))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(traced)} == {dtype}


@for_every_cell
def test_bfloat16_stays_near_float32(cell):
    low = make_problem(cell, jnp.bfloat16)
    high = jax.tree.map(lambda leaf: leaf.astype(np.float32), low)
    step = jax.jit(cell.step)
    (got, _), (wanted, _) = (step(p.params, p.carry, p.xs[0]) for p in (low, high))
    assert_close(got, wanted)


@each_kind_of([*EVERY_CELL, *OF_PAPERS])
def test_a_step_refuses_an_input_of_another_width(cell):
    params, carry, *_ = as_jax(make_problem(cell))
    with pytest.raises(ValueError, match=WRONG_WIDTH):
        cell.step(params, carry, jnp.ones((SIZES.batch, 5)))


# ---------------------------------------------------------------------------
# Initial weights
# ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("input_size", "hidden_size", "message"),
    [
        (0, 3, "input_size: got 0; it must be at least 1"),
        (3, 0, "hidden_size: got 0; it must be at least 1"),
        (-2, 3, "input_size: got -2; it must be at least 1"),
        (3, -2, "hidden_size: got -2; it must be at least 1"),
    ],
)
@for_every_cell
def test_init_refuses_sizes_below_one(cell, input_size, hidden_size, message, key):
    with pytest.raises(ValueError, match=message):
        cell.init(key, input_size, hidden_size)


in_float64 = pytest.mark.usefixtures("x64")


@pytest.mark.parametrize(
    ("cell", "options", "message"),
    [
        (
            lj.cells.lstm97(2),
            {},
            "hidden_size: got 3; it must be a multiple of block_size=2",
        ),
        (lstm2000(2), {}, "hidden_size: got 3; it must be a multiple of block_size=2"),
        (
            lj.cells.lstm97(biased="none"),
            {"input_bias": -1.0},
            "input_bias: it was given",
        ),
        (
            lj.cells.peephole_lstm("NFG"),
            {"forget_bias": 1.0},
            "there is no forget gate",
        ),
        (lj.cells.peephole_lstm("NIG"), {"input_bias": 1.0}, "there is no input gate"),
        (
            lj.cells.PROJECTION_LSTM,
            {"projection_size": 0},
            "projection_size: got 0; it must",
        ),
    ],
)
def test_init_refuses_what_has_nothing_to_act_on(cell, options, message, key):
    with pytest.raises(ValueError, match=message):
        cell.init(key, 2, 3, **options)
