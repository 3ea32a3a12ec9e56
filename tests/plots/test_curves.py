"""Figures leave out what is not a number."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal

from lstm_jax import plots


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
