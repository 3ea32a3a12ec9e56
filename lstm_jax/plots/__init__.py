"""Records in, matplotlib figures out; nothing is computed here but units."""

import importlib.util

if importlib.util.find_spec("matplotlib") is None:
    raise ModuleNotFoundError(
        "lstm_jax.plots needs matplotlib: pip install 'lstm_jax[plots]'"
    )

from lstm_jax.plots.curves import (
    accuracy_curve,
    log_axis,
    mark_lag,
    note,
    share_curve,
    theory_line,
)
from lstm_jax.plots.figures import decay, trace
from lstm_jax.plots.heatmaps import film_strip, heat_map, success_map, time_lag_picture
from lstm_jax.plots.labels import headline, ink, label_ends
from lstm_jax.plots.paths import cumulative_curve, path_curves
from lstm_jax.plots.style import (
    GREY,
    LINE_STYLES,
    MARKERS,
    PALETTE,
    STYLE,
    STYLES,
    colour_of,
    in_style,
    line_of,
    marker_of,
    styled,
)
from lstm_jax.plots.surfaces import error_surface, walk

__all__ = [
    "decay", "trace",
    "accuracy_curve", "share_curve", "theory_line", "log_axis", "mark_lag", "note",
    "headline", "ink", "label_ends",
    "film_strip", "heat_map", "success_map", "time_lag_picture",
    "cumulative_curve", "path_curves", "error_surface", "walk",
    "GREY", "LINE_STYLES", "MARKERS", "PALETTE", "STYLE", "STYLES", "colour_of",
    "in_style", "line_of", "marker_of", "styled",
]  # fmt: skip
