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
    return figure


def finding(record: Record) -> str:
    """Returns how far the first cell counts, in the median."""
    cell = record.axes["cell"][0]
    medians = np.median(take(record, "reach", cell=cell), axis=-1)
    told = " and ".join(
        f"{n:g} ({SPELT[of]})"
        for n, of in zip(medians, record.axes["language"], strict=True)
    )
    return f"Shown at most {record.config['largest_n']}, {cell} counts to {told}"


def _plot_language(axes: Axes, record: Record, language: str) -> None:
    """Draws a dot for a network, a bar for the median, and the catalogue's range."""
    cells, config = record.axes["cell"], record.config
    least, median, most = CATALOGUE[language]
    bars = [[median - least], [most - median]]
    axes.errorbar([-1], [median], bars, fmt="D", color="black", capsize=3, markersize=4)
    for place, cell in enumerate(cells):
        found = np.sort(take(record, "reach", language=language, cell=cell))
        spread = np.linspace(-0.2, 0.2, found.size) if found.size > 1 else [0]
        shown, colour = np.maximum(found, 0.7), plots.colour_of(cell)
        style = {"color": colour, "markersize": 5, "markerfacecolor": "none"}
        axes.plot(place + np.array(spread), shown, plots.marker_of(cell), **style)
        axes.hlines(np.median(shown), place - 0.35, place + 0.35, colour, linewidth=2)
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
