"""The figure of `experiments.families`: a panel for each family of memories."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import wording
from experiments.common.records import Record, take
from experiments.common.report import INITIAL, TRAINED
from experiments.criteria.families import FAMILIES, drawn, shares, solved
from lstm_jax import plots

TITLES = {
    "dense": "Dense matrices",
    "gated": "Gates",
    "linear": "Linear, unit by unit",
    "products": "Linear, by reflections",
    "exponential": "Exponential gates",
}
NAMES = {
    "rnn": "RNN",
    "irnn": "IRNN",
    "antisymmetric_rnn": "antisymmetric",
    "exp_rnn": "expRNN",
    "lstm97": "LSTM of 1997",
    "lstm": "LSTM",
    "four_gate": "four-gate",
    "gru": "GRU",
    "lru": "LRU",
    "min_gru": "minGRU",
    "min_lstm": "minLSTM",
    "signed_min_gru": "signed minGRU",
    "selective_ssm": "selective SSM",
    "delta_product": "DeltaProduct",
    "slstm": "sLSTM",
}
LINES: dict[str, dict[str, Any]] = {
    INITIAL: {"linestyle": (0, (3, 2)), "alpha": 0.45, "linewidth": 1.1},
    TRAINED: {"linestyle": "-", "linewidth": 1.6},
}


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the shares of every family, pale before training and solid after it."""
    cells = {record.axes["variant"][k]["cell"]: k for k in drawn(record)}
    seen = [name for name, of in FAMILIES.items() if {*of} & {*cells}]
    figure = Figure(figsize=(9.6, 5.4), layout="constrained")
    plots.headline(figure, finding(record))
    panels = figure.subplots(2, 3, sharex=True, sharey=True).ravel()
    for axes, family in zip(panels, seen, strict=False):
        for cell in (cell for cell in FAMILIES[family] if cell in cells):
            _plot_cell(axes, record, cells[cell])
        plots.log_axis(axes, record.axes["lag"][-1], TITLES[family])
        axes.axvline(record.config["lag"], color=plots.GREY, linewidth=0.6)
    panels[0].set_ylim(_least(record), None)
    for k, axes in enumerate(panels[: len(seen)]):
        plots.label_ends(axes)
        lowest = k + 3 >= len(seen)
        axes.tick_params(labelbottom=lowest)
        axes.set_xlabel(axes.get_xlabel() if lowest else "")
    for axes in panels[len(seen) :]:
        axes.axis("off")
    _key(panels[len(seen)], record)
    for axes in panels[::3]:
        axes.set_ylabel("share of the gradient left")
    return figure


def _least(record: Record) -> float | None:
    """Returns the decade below all that is left in cells that learn, None if none do.

    A gradient that vanishes would press all others together; it leaves the view.
    """
    of_drawn = drawn(record)
    learnt = solved(record)[of_drawn].mean(1) > 0.5
    if not learnt.any():
        return None
    found = take(record, "log_share", stage=TRAINED)[of_drawn][learnt]
    return float(np.floor(np.median(found, axis=(1, 2)).min() / np.log(10)))


def finding(record: Record) -> str:
    """Returns how many cells learn, and what the trained ones have left at the lag."""
    of_drawn = drawn(record)
    learnt = solved(record)[of_drawn].mean(1) > 0.5
    left = np.median(shares(record, TRAINED)[of_drawn], axis=1)
    told = f"{int(learnt.sum())} of {len(learnt)} cells learn to look back "
    told += f"{record.config['lag']} images"
    if not learnt.any():
        return f"{told}; trained, they have {_range(left)} of the gradient left there"
    told += f"; trained, they have {_range(left[learnt])} of the gradient left there"
    return told if learnt.all() else f"{told}, the others {_range(left[~learnt])}"


def _range(logs: np.ndarray) -> str:
    least, most = wording.power(logs.min()), wording.power(logs.max())
    return least if least == most else f"{least} to {most}"


def _plot_cell(axes: Axes, record: Record, k: int) -> None:
    entry = record.axes["variant"][k]
    style = plots.line_of(entry["cell"], 0) | {"markersize": 3.5}
    right = solved(record)[k]
    name = f"{NAMES[entry['cell']]} ({int(right.sum())} of {right.size})"
    left = np.median(shares(record, TRAINED)[k])
    if left < np.log(10) * (_least(record) or -np.inf):
        name += f"\nleft: {wording.power(left)}"
    for stage in record.axes["stage"]:
        found = take(record, "log_share", variant=entry, stage=stage)
        median = np.median(found, axis=(0, 1)) / np.log(10)
        every = (1 + 2 * k % 5, max(1, len(median) // 4))
        how: dict[str, Any] = style | LINES[stage] | {"markevery": every}
        axes.plot(median, label=name if stage == TRAINED else None, **how)


def _key(axes: Axes, record: Record) -> None:
    """Says in the free place what lines and numbers mean."""
    for k, (stage, how) in enumerate(LINES.items()):
        y = 0.92 - 0.12 * k
        places: Any = {"transform": axes.transAxes, "color": plots.GREY}
        axes.plot([0.02, 0.16], [y, y], clip_on=False, **places, **how)
        words: dict[str, Any] = {"coords": "axes fraction", "va": "center"}
        plots.note(axes, f"{stage}", (0.19, y), **words)
    config = record.config
    told = (
        f"(2 of 3): networks that answer right\nthin line: the scene, {config['lag']} "
        f"images back\nforget biases, where there are any: "
        f"{config['forget_bias'][-1]}\nmedians over seeds and shows"
    )
    style: dict[str, Any] = {"fontsize": 8, "va": "top", "linespacing": 1.5}
    axes.text(0.02, 0.7, told, transform=axes.transAxes, **style)
