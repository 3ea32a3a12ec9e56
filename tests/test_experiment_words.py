"""What experiments say of numbers: rounded, told apart, and degenerate."""

import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from experiments import gradient_decay, gradient_paths, latch, sweep
from experiments.common import decay, records, report, variants, wording
from experiments.common.gradient_shares import Measured
from experiments.common.records import Quantity, take
from experiments.common.statistics import area_under_roc
from experiments.common.variants import Variant
from experiments.sweep import experiment
from experiments.sweep.parts import Outcome
from lstm_jax import plots

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("log10", "text"),
    [
        (0.0, "1"),
        (-1.0, "0.1"),
        (math.log10(0.0999), "0.1"),  # 10.0e-02 once
        (math.log10(0.996), "1"),  # 10.0e-01 once
        (math.log10(9.96), "10"),
        (math.log10(0.00996), "0.01"),
        (math.log10(0.17), "0.17"),
        (math.log10(0.0047), "0.0047"),
        (math.log10(99.7), "1.0e+02"),
        (math.log10(9.96e-5), "1.0e-04"),
        (-3000.3, "5.0e-3001"),
        (3000.3, "2.0e+3000"),
        (-INF, "nothing"),
        (INF, "overflow"),
        (NAN, "overflow"),
    ],
)
def test_a_power_is_rounded_before_its_exponent_is_chosen(log10, text):
    assert wording.power(log10 * math.log(10)) == text


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        *[(0, "0.0"), (2.76, "2.8"), (99.94, "99.9"), (99.96, "100"), (1234.4, "1234")],
        *[(2e9, "2.0e+09"), (INF, "all"), (NAN, "-"), (np.float32(3), "3.0")],
    ],
)
def test_steps_have_as_many_digits_as_people_read(steps, text):
    assert wording.steps(steps) == text


@pytest.mark.parametrize(
    ("nats", "rate", "half_life"),
    [
        (-math.log(2) / 10, "-0.069", "10.0"),
        (0.04, "+0.040", "never"),
        (-0.0, "+0.000", "never"),
        (-1e-9, "+0.000", "6.9e+08"),
        (-INF, "-inf", "lost at once"),
        (NAN, "overflow", "-"),
    ],
)
def test_a_rate_and_its_half_life(nats, rate, half_life):
    assert (wording.rate(nats), wording.half_life(nats)) == (rate, half_life)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((1.0, "matched"), ["1", "matched"]),
        ((1.0, 4.929596), ["1", "4.93"]),
        ((4.001, 4.002), ["4.001", "4.002"]),
        ((4.93, 4.929596), ["4.93", "4.9296"]),
        ((0.1, 0.1 + 2**-56), ["0.1", "0.10000000000000002"]),
        ((1e-300, 0.0), ["1e-300", "0"]),
        ((16, 1048577), ["16", "1048577"]),
        ((4, 4.000001), ["4", "4.000001"]),
    ],
)
def test_values_are_told_apart_with_the_fewest_digits(values, texts):
    assert wording.told_apart(values, digits=3) == texts


# -- what is degenerate --------------------------------------------------------------


def curves(*columns):
    return np.array(columns, np.float32).T


HALVING = np.log(0.5) * np.arange(5, -1, -1)


@pytest.mark.parametrize(
    ("curve", "rate", "horizon", "heard"),
    [
        (HALVING, np.log(0.5), 2, INF),
        ([-INF] * 6, -INF, 0, 0),
        ([-INF] * 5 + [0.3], -INF, 1, 1),
        ([NAN] * 6, NAN, NAN, NAN),
        ([0, 0, 0, INF, 0, 0], NAN, NAN, NAN),
        ([0] * 6, 0, INF, INF),
    ],
)
def test_a_lost_gradient_is_lost_at_once_and_an_overflow_is_no_number(
    curve, rate, horizon, heard
):
    found = decay.decay_of(curves(curve, curve), 0.25, ("float32",))
    assert_allclose(found.rate, [rate] * 2, rtol=1e-5)
    assert_allclose(found.horizon, [horizon] * 2, rtol=1e-5)
    assert_allclose(found.heard["float32"], [heard] * 2)


def test_of_a_lost_gradient_no_share_is_left_and_none_of_the_others_is_touched():
    log_norms = curves(HALVING + 2, [-INF] * 6, [NAN] * 6)
    shares = decay.shares(log_norms)
    assert_allclose(shares[0], HALVING[::-1], atol=1e-6)
    assert (shares[1] == -INF).all() and np.isnan(shares[2]).all()
    of_another = decay.shares(log_norms[:, :1] - 1, of=log_norms[:, :1])
    assert_allclose(of_another[0], HALVING[::-1] - 1, atol=1e-6)


def test_an_overflow_is_told_with_its_lag_and_how_many_it_met():
    fine = np.zeros(6)
    assert decay.overflow(curves(fine, [-INF] * 6)) is None
    late = curves(fine, [0, 0, INF, 0, 0, 0], [0, NAN, 0, 0, 0, 0])
    assert decay.overflow(late[None]) == "from lag 3 on, in 2 of 3 curves"


def measured(*columns):
    return Measured(curves(*columns)[None], None, None)


def told(*columns, lag=5):
    """The row and the verdict of one seed and these sequences."""
    variant, found = Variant("lstm", 1.0, 0, "1"), measured(*columns)
    row = report.row(variant, "initial", found)
    signal = np.zeros((1, 2))
    return row, report.verdict_line(variant, {"initial": found}, signal, lag)


def test_a_row_of_a_gradient_that_is_lost():
    row, line = told([-INF] * 6)
    assert list(row.values())[2:8] == ["-inf", "lost at once", *["0.0"] * 4]
    assert "share at lag 5: nothing, lost at once; no signal" in line
    assert "bfloat16 from lag 0, float32 from lag 0" in line


def test_a_row_of_a_gradient_that_overflows():
    row, line = told([0.0] * 6, [0, 0, NAN, 0, 0, 0], lag=3)
    assert list(row.values())[2:8] == ["overflow", *["-"] * 5]
    assert "overflow from lag 3 on, in 1 of 2 curves: no share is known" in line
    assert "beyond" not in line


def test_a_row_of_a_gradient_that_stays():
    row, line = told([0.0] * 6)
    assert list(row.values())[2:5] == ["+0.000 [+0.000, +0.000]", "never", "> 5"]
    assert "share at lag 5: 1; no signal; bottoms out: bfloat16 beyond lag 5" in line


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


def test_an_experiment_without_recurrent_weights_says_so(lost):
    (row,) = lost.rows
    assert row["half-life"] == "lost at once"
    assert "share at lag 2: nothing, lost at once" in lost.verdict[-1]
    assert (take(lost, "log_share") == -INF).all()
    assert take(lost, "undriven_ln_spectral_radius") == -INF
    figure = gradient_decay.plot(lost)
    assert figure.legends[0].get_texts()[0].get_text() == "RNN: lost at once"
    assert "without input: lost at once" in figure.axes[1].get_title(loc="left")


def test_a_road_of_nothing_and_a_bias_that_no_exponential_holds():
    variant = Variant("lstm", -1000.0, 0, "-1000")
    assert variant.carousel_rate == -1000
    networks = ("variant", "stage", "seed")
    curves = ("variant", "stage", "part", "seed", "example", "lag")
    paths = ("variant", "stage", "path", *curves[3:])
    found = {
        "path_share": Quantity(np.zeros((1, 1, 1, 1, 2, 5)), paths, "1"),
        "log_share": Quantity(np.full((1, 1, 2, 1, 2, 5), -INF), curves, "nats"),
        "time_constant": Quantity(np.zeros((1, 1, 1, 3)), (*networks, "unit"), "steps"),
        "log_contribution": Quantity(
            np.full((1, 1, 1, 5), NAN), (*networks, "lag"), "nats"
        ),
        "accuracy": Quantity(np.full((1, 1, 1), 0.5), networks, "1"),
    }
    axes = {
        "variant": [variant.entry],
        "stage": ["initial"],
        "path": ["cell"],
        "part": ["total", "carousel"],
    }
    record = records.new("gradient_paths", {"lag": 3}, 0.0, found, axes)
    (row,) = gradient_paths.rows(record)
    assert row["σ(b_f)^lag"] == "1.3e-1303"  # e^-3000
    assert (row["total"], row["effective window"]) == ("nothing", "-")
    line = gradient_paths.verdict(record)[-1]
    assert "nothing of the whole is left at the lag" in line
    assert "nan" not in line


def test_a_measure_without_a_number_foretells_nothing():
    solved = np.array([True, False, True, False, True])
    plain = area_under_roc(np.array([3.0, 1, 4, 2, 5]), solved)
    assert plain.area == 1
    odd = area_under_roc(np.array([3, -INF, INF, 2, NAN]), solved)
    assert odd.area == 1
    lost = area_under_roc(np.array([3, -INF, -INF, 2, NAN]), solved)
    assert lost.area == 0.625  # of four pairs, one is tied and one is lost


# -- what is told apart --------------------------------------------------------------


def test_two_biases_that_agree_in_three_digits_are_two_curves():
    config = gradient_decay.Config(
        cells=("janet",),
        forget_bias=(4.001, 4.002),
        lag=1,
        hidden_size=2,
        num_seeds=1,
        num_steps=0,
        num_examples=2,
    )
    record = gradient_decay.run(config)
    labels = ["janet b_f=4.001", "janet b_f=4.002"]
    assert [row["cell"] for row in record.rows] == labels
    assert [variant["label"] for variant in record.axes["variant"]] == labels
    first, second = take(record, "log_share")
    assert not np.array_equal(first, second)
    texts = gradient_decay.plot(record).legends[0].get_texts()
    assert [text.get_text() for text in texts] == [
        "janet, $b_f$ = 4.001",
        "janet, $b_f$ = 4.002",
    ]


def test_a_bias_beside_the_matched_one_is_another():
    matched = variants.matched_bias(40)  # 4.9312
    near = variants.variants_of("lstm", (4.93, "matched"), 40)
    assert [variant.bias for variant in near] == ["4.93", f"{matched:.4g}"]
    assert len(variants.variants_of("lstm", (matched, "matched"), 40)) == 1


def test_ranges_that_agree_in_six_digits_are_two_searches():
    config = latch.Config(weight_ranges=(1.0000001, 1.0000002))
    assert list(config.ranges().values()) == ["1.0000001", "1.0000002"]


def test_settings_that_agree_in_four_digits_are_told_apart():
    config = sweep.Config(sweep="learning_rate=0.0010001,0.0010002;clip=1,none")
    ones = np.ones((4, 3))
    counts = np.full((4, 3), -1)
    outcome = Outcome(ones, ones, counts, counts, counts)
    record = experiment.record_of(config, outcome, [], 1.0)
    names = [(row["learning_rate"], row["clip"]) for row in record.rows]
    assert names == [(r, c) for r in ("0.0010001", "0.0010002") for c in ("1", "none")]
    assert "Best: learning_rate=0.0010001, clip=1:" in record.verdict[1]
    left, *_ = sweep.plot(record).axes
    ticks = [
        [t.get_text() for t in of.get_ticklabels()] for of in (left.xaxis, left.yaxis)
    ]
    assert ticks == [["1", "none"], ["0.0010001", "0.0010002"]]


# -- axes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (-8, 0, ["$10^{-8}$", "$10^{-6}$", "$10^{-4}$", "$10^{-2}$", "1"]),
        (-1.5, 0.1, ["0.05", "0.1", "0.2", "0.5", "1"]),
        (-0.25, 0, ["0.6", "0.7", "0.8", "0.9", "1"]),
        (-0.01, 0.01, ["0.98", "0.99", "1", "1.01", "1.02"]),
        (3.1, 4.1, [r"$2 \cdot 10^{3}$", r"$5 \cdot 10^{3}$", "$10^{4}$"]),
        (-3001, -3000, [r"$10^{-3001}$", r"$2 \cdot 10^{-3001}$"]),
    ],
)
def test_a_logarithmic_axis_labels_shares_that_are_where_it_says(low, high, labels):
    axes = Figure().subplots()
    axes.set_ylim(low, high)
    plots.log_axis(axes, 10, "")
    ticks = [t for t in axes.get_yticks() if low - 1e-9 <= t <= high + 1e-9]
    texts = axes.yaxis.get_major_formatter().format_ticks(ticks)
    assert texts[: len(labels)] == labels
    assert len(set(texts)) == len(texts)
    for tick, text in zip(ticks, texts, strict=True):
        plain = text.strip("$}").replace(r" \cdot 10^{", "e").replace("10^{", "1e")
        digits, _, power = plain.partition("e")
        assert_allclose(tick, math.log10(float(digits)) + int(power or 0), atol=1e-6)


def test_a_line_of_a_rate_that_loses_all_is_not_drawn():
    axes = Figure().subplots()
    plots.theory_line(axes, [0, 10], [0, -INF], "nothing")
    plots.theory_line(axes, [0, 10], [0, -1.0], "something")
    assert len(axes.lines) == 1
