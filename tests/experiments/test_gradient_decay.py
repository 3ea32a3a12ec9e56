"""experiments.gradient_decay, small: what it measures, says and refuses."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_decay import SMALL

import lstm_jax as lj
from experiments import gradient_decay
from experiments.common import cli
from experiments.common.cli import ConfigError
from experiments.common.records import take
from experiments.gradient_decay import networks

INF = math.inf


def of_stage(record, name, label, when):
    (variant,) = (v for v in record.axes["variant"] if v["label"] == label)
    return take(record, name, variant=variant, stage=when)


def test_decay_has_a_row_and_arrays_per_cell_bias_and_stage(decay_record):
    labels = ["rnn", "lstm b_f=1", "lstm b_f=2.6"]
    assert [row["cell"] for row in decay_record.rows[::2]] == labels
    assert [row["when"] for row in decay_record.rows] == ["initial", "trained"] * 3
    for label in labels:
        for when in ("initial", "trained"):
            shares = of_stage(decay_record, "log_share", label, when)
            assert shares.shape == (2, 3, 6)  # seed, example, lag
            assert (shares[..., 0] == 0).all()


@pytest.mark.slow
def test_decay_shares_are_those_of_the_python_loop(decay_record):
    """One network, measured again by restarting the reference at every step."""
    config = gradient_decay.Config(num_steps=4, **SMALL)
    found = of_stage(decay_record, "log_share", "lstm b_f=1", "initial")[0, 0]
    watched = networks.watched_in(config)
    models = networks.initial_models(config, watched, "lstm")
    model = jax.tree.map(lambda leaf: leaf[0], models)
    assert watched.targets is not None
    xs, target = watched.inputs[:, 0], watched.targets[0]

    def margin(carry, t):
        _, ys = lj.unroll_reference(lj.LSTM, model.cell, xs[t:], carry)
        logits = ys[-1] @ model.readout.w + model.readout.b
        return logits[target] - logits[1 - target]

    carry, norms = lj.LSTM.init_carry(model.cell), []
    for t in range(len(xs)):
        gradient = jax.grad(margin)(carry, t)
        norms.append(jnp.sqrt(jnp.sum(gradient.h**2) + jnp.sum(gradient.c**2)))
        carry, _ = lj.LSTM.step(model.cell, carry, xs[t])
    expected = jnp.log(jnp.array(norms) / norms[-1])[::-1]
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_carousel_is_the_mean_log_of_the_forget_gates_that_acted(decay_record):
    carousel = of_stage(decay_record, "log_carousel", "lstm b_f=1", "initial")
    assert (carousel[..., 0] == 0).all()
    assert (np.diff(carousel) < 0).all()
    # Weights are small beside a bias of 1: f_t scatters around σ(1).
    rate = carousel[..., -1].mean() / 5
    assert abs(rate - np.log(1 / (1 + np.exp(-1)))) < 0.2


def test_without_input_an_untrained_rnn_keeps_the_spectral_radius(decay_record):
    rates = take(decay_record, "undriven_ln_spectral_radius")
    np.testing.assert_allclose(rates, np.log(0.5), atol=1e-6)
    shares = take(decay_record, "undriven_log_share")
    lags = np.broadcast_to(np.arange(6), (2, 6))
    np.testing.assert_allclose(shares, np.log(0.5) * lags, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_decay_runs_in_other_dtypes(dtype):
    small = SMALL | {"cells": ("four_gate",), "forget_bias": (1.0,), "dtype": dtype}
    record = gradient_decay.run(gradient_decay.Config(num_steps=0, **small))
    assert np.isfinite(take(record, "log_share")).all()


def test_the_recorder_keeps_the_curve_of_every_nth_update(decay_record):
    assert decay_record.axes["update"] == [0, 2, 4]
    recorded = take(decay_record, "recorded_log_share")
    for row, when in ((0, "initial"), (-1, "trained")):
        shares = take(decay_record, "log_share", stage=when)
        np.testing.assert_allclose(recorded[:, row], np.median(shares, axis=(1, 2)))
    assert len(gradient_decay.plot(decay_record).subfigs) == 2


def test_a_recorder_that_misses_the_last_update_is_refused():
    with pytest.raises(cli.ConfigError, match="recorder: got 3; it must divide"):
        gradient_decay.Config(num_steps=4, recorder=3)


def test_verdict_has_a_line_per_variant_that_names_the_lag(decay_record):
    lines = [line for line in decay_record.verdict if "share at lag 4" in line]
    assert len(lines) == 3
    assert sum("ln(lag - 1) = 1.10" in line for line in lines) == 2
    assert all("signal/noise" in line and "bfloat16" in line for line in lines)


@pytest.mark.slow
def test_a_sequence_of_ones_own_is_measured_and_not_trained(tmp_path):
    path = tmp_path / "mine.npy"
    np.save(path, np.random.default_rng(0).normal(size=(9, 3)))
    config = gradient_decay.Config(
        sequence=str(path), hidden_size=4, num_seeds=2, cells=("rnn",)
    )
    record = gradient_decay.run(config)
    assert {row["when"] for row in record.rows} == {"initial"}
    assert record.config["lag"] == 8
    assert take(record, "log_share").shape == (1, 1, 2, 1, 9)
    assert gradient_decay.plot(record).axes


def test_a_lag_beyond_the_sequence_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((5, 1)))
    config = gradient_decay.Config(sequence=str(tmp_path / "a.npy"), lag=5)
    with pytest.raises(ConfigError, match=r"lag: got 5; it must be in \[1, 4\]"):
        gradient_decay.run(config)


@pytest.mark.parametrize("nothing", [{"num_steps": 0}, {"sequence": "mine.csv"}])
def test_a_recorder_with_nothing_to_record_is_refused(nothing):
    with pytest.raises(ConfigError, match=r"^recorder: got 3; it must be 0 with"):
        gradient_decay.Config(recorder=3, **nothing)


@pytest.fixture(scope="module")
def lost():
    """Without recurrent weights, an RNN with one unit."""
    config = gradient_decay.Config(
        cells=("rnn",),
        gain=0.0,
        lag=2,
        hidden_size=2,
        num_seeds=1,
        num_steps=0,
        num_examples=2,
    )
    return gradient_decay.run(config)


@pytest.mark.slow
def test_an_experiment_without_recurrent_weights_says_so(lost):
    (row,) = lost.rows
    assert row["half-life"] == "lost at once"
    assert "share at lag 2: nothing, lost at once" in lost.verdict[-1]
    assert (take(lost, "log_share") == -INF).all()
    assert take(lost, "undriven_ln_spectral_radius") == -INF
    figure = gradient_decay.plot(lost)
    assert figure.legends[0].get_texts()[0].get_text() == "RNN: lost at once"
    assert "without input: lost at once" in figure.axes[1].get_title(loc="left")


@pytest.mark.slow
def test_two_biases_that_agree_in_three_digits_are_two_curves():
    config = gradient_decay.Config(
        cells=("mgu",),
        forget_bias=(4.001, 4.002),
        lag=1,
        hidden_size=2,
        num_seeds=1,
        num_steps=0,
        num_examples=2,
    )
    record = gradient_decay.run(config)
    labels = ["mgu b_f=4.001", "mgu b_f=4.002"]
    assert [row["cell"] for row in record.rows] == labels
    assert [variant["label"] for variant in record.axes["variant"]] == labels
    first, second = take(record, "log_share")
    assert not np.array_equal(first, second)
    texts = gradient_decay.plot(record).legends[0].get_texts()
    assert [text.get_text() for text in texts] == [
        "mgu, $b_f$ = 4.001",
        "mgu, $b_f$ = 4.002",
    ]
