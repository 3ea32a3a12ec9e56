"""Cells over short sequences, and the derivatives of all that they show."""

import inspect
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import comparing
import jax
import jax.numpy as jnp
import pytest
from comparing import drawn_like
from problems import ONE_OF_EACH_KIND, slow_but

import lstm_jax as lj
from lstm_jax import initializers
from lstm_jax.cells.lstm97_input_gate import LSTM97_INPUT_GATE
from lstm_jax.cells.lstm2000 import LSTM2000, lstm2000

FACTORY_VARIANTS = [
    lj.rnn("relu"),
    lj.rnn("logistic"),
    lj.rnn("linear"),
    lj.four_gate("ltm"),
]
EVERY_CELL = [*lj.CELLS.values(), *FACTORY_VARIANTS]
WITHOUT_PARTS = [
    lj.cells.peephole_lstm(variant)
    for variant in ("NIG", "NFG", "NOG", "NIAF", "NOAF", "FGR")
]
OF_PAPERS = [
    lj.cells.lstm97(block_size=2, truncated=True, biased="gates"),
    LSTM97_INPUT_GATE,
    LSTM2000,
    lstm2000(block_size=2, truncated=True),
]
TODAY = [
    lj.cells.min_gru(log_space=True),
    lj.cells.min_lstm(log_space=True),
    lj.cells.selective_ssm(2, eigenvalues=(-1, 1)),
    lj.cells.delta_product(1, beta_range=(0, 1)),
    lj.cells.slstm(2, forget_gate="exp"),
    lj.cells.block_diagonal(lj.LSTM, 2),
    lj.cells.block_diagonal(lj.cells.GRU_RESET_BEFORE, 2),
    lj.cells.delta_net((0, 2)),
    lj.cells.gated_delta_net((0, 2)),
]
EVERY_WIRING = [*EVERY_CELL, *WITHOUT_PARTS, *OF_PAPERS, *TODAY]

FEW_CELLS = [lj.CELLS[name] for name in ONE_OF_EACH_KIND]


def each_kind_of(cells):
    """Of every kind one; the others are slow."""
    return pytest.mark.parametrize(
        "cell", slow_but(FEW_CELLS, cells), ids=lambda cell: cell.name
    )


for_every_cell = each_kind_of(EVERY_CELL)
for_a_few_families = pytest.mark.parametrize(  # where a cell costs a second
    "cell", FEW_CELLS, ids=lambda cell: cell.name
)
for_every_dtype = pytest.mark.parametrize("dtype", comparing.TOLERANCES)


class Sizes(NamedTuple):
    time: int
    batch: int
    input: int
    hidden: int


SIZES = Sizes(time=4, batch=3, input=2, hidden=4)


class Problem(NamedTuple):
    """A cell over a sequence, and L = <dys, ys> + <dcarry, final carry>."""

    params: Any
    carry: Any
    xs: Any
    dys: Any
    dcarry: Any


def make_problem(
    cell: lj.Cell, dtype: Any = jnp.float32, sizes: Sizes = SIZES, **options: Any
):
    """Draws a problem of NumPy arrays; no bias and no initial memory is zero."""
    time, batch, input_size, hidden = sizes

    def shapes():
        init = partial(cell.init, dtype=dtype, **options)
        params = init(jax.random.key(0), input_size, hidden)
        carry = cell.init_carry(params, (batch,))
        xs = jnp.zeros((time, batch, input_size), dtype)
        step = partial(cell.step, params)
        ys = jnp.stack([step(carry, x)[1] for x in xs])
        return Problem(params, carry, xs, ys, carry)

    return drawn_like(jax.eval_shape(shapes), seed=1)


def as_jax(tree):
    return jax.tree.map(jax.device_put, tree)


def make_params(cell, dtype: Any = jnp.float32):
    return as_jax(make_problem(cell, dtype).params)


def inner(tree, other):
    return sum(map(jnp.vdot, jax.tree.leaves(tree), jax.tree.leaves(other)))


@partial(jax.jit, static_argnums=0)
def solve(run: Callable, problem: Problem):
    """Returns the final carry, ys, and dL with respect to params, carry and xs."""

    def loss(params, carry, xs):
        final, ys = run(params, carry, xs)
        return inner((ys, final), (problem.dys, problem.dcarry)), (final, ys)

    compute = jax.grad(loss, argnums=(0, 1, 2), has_aux=True)
    gradients, values = compute(problem.params, problem.carry, problem.xs)
    return *values, *gradients


@cache  # one function per cell, so that `solve` is compiled once for each
def unrolled(cell):
    return lambda params, carry, xs: lj.unroll(cell, params, xs, carry)


def by_gate(params):
    """Yields the letter of each gate of an LSTM with its w_ih, w_hh and b."""
    quarters = (jnp.split(leaf, 4, axis=-1) for leaf in params)
    return zip("ifgo", *quarters, strict=True)


WRONG_WIDTH = r"the last axis is 5; .* made with input_size=2"


def biases_only(options, cell=lj.LSTM):
    """Options of init that draw as little as possible beside the biases."""
    draws = dict.fromkeys(("input_init", "recurrent_init"), initializers.uniform)
    known = inspect.signature(cell.init).parameters
    return {name: draw for name, draw in draws.items() if name in known} | options


def float64_problem(cell: lj.Cell, sizes: Sizes = SIZES, **options: Any) -> Any:
    """The same in float64 and on the device, for tests that change what is drawn."""
    return as_jax(make_problem(cell, jnp.float64, sizes, **options))


GATES_BIASED = [lj.cells.lstm97(block_size, biased="gates") for block_size in (1, 2)]
