"""The peers of linear cells compute what the cells do."""

import jax
import numpy as np
import pytest

import lstm_jax as lj
from benchmarks.cases import layer_sides, linear
from benchmarks.peers import linear as peers
from benchmarks.peers import pytorch
from benchmarks.shapes import TINY

SHORT = TINY._replace(time=4, batch=2)
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def ours(cell):
    """A problem, and what the definition of `unroll` gives for it."""
    problem = layer_sides.draw(SHORT, cell)
    return problem, lj.unroll_reference(cell, problem.params, problem.xs)[1]


@pytest.mark.parametrize("cell", linear.CELLS, ids=lambda cell: cell.name)
def test_the_equations_are_those_of_the_cell(cell):
    problem, wanted = ours(cell)
    for run in peers.RUNS:
        apply = jax.jit(peers.layer(cell.name, run).apply)
        np.testing.assert_allclose(apply(problem.params, problem.xs), wanted, **CLOSE)


def test_the_loop_of_pytorch_is_the_selective_ssm():
    problem, wanted = ours(lj.cells.SELECTIVE_SSM)
    weights = {k: pytorch.tensor(v) for k, v in problem.params._asdict().items()}
    ys = peers.torch_selective_ssm(weights, pytorch.tensor(problem.xs))
    np.testing.assert_allclose(ys.numpy(), wanted, **CLOSE)
