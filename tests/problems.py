"""Problems that several files pose alike: numbers drawn, cells, params and carries."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import lstm_jax as lj

in_float64 = pytest.mark.usefixtures("x64")
LINEAR = lj.rnn("linear")


def draw(*shape, seed=0, scale=1.0):
    """Normal numbers in float64; drawn by NumPy, which has nothing to compile."""
    return jax.device_put(scale * np.random.default_rng(seed).standard_normal(shape))


def drawn_like(tree, seed=0, scale=1.0) -> Any:
    """Every leaf drawn: no zero in it, biases included."""
    leaves, structure = jax.tree.flatten(tree)
    return structure.unflatten(
        [draw(*leaf.shape, seed=seed + n, scale=scale) for n, leaf in enumerate(leaves)]
    )


def make_params(cell, input_size=3, hidden_size=4) -> Any:
    """Params in float64 without a zero in them: the biases are drawn too."""
    sizes = {"input_size": input_size, "hidden_size": hidden_size}
    init = partial(cell.init, **sizes, dtype=jnp.float64)
    return drawn_like(jax.eval_shape(init, jax.random.key(0)), scale=0.5)


def make_carry(cell, params, batch=()):
    """A carry with something in it."""
    return drawn_like(cell.init_carry(params, batch), seed=200)


def make_cell(init_carry, step):
    """A cell that a user wrote; its params are made by the test."""
    return lj.Cell(name="own", init=lambda *_: (), init_carry=init_carry, step=step)


def recurrence(w):
    """Params of an RNN that reads nothing and whose Jacobian at 0 is `w`."""
    w = jnp.asarray(w)
    zeros = jnp.zeros((len(w),), w.dtype)
    return lj.RNNParams(w_ih=zeros[None], w_hh=w.T, b=zeros)


def rotation(size):
    """A random orthogonal matrix."""
    return np.linalg.qr(np.random.default_rng(0).standard_normal((size, size)))[0]


def silence(time, dtype: Any = jnp.float64):
    """Inputs that say nothing."""
    return jnp.zeros((time, 1), dtype)


def compiled(function, cell, **options):
    """A function of the library of this cell, as one program.

    Outside of jit each of its operations is compiled alone, in a thirtieth of a second.
    """
    return jax.jit(partial(function, cell, **options))


def every_output_counts(ys):
    """A loss in which no step is on its own."""
    return jnp.sqrt(1 + jnp.sum(jnp.sin(ys)) ** 2)


def assert_trees_close(actual, wanted, **tolerance):
    assert jax.tree.structure(actual) == jax.tree.structure(wanted)
    jax.tree.map(partial(assert_allclose, **tolerance), actual, wanted)


# A plain memory, a kept one, the lesson's, a shown one, and one that stops gradients.
ONE_OF_EACH_KIND = ("rnn", "lstm", "four_gate", "gru", "lstm97")


def slow_where(is_slow, values):
    """Parameters of a test, those of which another is as good marked slow.

    A tuple is several arguments.
    """
    return [
        pytest.param(
            *(v if type(v) is tuple else (v,)),
            marks=[pytest.mark.slow] * bool(is_slow(v)),
        )
        for v in values
    ]


def slow_but(kept, values):
    """Parameters of a test: those that are kept run always, the others are slow."""
    assert set(kept) <= {*values}, f"{kept} are not all among the values"
    return slow_where(lambda v: v not in kept, values)
