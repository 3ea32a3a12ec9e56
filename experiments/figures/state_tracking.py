"""The figure of `experiments.state_tracking`: networks by groups, as a table."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common.records import Record, take
from experiments.criteria.state_tracking import POSSIBLE, solved
from lstm_jax import plots

DARK = 0.55  # a share from which on letters are white


@plots.styled
def plot(record: Record) -> Figure:
    """Draws how many seeds keep each group, and what theory forbids."""
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    plots.headline(figure, finding(record))
    axes = figure.subplots()
    _plot_table(axes, record)
    return figure


def finding(record: Record) -> str:
    """Returns how many of the pairs that theory allows and forbids were solved."""
    most = solved(record).mean(-1) > 0.5
    counts = {True: [0, 0], False: [0, 0]}
    for i, network in enumerate(record.axes["network"]):
        for j, group in enumerate(record.axes["group"]):
            if network in POSSIBLE:
                of = counts[group in POSSIBLE[network]]
                of[0] += int(most[i, j])
                of[1] += 1
    (right, allowed), (wrong, forbidden) = counts[True], counts[False]
    return (
        f"Linear cells learn {right} of the {allowed} groups that theory allows, and "
        f"{wrong} of the {forbidden} that it forbids"
    )


def _plot_table(axes: Axes, record: Record) -> None:
    networks, groups = record.axes["network"], record.axes["group"]
    beyond = take(record, "beyond").mean(-1)
    seeds = solved(record)
    axes.imshow(beyond, cmap="Greys", vmin=0, vmax=1.25, aspect="auto")
    for i, network in enumerate(networks):
        for j, group in enumerate(groups):
            told = f"{int(seeds[i, j].sum())}/{seeds.shape[-1]}"
            if network in POSSIBLE and group not in POSSIBLE[network]:
                told += "\nforbidden"
            color = "white" if beyond[i, j] > DARK else "black"
            style = {"ha": "center", "va": "center", "fontsize": 8, "color": color}
            axes.text(j, i, told, **style)
    axes.set_xticks(range(len(groups)), groups)
    axes.set_yticks(range(len(networks)), [n.replace("_", " ") for n in networks])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    length = record.config["length"]
    axes.set_xlabel(
        f"seeds with .9 of the elements right at steps {length + 1} to {2 * length}, "
        f"trained on {length}; darker: more right"
    )
    axes.set_yticks(np.arange(len(networks) + 1) - 0.5, minor=True)
    axes.set_xticks(np.arange(len(groups) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
