"""The figure of `experiments.trainability`: maps, and areas under ROC curves."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import wording
from experiments.common.records import Record, take
from lstm_jax import plots

SOLVED = 0.95
MEASURES = {"share": "share of the gradient", "signal": "signal / noise"}
SWEPT = {"lstm": "forget_bias", "rnn": "gain"}


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the maps, and under them the areas under the ROC curves."""
    tasks = record.axes["task"]
    cells = list(dict.fromkeys(entry["cell"] for entry in record.axes["variant"]))
    size = (3.5 * len(tasks), 2.3 * (len(cells) + 1))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(cells) + 1, len(tasks), squeeze=False)
    for column, task in enumerate(tasks):
        for row, cell in enumerate(cells):
            _plot_map(axes[row, column], record, task, cell)
        _plot_areas(axes[-1, column], record, task)
    handles, labels = axes[-1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _plot_map(axes: Axes, record: Record, task: str, cell: str) -> None:
    lags = record.axes["lag"]
    entries = [entry for entry in record.axes["variant"] if entry["cell"] == cell]

    def of_settings(name: str) -> np.ndarray:  # (setting, seed, lag)
        return np.stack([take(record, name, task=task, variant=e) for e in entries])

    texts = wording.told_apart(entry[SWEPT[cell]] for entry in entries)
    solved = (of_settings("accuracy") >= SOLVED).mean(1)
    plots.success_map(axes, solved.T, texts, [str(lag) for lag in lags])
    horizon = np.median(of_settings("horizon"), axis=1)[:, int(np.argmax(lags))]
    order = np.argsort(lags)
    # A horizon below the first lag is drawn there: it is 0 where all is lost at once.
    places = np.interp(
        np.log(np.maximum(horizon, lags[order[0]])),
        np.log(np.array(lags)[order]),
        order,
        right=np.nan,
    )
    axes.plot(
        np.arange(len(places)),
        places,
        color=plots.colour_of(cell),
        marker="o",
        markeredgecolor="white",
    )
    axes.set_xlabel(f"{SWEPT[cell].replace('_', ' ')} of the {cell.upper()}")
    axes.set_ylabel("lag")
    axes.set_title(f"{task.replace('_', ' ')}: seeds that solve", fontsize=8)


def _plot_areas(axes: Axes, record: Record, task: str) -> None:
    groups = record.axes["networks"]
    for offset, measure in zip((-0.1, 0.1), record.axes["measure"], strict=True):
        low, area, high = (
            take(record, name, task=task, measure=measure)
            for name in ("roc_area_low", "roc_area", "roc_area_high")
        )
        axes.errorbar(
            area,
            np.arange(len(groups)) + offset,
            xerr=np.array([area - low, high - area]),
            fmt="o" if measure == "share" else "s",
            color="black" if measure == "share" else plots.GREY,
            markersize=4,
            linewidth=0.9,
            label=MEASURES[measure],
        )
    axes.axvline(0.5, color=plots.GREY, linewidth=0.6)
    axes.set_xlim(0, 1.02)
    axes.set_yticks(range(len(groups)), groups)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xlabel("area under the ROC curve")
