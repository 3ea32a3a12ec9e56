"""The updates of Pascanu et al., against their formulas in NumPy."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import compiled, slow_but

import lstm_jax as lj
from experiments.common import msgd

TASK = lj.tasks.TEMPORAL_ORDER_PASCANU
TIME, UNITS, BATCH = 10, 6, 4
SLOPES = {"sigmoid": lambda h: h * (1 - h), "smart tanh": lambda h: 1 - h**2}


@partial(jax.jit, static_argnums=(1, 2))
def begun(key, init, units):
    return msgd.begin(key, init, TASK, units)


@partial(jax.jit, static_argnums=0)
def backward(init, model, batch):
    return msgd.backward(msgd.cell_of(init), TASK, model, batch)


@pytest.fixture(params=slow_but(["smart tanh"], SLOPES))
def init(request):
    return request.param


@pytest.fixture
def problem(init, x64):
    model = begun(jax.random.key(0), init, UNITS)
    # Larger weights, so that nothing is near zero.
    model = jax.tree.map(lambda w: np.asarray(w, float), model)
    model = jax.tree.map(lambda w: jnp.asarray(w + 0.3 * np.cos(100 * w)), model)
    batch = jax.jit(TASK.sample, static_argnums=(1, 2))(jax.random.key(1), BATCH, TIME)
    return model, batch._replace(inputs=jnp.asarray(batch.inputs, float))


def by_hand(init, model, batch):
    """Ω of the authors' code, with adjoints step by step; and its constants."""
    cell, readout = jax.tree.map(np.asarray, model)
    _, hs = compiled(lj.unroll, msgd.cell_of(init))(model.cell, batch.inputs)
    hs = np.asarray(hs)
    logits = hs[-1] @ readout.w + readout.b
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    shares[np.arange(BATCH), np.asarray(batch.targets)] -= 1
    adjoint, terms = shares @ readout.w.T / BATCH, []
    for h in hs[::-1]:
        returned = (adjoint * SLOPES[init](h)) @ cell.w_hh.T
        ratio = (returned**2).sum(1) / (adjoint**2).sum(1)
        counts = (adjoint**2).sum(1) >= 1e-20
        terms.append(np.where(counts, (ratio - 1) ** 2, 0).mean())
        adjoint = returned
    return np.sum(terms) / TIME


def test_omega_is_that_of_the_authors_code(init, problem):
    model, batch = problem
    _, _, run = backward(init, model, batch)
    found = jax.jit(msgd.omega)(model.cell.w_hh, run)
    assert_allclose(found, by_hand(init, model, batch), rtol=1e-12)


def test_adjoints_too_small_to_count_leave_omega():
    deltas, adjoints = jnp.ones((2, 1, 1)), jnp.array([[[1.0]], [[1e-11]]])
    run = msgd.Run(deltas, adjoints)
    assert_allclose(msgd.omega(2 * jnp.ones((1, 1)), run), (4 - 1) ** 2)


@pytest.mark.parametrize("init", ["smart tanh"])
def test_only_the_recurrent_weights_see_omega(init, problem):
    model, batch = problem
    cell = msgd.cell_of(init)
    _, gradients, run = backward(init, model, batch)
    of_omega = jax.jit(jax.grad(msgd.omega))(model.cell.w_hh, run)
    wanted = gradients._replace(
        cell=gradients.cell._replace(w_hh=gradients.cell.w_hh + 4 * of_omega)
    )
    wanted = jax.jit(msgd.clipped)(wanted, model)
    after, _ = jax.jit(
        partial(msgd.updated, cell, TASK, "MSGD-CR", msgd.Rates(0.1, 4.0))
    )(model, batch)
    for new, old, by in zip(*map(jax.tree.leaves, (after, model, wanted)), strict=True):
        assert_allclose(new, old - 0.1 * by, rtol=1e-12)


@pytest.mark.parametrize("init", ["smart tanh"])
def test_a_clip_keeps_the_direction_and_one_that_can_not_shrinks(init, problem):
    model, _ = problem
    norm = lambda tree: np.sqrt(sum((np.asarray(leaf) ** 2).sum() for leaf in tree))
    model, clipped = jax.tree.map(np.asarray, model), jax.jit(msgd.clipped)
    small = jax.tree.map(lambda w: 0.1 * w / norm(jax.tree.leaves(model)), model)
    for size, wanted in ((1.0, 0.1), (100.0, 1.0)):
        found = clipped(jax.tree.map(lambda w, s=size: s * w, small), model)
        assert_allclose(norm(jax.tree.leaves(found)), wanted)
    for size in (1e12, np.inf, np.nan):
        found = clipped(jax.tree.map(lambda w, s=size: s * w, small), model)
        assert_allclose(found.cell.w_hh, 0.02 * model.cell.w_hh)
        assert all((leaf == 0).all() for leaf in (found.cell.w_ih, *found.readout))


@pytest.mark.parametrize(
    ("init", "deviation"),
    [("sigmoid", 0.01), ("basic tanh", 0.1), ("smart tanh", 0.01)],
)
def test_the_starts_are_those_of_the_paper(init, deviation):
    model = jax.tree.map(np.asarray, begun(jax.random.key(0), init, 50))
    assert_allclose(model.cell.w_ih.std(), deviation, rtol=0.15)
    assert_allclose(model.readout.w.std(), deviation, rtol=0.15)
    assert (model.cell.b == 0).all()
    assert msgd.cell_of(init).name == ("rnn_logistic" if init == "sigmoid" else "rnn")
    if init == "smart tanh":
        assert ((model.cell.w_hh != 0).sum(0) == 15).all()
        assert_allclose(lj.initializers.radius_of(model.cell.w_hh), 0.95, rtol=1e-3)
    else:
        assert_allclose(model.cell.w_hh.std(), deviation, rtol=0.1)
