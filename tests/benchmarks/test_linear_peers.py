"""The peers of linear cells compute the NumPy steps of `oracles`."""

import jax
import numpy as np
import pytest
from oracles import ORACLES

from benchmarks.cases import layer_sides, linear
from benchmarks.peers import linear as peers
from benchmarks.peers import pytorch
from benchmarks.shapes import TINY

SHORT = TINY._replace(time=3, batch=2)


@pytest.mark.parametrize("cell", linear.CELLS, ids=lambda cell: cell.name)
def test_the_equations_are_those_of_the_cell(cell):
    problem = layer_sides.draw(SHORT, cell)
    start = cell.init_carry(problem.params, (SHORT.batch,))
    params, carry, xs = jax.tree.map(np.asarray, (problem.params, start, problem.xs))
    wanted = []
    for x in xs:
        carry, y = ORACLES[cell.name].step(params, carry, x)
        wanted.append(y)
    for run in peers.RUNS:
        apply = jax.jit(peers.layer(cell.name, run).apply)
        ys = apply(problem.params, problem.xs)
        np.testing.assert_allclose(ys, wanted, rtol=1e-5, atol=1e-6)
    if cell.name == "selective_ssm":
        weights = {k: pytorch.tensor(v) for k, v in params._asdict().items()}
        ys = peers.torch_selective_ssm(weights, pytorch.tensor(xs)).numpy()
        np.testing.assert_allclose(ys, wanted, rtol=1e-5, atol=1e-6)
