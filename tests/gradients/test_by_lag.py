"""Sequences of different lengths: read at their own ends, their curves moved there."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal

import lstm_jax as lj
from lstm_jax import gradients, plots

TIME, LENGTHS = 9, np.array([9, 4, 1, 6])
CELL = lj.LSTM


@cache
def in_float64():
    params = CELL.init(jax.random.key(0), 3, 4, dtype=jnp.float64)
    xs = jax.random.normal(jax.random.key(1), (TIME, len(LENGTHS), 3), jnp.float64)
    return params, xs


@pytest.fixture
def run(x64):
    """Params and inputs of sequences of different lengths, in float64."""
    return in_float64()


def last(ys):
    return lj.last_step(ys, LENGTHS).sum()


@cache
def curves():
    return lj.log_gradient_norms(CELL, *in_float64(), last, lengths=LENGTHS)


@cache
def alone(k):
    """The curves of one sequence without its padding."""
    params, xs = in_float64()
    xs = xs[: LENGTHS[k], k]
    return lj.log_gradient_norms(CELL, params, xs, lambda ys: ys[-1].sum())


def test_a_moved_curve_is_that_of_the_sequence_alone(run):
    moved = lj.gradients.by_lag(curves(), LENGTHS)
    assert isinstance(moved, lj.LSTMCarry)
    for k, length in enumerate(LENGTHS):
        for leaf, wanted in zip(moved, alone(k), strict=True):
            assert leaf.shape == (TIME, len(LENGTHS))
            assert_allclose(leaf[TIME - length :, k], wanted, rtol=1e-12)
            assert np.isnan(leaf[: TIME - length, k]).all()


READERS = {
    "decay_rate": lj.decay_rate,
    "fit_decay": lambda curve: lj.fit_decay(curve).stderr,
    "half_life": lambda curve: lj.half_life(lj.decay_rate(curve)),
    "horizon": lambda curve: lj.horizon(curve, 0.5),
    "horizon, of what is never lost": lambda curve: lj.horizon(curve, 1e-30),
    "rounding_lag": lambda curve: lj.gradients.rounding_lag(8 * curve, jnp.bfloat16),
    "underflow_lag": lambda curve: lj.gradients.underflow_lag(curve - 7.5, jnp.float16),
    "effective_window": lj.gradients.effective_window,
}


@pytest.mark.parametrize("name", READERS)
def test_what_is_read_off_a_moved_curve_is_read_off_the_sequence_alone(name, run):
    read = READERS[name]
    found = read(lj.joint_log_norms(lj.gradients.by_lag(curves(), LENGTHS)))
    wanted = [read(lj.joint_log_norms(alone(k))) for k in range(len(LENGTHS))]
    assert_allclose(found, np.stack(wanted), rtol=1e-10)
    if name != "fit_decay":  # which needs three entries
        assert np.isfinite(found[0]) or "never" in name


def test_shares_are_nan_before_the_beginning_alone(run):
    shares = lj.log_shares(lj.gradients.by_lag(curves().c, LENGTHS))
    assert_array_equal(shares[-1], 0)
    assert_array_equal(np.isnan(shares).sum(0), TIME - LENGTHS)


def test_the_window_of_a_fit_counts_steps_of_the_moved_curve(run):
    curve = lj.gradients.by_lag(curves().c, LENGTHS)
    first, last = lj.fit_decay(curve).window
    assert_array_equal(first, TIME - LENGTHS)
    assert_array_equal(last, TIME - 1)
    cut = lj.fit_decay(curve, (2, TIME - 1))
    assert_allclose(cut.rate[1], lj.decay_rate(alone(1).c[:-1]), rtol=1e-10)


@pytest.mark.parametrize("name", READERS)
def test_nan_after_the_beginning_is_a_number_that_nobody_knows(name, run):
    curve = lj.gradients.by_lag(curves().c, LENGTHS).at[TIME - 3, 1].set(jnp.nan)
    unknown = READERS[name](curve)
    wanted = -1 if name == "effective_window" else np.nan
    assert_array_equal(unknown[1], wanted)
    assert_array_equal(unknown[0], READERS[name](curve[:, 0]))
    assert_array_equal(READERS[name](jnp.full((5,), jnp.nan)), wanted)


def test_a_sequence_without_a_step_is_nan_and_lengths_may_be_traced(run):
    curve = curves().h
    moved = jax.jit(lj.gradients.by_lag)(curve, jnp.array([TIME, 4, 0, 99]))
    assert np.isnan(moved[:, 2]).all()
    assert_array_equal(moved[:, 3], curve[:, 3])  # clipped
    eager = lj.gradients.by_lag(curve, np.array([TIME, 4, 0, 6]))
    assert_array_equal(moved[:, :3], eager[:, :3])


def test_gradients_themselves_are_moved_too(run):
    params, xs = run
    gradient = lj.carry_gradients(CELL, params, xs, last, lengths=LENGTHS).c
    moved = lj.gradients.by_lag({"c": gradient, "none": None}, LENGTHS)
    assert moved["none"] is None and moved["c"].shape == gradient.shape
    assert_array_equal(moved["c"][-1], gradient[LENGTHS - 1, np.arange(4)])


def test_the_plots_leave_nan_out():
    axes = Figure().subplots()
    quartiles = np.linspace(-1, -3, 3)[::-1, None] * np.arange(6)
    quartiles[:, 4:] = np.nan
    plots.share_curve(axes, quartiles, "lstm", "lstm")
    plots.cumulative_curve(axes, np.array([3.0, np.nan, 1.0, np.inf]), "units")
    lines: Any = axes.lines
    share, units = lines
    assert_array_equal(np.isnan(share.get_ydata()), [0, 0, 0, 0, 1, 1])
    assert_allclose(units.get_ydata(), [1 / 3, 2 / 3])
    values = np.array([[np.nan, -2.0], [0.5, 1.0]])
    plots.heat_map(axes, values, "memory", signed=True)
    assert axes.images[0].get_clim() == (-2, 2)
    plots.time_lag_picture(axes, -(values**2), np.arange(2))
    assert axes.dataLim.bounds and np.isfinite(axes.get_ylim()).all()


# ---------------------------------------------------------------------------
# A loss that reads nothing of a sequence but its padding
# ---------------------------------------------------------------------------

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


@pytest.mark.parametrize("name", MEASURES)
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


def test_under_jit_nobody_can_tell(run):
    measure = jax.jit(
        lambda params, xs: lj.log_gradient_norms(
            CELL, params, xs, lambda ys: ys[-1].sum(), **OF
        )
    )
    assert np.all(measure(*run).c[:, 1] == -np.inf)


# ---------------------------------------------------------------------------
# Where it is found
# ---------------------------------------------------------------------------


def test_the_laboratory_has_the_names_that_the_library_has():
    names = {
        name
        for name, value in vars(lj).items()
        if getattr(value, "__module__", "").startswith("lstm_jax.gradients.")
    }
    assert {"decay_rate", "carry_gradients", "lyapunov_exponents"} <= names
    assert {"by_lag", "recorder", "influence"} <= {*dir(gradients)}
    assert all(getattr(gradients, name) is getattr(lj, name) for name in names)
    assert lj.gradients is gradients
