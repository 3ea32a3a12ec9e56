"""The figure of `experiments.trainability`: maps, and areas under ROC curves."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

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
    size = (max(7.0, 3.5 * len(tasks)), 2.2 * (len(cells) + 1) + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    plots.headline(figure, finding(record))
    axes = figure.subplots(len(cells) + 1, len(tasks), squeeze=False)
    for column, task in enumerate(tasks):
        for row, cell in enumerate(cells):
            _plot_map(axes[row, column], record, task, cell)
        _plot_areas(axes[-1, column], record, task)
    handles, labels = axes[-1, 0].get_legend_handles_labels()
    for cell in cells:
        handles.append(Line2D([], [], color=plots.colour_of(cell), linewidth=2.5))
        left = f"{record.config['fraction']:.3g} of the gradient"
        labels.append(f"{cell.upper()}: lag at which {left} is left")
    figure.legend(handles, labels, loc="outside lower left", ncols=2)
    return figure


def finding(record: Record) -> str:
    """Returns how well each measure foretells who learns, over all tasks and groups."""
    share, signal = (
        take(record, "roc_area", measure=measure) for measure in ("share", "signal")
    )
    known = np.isfinite(share) & np.isfinite(signal)
    if not known.any():
        return "The gradient before training, and who learns"
    told = [f"{of[known].min():.2f} to {of[known].max():.2f}" for of in (signal, share)]
    if (signal > share)[known].all():
        return (
            "Before training, signal over noise foretells who learns better than the "
            f"gradient's share: ROC areas {told[0]}, against {told[1]}"
        )
    return (
        "How well the gradient before training foretells who learns: ROC areas "
        f"{told[0]} (signal over noise), {told[1]} (share)"
    )


def _plot_map(axes: Axes, record: Record, task: str, cell: str) -> None:
    lags = record.axes["lag"]
    entries = [entry for entry in record.axes["variant"] if entry["cell"] == cell]

    def of_settings(name: str) -> np.ndarray:  # (setting, seed, lag)
        return np.stack([take(record, name, task=task, variant=e) for e in entries])

    texts = wording.told_apart(entry[SWEPT[cell]] for entry in entries)
    solved = (of_settings("accuracy") >= SOLVED).mean(1)
    plots.success_map(axes, solved.T, texts, [str(lag) for lag in lags])
    horizon = np.median(of_settings("horizon"), axis=1)[:, int(np.argmax(lags))]
    _plot_horizons(axes, lags, horizon, plots.colour_of(cell))
    axes.set_xlabel(f"{SWEPT[cell].replace('_', ' ')} of the {cell.upper()}")
    axes.set_ylabel("lag, steps")
    axes.set_title(f"{task.replace('_', ' ')}: seeds that solve")


def _plot_horizons(
    axes: Axes, lags: list[int], horizon: np.ndarray, colour: str
) -> None:
    """Draws each setting's horizon as a bar, right of the numbers.

    A horizon below the first lag is drawn there: it is 0 where all is lost at once. One
    beyond the last lag is not drawn.
    """
    order = np.argsort(lags)
    places = np.interp(
        np.log(np.maximum(horizon, lags[order[0]])),
        np.log(np.array(lags)[order]),
        order,
        right=np.nan,
    )
    settings = np.arange(len(places))
    for width, shade in ((4.5, "white"), (2.5, colour)):
        axes.hlines(places, settings + 0.05, settings + 0.45, shade, linewidth=width)


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
            markerfacecolor="black" if measure == "share" else "white",
            markersize=5,
            linewidth=0.9,
            label=MEASURES[measure],
        )
    axes.axvline(0.5, color=plots.GREY, linewidth=0.6)
    axes.set_xlim(0, 1.02)
    words = [group.replace("lstm", "LSTM").replace("rnn", "RNN") for group in groups]
    axes.set_yticks(range(len(groups)), words)
    axes.set_xticks((0, 0.5, 1), ("0", "1/2: tells nothing", "1"))
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xlabel("area under the ROC curve")
