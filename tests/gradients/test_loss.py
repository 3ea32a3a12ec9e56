"""Losses that no gradient can be taken of are refused by name."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradients.loops import both_measures, make_sequence
from gradients.ragged import CELL, LENGTHS, TIME, float64_run, last
from jax.tree_util import Partial
from problems import LINEAR, in_float64, slow_but

import lstm_jax as lj
from lstm_jax.gradients.units import log_gradients

NOT_A_LOSS = {
    "one number per step": lambda ys: jnp.sum(ys, -1),
    "an array of one number": lambda ys: jnp.sum(ys)[None],
    "complex": lambda ys: jax.lax.complex(jnp.sum(ys), jnp.sum(ys)),
    "integer": lambda ys: jnp.argmax(ys[-1]),
}


@in_float64
@both_measures
@pytest.mark.parametrize("loss", NOT_A_LOSS)
def test_what_is_not_one_real_number_is_refused(measure, loss):
    params, xs, _ = make_sequence(lj.RNN)
    with pytest.raises(ValueError, match=r"loss_fn: .* one real number"):
        measure(lj.RNN, params, xs, Partial(NOT_A_LOSS[loss]))


@pytest.mark.parametrize(
    "loss", [lambda ys: (ys.sum(), 1), lambda ys: None, lambda ys: jnp.inf * ys.sum()]
)
@pytest.mark.parametrize(
    "measure", [lj.carry_gradients, lj.log_gradient_norms, log_gradients]
)
def test_a_loss_that_is_no_number_is_refused_by_name(measure, loss):
    params = LINEAR.init(jax.random.key(0), 1, 2)
    with pytest.raises(ValueError, match="loss_fn: it returned"):
        measure(LINEAR, params, jnp.ones((3, 1)), loss)


@pytest.fixture
def run(x64):
    """Params and inputs of sequences of different lengths, in float64."""
    return float64_run()


OF: dict[str, Any] = {"lengths": LENGTHS}
MEASURES: dict[str, Callable[..., Any]] = {
    "carry_gradients": lj.carry_gradients,
    "gradient_norms": lj.gradient_norms,
    "log_gradient_norms": lj.log_gradient_norms,
    "log_gradients": lj.gradients.log_gradients,
    "input_gradients": lj.input_gradients,
    "log_input_gradient_norms": lj.log_input_gradient_norms,
    "weight_contributions": lj.gradients.weight_contributions,
    "log_weight_contributions": lj.gradients.log_weight_contributions,
    "path_gradients": lj.gradients.path_gradients,
    "log_path_norms": lj.gradients.log_path_norms,
    "path_shares": lj.gradients.path_shares,
    "log_carousel_norms": lj.gradients.log_carousel_norms,
    "omega": lj.gradients.omega,
    "recorder": lambda cell, params, xs, loss_fn, **masks: lj.gradients.recorder(
        cell, xs, loss_fn, every=1, capacity=1, **masks
    ).init(params),
}
TOLD = (
    r"^loss_fn: of sequence 1 it reads only steps that don't count, whose outputs are "
    r"zeros; it must read one that does, as lj.last_step\(ys, lengths\) does$"
)


@pytest.mark.parametrize(
    "name", slow_but(["carry_gradients", "path_shares", "recorder"], MEASURES)
)
def test_a_loss_of_padding_is_refused_everywhere(name, run):
    with pytest.raises(ValueError, match=TOLD):
        MEASURES[name](CELL, *run, lambda ys: ys[-1].sum(), **OF)


@pytest.mark.parametrize(
    "loss_fn",
    [
        lambda ys: (ys[-1] ** 2).sum(),  # without a gradient at zero
        lambda ys: jnp.where(jnp.arange(4)[:, None] == 1, ys[-1], ys[0]).sum(),
        lambda ys: ys[5:, 1].mean() + ys[0, 3:].sum(),
    ],
)
def test_padding_is_found_where_its_zeros_hide_it(loss_fn, run):
    params, xs = run
    with pytest.raises(ValueError, match=TOLD):
        lj.log_gradient_norms(CELL, params, xs, loss_fn, **OF)


@pytest.mark.parametrize(
    "loss_fn",
    [
        last,
        lambda ys: ys.mean(),
        lambda ys: ys[-1, 0].sum(),  # the longest alone
        lambda ys: jnp.maximum(ys.mean() - 9.0, 0.0),  # without a gradient anywhere
        lambda ys: 1e-3 * (ys**2).sum(),
    ],
)
def test_what_reads_a_step_that_counts_or_nothing_is_measured(loss_fn, run):
    params, xs = run
    norms = lj.log_gradient_norms(CELL, params, xs, loss_fn, **OF)
    assert norms.c.shape == (TIME, len(LENGTHS))


def test_padding_of_a_mask_counts_and_a_sequence_without_steps_does_not(run):
    params, xs = run
    mask: Any = np.arange(TIME)[:, None] < LENGTHS
    with pytest.raises(ValueError, match=TOLD):
        lj.log_gradient_norms(CELL, params, xs, lambda ys: ys[-1].sum(), mask=mask)
    lengths = np.array([TIME, TIME, 0, TIME])
    norms = lj.log_gradient_norms(
        CELL, params, xs, lambda ys: ys[-1].sum(), lengths=lengths
    )
    assert np.all(norms.h[:, 2] == -np.inf)


@pytest.mark.slow
def test_under_jit_nobody_can_tell(run):
    measure = jax.jit(
        lambda params, xs: lj.log_gradient_norms(
            CELL, params, xs, lambda ys: ys[-1].sum(), **OF
        )
    )
    assert np.all(measure(*run).c[:, 1] == -np.inf)
