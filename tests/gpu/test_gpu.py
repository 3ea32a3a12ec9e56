"""The engine and cuDNN on the default device, against float64 on the CPU.

`python3 -m pytest -m gpu` runs this file alone, on the packages that are there; without
a GPU the tests of the engine run too, on what there is.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj

pytestmark = pytest.mark.gpu
on_a_gpu = pytest.mark.skipif(
    jax.default_backend() != "gpu",
    reason="no GPU: tests/test_cudnn.py checks what is around cuDNN, on any device",
)
TIME, BATCH, INPUT, HIDDEN = 40, 4, 3, 16
LENGTHS = np.array([TIME, 25, 1, 0])
CELLS = ("rnn", "gru", "lstm", "four_gate", "lru", "selective_ssm", "delta_net")
MASKS = {
    "whole": {},
    "lengths": {"lengths": LENGTHS},
    "reverse": {"reverse": True, "lengths": LENGTHS},
}
FLOAT32, TENSORFLOAT32, BFLOAT16 = 2e-5, 1e-2, 5e-2  # of a leaf's largest entry


def problem(cell, dtype=np.float32):
    """Weights, inputs and a carry, drawn by NumPy: the same on every device."""
    rng = np.random.default_rng(0)
    like = jax.eval_shape(
        partial(cell.init, input_size=INPUT, hidden_size=HIDDEN), jax.random.key(0)
    )
    params = jax.tree.map(lambda leaf: 0.3 * rng.standard_normal(leaf.shape), like)
    carry = jax.tree.map(
        lambda leaf: 0.3 * rng.standard_normal(leaf.shape),
        jax.eval_shape(partial(cell.init_carry, batch_shape=(BATCH,)), like),
    )
    xs = rng.standard_normal((TIME, BATCH, INPUT))
    return jax.tree.map(lambda leaf: leaf.astype(dtype), (params, xs, carry))


def loss(cell, how, params, xs, carry):
    leaving, ys = lj.unroll(cell, params, xs, carry, **how)
    leaves = [*jax.tree.leaves(leaving), ys]
    return sum(jnp.sum(jnp.sin(leaf.astype(jnp.float32))) for leaf in leaves)


def loss_and_gradient(cell, how, *arguments):
    return jax.value_and_grad(partial(loss, cell, how), (0, 1, 2))(*arguments)


def forward_mode(cell, how, *arguments):
    run = partial(lj.unroll, cell, **how)
    return jax.jvp(run, arguments, arguments)


def curvature(cell, how, *arguments):
    gradient = jax.grad(partial(loss, cell, how), (0, 1, 2))
    return jax.jvp(gradient, arguments, arguments)[1]


def side_by_side(cell, how, *arguments):
    two = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf / 2]), arguments)
    return jax.vmap(jax.grad(partial(loss, cell, how), (0, 1, 2)))(*two)


DERIVATIVES = [loss_and_gradient, forward_mode, curvature, side_by_side]


def in_float64(function, cell, masks, *arguments):
    """The same by the plain scan, on the CPU."""
    wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), arguments)
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        found = jax.jit(partial(function, cell, {**masks, "implementation": "plain"}))
        return jax.tree.map(np.asarray, found(*wide))


def assert_near(got, wanted, allowed):
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        one, other = (np.asarray(leaf, np.float64) for leaf in (one, other))
        assert np.max(np.abs(one - other)) <= allowed * max(1, np.max(np.abs(other)))


@pytest.mark.parametrize("function", DERIVATIVES)
@pytest.mark.parametrize("name", CELLS)
def test_the_engine_is_the_plain_scan_in_float64(name, function):
    cell, masks = lj.CELLS[name], MASKS["lengths"]
    arguments = problem(cell)
    got = jax.jit(partial(function, cell, masks))(*arguments)
    assert_near(got, in_float64(function, cell, masks, *arguments), FLOAT32)


@pytest.mark.parametrize("name", ["lru", "selective_ssm", "delta_net"])
def test_a_tree_is_the_plain_scan_in_float64(name):
    cell, masks = lj.CELLS[name], MASKS["lengths"]
    arguments = problem(cell)
    how = {**masks, "implementation": "associative"}
    got = jax.jit(partial(loss_and_gradient, cell, how))(*arguments)
    assert_near(got, in_float64(loss_and_gradient, cell, masks, *arguments), FLOAT32)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_log_norms_of_the_gradient_are_those_of_float64(name):
    cell = lj.CELLS[name]
    params, xs, _ = problem(cell)

    def curve(_, how, params, xs):
        at_the_end = lambda ys: jnp.sum(ys[-1])
        return lj.log_gradient_norms(cell, params, xs, at_the_end)

    got = jax.jit(partial(curve, cell, {}))(params, xs)
    assert_near(got, in_float64(curve, cell, {}, params, xs), FLOAT32)


@pytest.mark.parametrize("cell", [lj.LSTM, lj.mixed(lj.LSTM)], ids=lambda c: c.name)
def test_bfloat16_keeps_two_digits(cell):
    alone = cell is lj.LSTM  # else weights, memory and gradients are in float32
    arguments = problem(lj.LSTM, jnp.bfloat16 if alone else np.float32)
    got = jax.jit(partial(loss_and_gradient, cell, {}))(*arguments)
    assert_near(got, in_float64(loss_and_gradient, lj.LSTM, {}, *arguments), BFLOAT16)
    if not alone:
        assert {leaf.dtype for leaf in jax.tree.leaves(got)} == {np.dtype("float32")}


@on_a_gpu
@pytest.mark.parametrize("name", MASKS)
def test_cudnn_is_the_plain_scan_in_float64(name):
    masks, arguments = MASKS[name], problem(lj.LSTM)
    how = {**masks, "implementation": "cudnn"}
    wanted = in_float64(loss_and_gradient, lj.LSTM, masks, *arguments)
    run = partial(loss_and_gradient, lj.LSTM, how)
    assert_near(jax.jit(run)(*arguments), wanted, FLOAT32)
    with jax.default_matmul_precision(None):  # tensorfloat32 on a GPU
        assert_near(jax.jit(run)(*arguments), wanted, TENSORFLOAT32)
    values = partial(lj.unroll, lj.LSTM)
    assert_near(values(*arguments, **how), values(*arguments, **masks), FLOAT32)


@on_a_gpu
def test_cudnn_never_reads_what_lies_beyond_lengths():
    params, xs, carry = problem(lj.LSTM)
    dirty = np.where(np.arange(TIME)[:, None, None] < LENGTHS[:, None], xs, np.nan)
    how = {"lengths": LENGTHS, "implementation": "cudnn"}
    run = jax.jit(partial(loss_and_gradient, lj.LSTM, how))
    assert_near(run(params, dirty, carry), run(params, xs, carry), FLOAT32)


@on_a_gpu
def test_layers_and_directions_go_through_cudnn_one_by_one():
    cell = lj.stack(lj.cells.bidirectional(lj.LSTM), lj.cells.bidirectional(lj.LSTM))
    params = cell.init(jax.random.key(0), INPUT, HIDDEN)
    xs = jax.random.normal(jax.random.key(1), (TIME, BATCH, INPUT))
    ys, by_cudnn = (
        lj.unroll(cell, params, xs, lengths=LENGTHS, implementation=name)[1]
        for name in ("auto", "cudnn")
    )
    assert_near(by_cudnn, ys, FLOAT32)


@on_a_gpu
def test_cudnn_has_no_forward_mode():
    with pytest.raises(TypeError, match="forward-mode"):
        forward_mode(lj.LSTM, {"implementation": "cudnn"}, *problem(lj.LSTM))
