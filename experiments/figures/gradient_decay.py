"""The figure of `experiments.gradient_decay`: shares of the gradient by lag."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from experiments.common import wording
from experiments.common.records import Record, take
from experiments.common.report import INITIAL, TRAINED
from experiments.common.statistics import quartiles
from experiments.common.variants import Variant, variant_of
from experiments.figures import bear
from experiments.figures.nature_show import NAMES
from lstm_jax import plots

TITLES = {INITIAL: "Before training", TRAINED: "After training"}


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the bear's figure, or the shares before and after training, with theory."""
    if "scene_difference" in record.arrays:
        return bear.plot(record)
    return _all_panels(record)


def _all_panels(record: Record) -> Figure:
    stages, recorded = record.axes["stage"], "recorded_log_share" in record.arrays
    further = {"undriven": "undriven_log_share", "carousel": "log_carousel"}
    panels = [*stages, *(name for name, of in further.items() if of in record.arrays)]
    mosaic: Any = [panels] if len(panels) < 4 else [panels[:2], panels[2:]]
    size = (3.5 * len(mosaic[0]), 2.6 * (len(mosaic) + recorded) + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    plots.headline(figure, finding(record))
    upper: Any = figure
    if recorded:
        parts: Any = figure.subfigures(2, 1, height_ratios=[len(mosaic), 1])
        upper, lower = parts
        _plot_recording(lower, record)
    axes = upper.subplot_mosaic(mosaic, sharex=True, sharey=True)
    for when in stages:
        _plot_shares(axes[when], record, when)
    if "undriven" in axes:
        _plot_undriven(axes["undriven"], record)
    if "carousel" in axes:
        _plot_carousel(axes["carousel"], record)
    for panel in mosaic:
        axes[panel[0]].set_ylabel("share of the gradient left")
    handles, labels = axes[INITIAL].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def finding(record: Record) -> str:
    """Returns what is least and most left of the gradient in untrained networks."""
    lag, entries = record.axes["lag"][-1], record.axes["variant"]
    shares = take(record, "log_share", stage=INITIAL, lag=lag)
    left = np.median(shares.reshape(len(entries), -1), axis=1)
    told = [
        f"{wording.power(left[k])} ({_plain_name(variant_of(entries[k]))})"
        for k in dict.fromkeys((int(np.argmin(left)), int(np.argmax(left))))
    ]
    return f"Gradient left at lag {lag} before training: {' to '.join(told)}"


def _plain_name(variant: Variant) -> str:
    name, bias = NAMES.get(variant.cell, variant.cell), variant.bias
    return f"{name}, forget bias {bias}" if bias else name


def _plot_shares(axes: Axes, record: Record, when: str) -> None:
    for entry in record.axes["variant"]:
        variant = variant_of(entry)
        label = _legend(variant)
        if when == TRAINED:
            right = take(record, "accuracy", variant=entry, stage=when)
            label = f"{right.mean():.2f}"
        shares = take(record, "log_share", variant=entry, stage=when)
        found = quartiles(shares, axis=(0, 1))
        label += _undrawn(found)
        plots.share_curve(axes, found, variant.cell, label, variant=variant.order)
    plots.log_axis(axes, record.axes["lag"][-1], TITLES[when])
    own = record.config["sequence"] or record.config.get("data")
    if own is None:
        plots.mark_lag(axes, record.config["lag"], "scene")
    if when == TRAINED:
        axes.legend(
            title="within half\na deviation" if own else "answers right",
            title_fontsize=8,
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
        )


def _undrawn(found: np.ndarray) -> str:
    """Returns why a curve can't be drawn on a logarithmic axis, if it can't."""
    of_lags = found[1, 1:]
    if np.isnan(of_lags).all():
        return f": {wording.OVERFLOW}"
    return f": {wording.LOST}" if (of_lags == -np.inf).all() else ""


def _plot_recording(figure: SubFigure, record: Record) -> None:
    """Draws a picture of training time and lag for every variant."""
    variants, updates = record.axes["variant"], np.array(record.axes["update"])
    panels = figure.subplots(1, len(variants), sharey=True, squeeze=False)[0]
    picture: Any = None
    for axes, entry in zip(panels, variants, strict=True):
        shares = take(record, "recorded_log_share", variant=entry)
        picture = plots.time_lag_picture(axes, shares, updates)
        axes.set_title(_legend(variant_of(entry)), fontsize=8)
        axes.set_xlabel("lag")
    panels[0].set_ylabel("updates")
    bar = figure.colorbar(picture, ax=list(panels), label="share left, $\\log_{10}$")
    bar.outline.set_visible(False)


def _plot_undriven(axes: Axes, record: Record) -> None:
    last_lag = record.axes["lag"][-1]
    found = quartiles(take(record, "undriven_log_share"), axis=0)
    plots.share_curve(axes, found, "rnn", "rnn")
    rate = float(np.median(take(record, "undriven_ln_spectral_radius")))
    _plot_rate(axes, rate, last_lag, f"$\\ln\\,\\rho(W)$ = {rate:+.3f}")
    title = f"Before training: RNN without input{_undrawn(found)}"
    plots.log_axis(axes, last_lag, title)


def _plot_carousel(axes: Axes, record: Record) -> None:
    last_lag = record.axes["lag"][-1]
    for entry in record.axes["variant"]:
        variant = variant_of(entry)
        shares = take(record, "log_carousel", variant=entry, stage=INITIAL)
        if np.isnan(shares).all():
            continue
        found = quartiles(shares, axis=(0, 1))
        name, rate = _legend(variant), variant.carousel_rate
        plots.share_curve(axes, found, variant.cell, name, variant=variant.order)
        if variant.cell == "lstm":
            law = f"$\\ln\\,\\sigma(b_f)$ = {rate:.3f}"
            _plot_rate(axes, rate, last_lag, law)
    plots.log_axis(axes, last_lag, "Before training: forget gates alone")


def _plot_rate(axes: Axes, rate: float, last_lag: int, law: str) -> None:
    """Draws the share exp(rate * lag) that a law predicts."""
    ends, heights = [0, last_lag], [0, rate * last_lag / np.log(10)]
    plots.theory_line(axes, ends, heights, law, dashed=True, named=True)


def _legend(variant: Variant) -> str:
    name = NAMES.get(variant.cell, variant.cell)
    bias = variant.forget_bias
    return name if bias is None else f"{name}, $b_f$ = {variant.bias}"
