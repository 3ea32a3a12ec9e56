"""The figure of `experiments.counting`: how many networks are right to which n."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common.records import Record, take
from lstm_jax import plots

SPELT = {"anbn": "aⁿbⁿ", "anbncn": "aⁿbⁿcⁿ"}
CATALOGUE = {"anbn": (65, 100, 100), "anbncn": (18, 24, 29)}  # least, median, most


@plots.styled
def plot(record: Record) -> Figure:
    """Draws, for each language, the n that the networks of each cell reach."""
    languages = record.axes["language"]
    figure = Figure(figsize=(1.5 + 3.2 * len(languages), 3.2), layout="constrained")
    plots.headline(figure, finding(record))
    row = figure.subplots(1, len(languages), squeeze=False, sharey=True)[0]
    for axes, language in zip(row, languages, strict=True):
        _plot_language(axes, record, language)
    row[0].set_ylabel("right to this n")
    methods = record.axes["method"]
    if len(methods) > 1:
        key = f"filled: {methods[0]}, hollow: {methods[1]}"
        row[0].set_title(f"{SPELT[languages[0]]} ({key})")
    return figure


def finding(record: Record) -> str:
    """Returns how far the first cell counts, in the median."""
    cell = record.axes["cell"][0]
    at = {"method": record.axes["method"][0], "cell": cell}
    medians = np.median(take(record, "reach", **at), axis=-1)
    told = " and ".join(
        f"{n:g} ({SPELT[of]})"
        for n, of in zip(medians, record.axes["language"], strict=True)
    )
    return f"Shown at most {record.config['largest_n']}, {cell} counts to {told}"


def _plot_networks(
    axes: Axes, place: float, found: np.ndarray, cell: str, judged: bool
) -> None:
    spread = np.linspace(-0.15, 0.15, found.size) if found.size > 1 else np.zeros(1)
    shown, colour = np.maximum(found, 0.7), plots.colour_of(cell)
    face = colour if judged else "none"
    style = {"color": colour, "markersize": 4, "markerfacecolor": face}
    axes.plot(place + spread, shown, plots.marker_of(cell), **style)
    if judged:
        axes.hlines(np.median(shown), place - 0.2, place + 0.2, colour, linewidth=2)


def _plot_language(axes: Axes, record: Record, language: str) -> None:
    """Draws a mark for a network, a bar for the median, and the catalogue's range.

    Of several trainings the first is filled, with its medians; the second beside it.
    """
    cells, config = record.axes["cell"], record.config
    least, median, most = CATALOGUE[language]
    bars = [[median - least], [most - median]]
    axes.errorbar([-1], [median], bars, fmt="D", color="black", capsize=3, markersize=4)
    methods = record.axes["method"]
    for place, cell in enumerate(cells):
        for at, method in enumerate(methods):
            found = take(record, "reach", method=method, language=language, cell=cell)
            middle = place + 0.42 * (at - (len(methods) - 1) / 2)
            _plot_networks(axes, middle, np.sort(found), cell, judged=at == 0)
    for level, text in (
        (config["largest_n"], "shown"),
        (config["num_tested"], "tested"),
    ):
        axes.axhline(level, color=plots.GREY, linewidth=0.6)
        plots.note(axes, text, (-1.45, level), (0, 2), color=plots.GREY)
    names = [cell.replace("_", "\n") for cell in cells]
    axes.set_xticks(range(-1, len(cells)), ["cata-\nlogue", *names])
    axes.set(yscale="log", ylim=(0.6, 1.6 * config["num_tested"]))
    axes.set(xlim=(-1.5, len(cells) - 0.4), title=SPELT[language])
