"""Figures leave out what is not a number, and label a logarithmic axis in shares."""

import math
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal

from lstm_jax import plots

INF = math.inf


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
