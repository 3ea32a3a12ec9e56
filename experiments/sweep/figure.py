"""The figure of a sweep: a curve, two maps, or all settings in a row."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from experiments.common import own_data
from experiments.common.records import Record
from experiments.sweep.config import Config
from experiments.sweep.rows import told
from lstm_jax import plots

Arrays = Mapping[str, np.ndarray]
SPREAD = 8  # an axis is logarithmic if its largest value / its smallest is above this
SHADES = "viridis"
MOST_TEXTS = 40  # settings whose values fit into a strip
MOST_LEVEL_TEXTS = 10  # settings whose values fit without being turned upright


def draw(config: Config, record: Record) -> Figure:
    """Returns the figure that suits the number of swept fields."""
    arrays = {name: quantity.values for name, quantity in record.arrays.items()}
    fields = list(config.swept())
    is_map = len(fields) == 2 and config.random is None
    if len(fields) == 1:
        figure = _curves(config, arrays, fields[0])
    elif is_map:
        figure = _maps(config, arrays, fields)
    else:
        figure = _strips(config, arrays, fields)
    plots.headline(figure, finding(config, record))
    below: dict[str, Any] = {"x": 0.01, "ha": "left", "fontsize": 8}
    told = _title(config)
    told += "; ×n: n seeds diverged" if is_map and arrays["diverged"].any() else ""
    figure.supxlabel(told, color=plots.GREY, **below)
    return figure


def finding(config: Config, record: Record) -> str:
    """Returns which setting is best, and how many of its seeds succeed."""
    first = int(record.arrays["best_first"].values[0])
    named = ", ".join(
        f"{_label(name)} {_texts(config, name)[first]}" for name in config.swept()
    )
    count, runs, loss = (
        record.arrays[name].values[first]
        for name in ("successes", "runs", "loss_median")
    )
    settings = len(record.arrays["best_first"].values)
    if not count:
        return f"No seed succeeds in any of {settings} settings; the best loss: {named}"
    found = f"{count} of {runs} seeds succeed, median test loss {loss:.2g}"
    return f"Best of {settings} settings: {named} ({found})"


def _title(config: Config) -> str:
    """Returns the settings a reader asks for first, as far as all runs share them."""
    swept = config.swept()
    words = {
        "cell": config.cell,
        "hidden_size": f"{config.hidden_size} units",
        "task": own_data.called(asdict(config)),
        "length" if config.data is None else "window": f"{config.length} steps",
        "num_steps": f"{config.num_steps} updates",
    }
    shared = [word for name, word in words.items() if name not in swept]
    return ", ".join([*shared, f"{config.num_seeds} seeds"])


def _colour(config: Config) -> str:
    return plots.GREY if "cell" in config.swept() else plots.colour_of(config.cell)


def _label(name: str) -> str:
    return name.replace("_", " ")


def _curves(config: Config, arrays: Arrays, field: str) -> Figure:
    figure = Figure(figsize=(5.6, 5.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    values = _swept(config, field)
    is_number = values.dtype.kind in "if"
    x = values if is_number else np.arange(len(values))
    _plot_losses(upper, config, arrays, x, joined=is_number)
    _plot_rates(lower, config, arrays, x, joined=is_number)
    if not is_number:
        lower.set_xticks(x, _texts(config, field))
        lower.set_xlim(-0.5, len(values) - 0.5)
    elif _is_spread(values):
        lower.set_xscale("log")
    lower.set_xlabel(_label(field))
    return figure


def _is_spread(values: np.ndarray) -> bool:
    return bool(values.min() > 0 and values.max() > SPREAD * values.min())


def _plot_losses(
    axes: Axes, config: Config, arrays: Arrays, x: np.ndarray, *, joined: bool
) -> None:
    kept = ~arrays["diverged_run"]
    places = np.broadcast_to(x[:, None], kept.shape)
    losses = arrays["test_loss"]
    axes.plot(places[kept], losses[kept], ".", color=_colour(config), alpha=0.5)
    quartiles = np.stack([arrays[n] for n in ("loss_q25", "loss_median", "loss_q75")])
    _plot_spread(axes, config, x, quartiles, joined=joined)
    if (losses[kept] > 0).all():
        axes.set_yscale("log")
    _mark_diverged(axes, x, arrays["diverged"])
    axes.set_ylabel("test loss")


def _mark_diverged(axes: Axes, x: np.ndarray, diverged: np.ndarray) -> None:
    """Draws a cross at the top of each setting in which a run diverged."""
    if diverged.any():
        axes.margins(y=0.15)  # room for the crosses
    for place in x[diverged > 0]:
        plots.note(
            axes,
            "×",
            (place, 1),
            coords=("data", "axes fraction"),
            size=11,
            ha="center",
            va="top",
        )
    if diverged.any():
        axes.set_title("× a run diverged", loc="right", color=plots.GREY, fontsize=8)


def _plot_rates(
    axes: Axes, config: Config, arrays: Arrays, x: np.ndarray, *, joined: bool
) -> None:
    rates = np.stack(
        [arrays[n] for n in ("success_low", "success_rate", "success_high")]
    )
    _plot_spread(axes, config, x, rates, joined=joined)
    axes.set_ylim(-0.05, 1.05)
    axes.set_ylabel("share that\nsucceeds")


def _plot_spread(
    axes: Axes,
    config: Config,
    x: np.ndarray,
    values: np.ndarray,
    *,
    joined: bool,
) -> None:
    """Draws (low, middle, high) against x, as markers with bars."""
    order = np.argsort(x)
    low, middle, high = values[:, order]
    axes.errorbar(
        x[order],
        middle,
        yerr=np.array([middle - low, high - middle]),
        color=_colour(config),
        linestyle="-" if joined else "none",
        marker="o" if "cell" in config.swept() else plots.marker_of(config.cell),
        markersize=4,
        linewidth=1.2,
        elinewidth=0.9,
    )


def _maps(config: Config, arrays: Arrays, fields: list[str]) -> Figure:
    """Draws the first field upwards, the second to the right."""
    values: Any = config.swept()
    labels = [told(values[name]) for name in fields]
    shape = [len(of_field) for of_field in labels]
    figure = Figure(
        figsize=(max(5.6, 2.4 + 1.1 * shape[1]), 2.4 + 0.42 * shape[0]),
        layout="constrained",
    )
    left, right = figure.subplots(1, 2, sharey=True)
    rates = arrays["success_rate"].reshape(shape)
    plots.success_map(left, rates, labels[1], labels[0])
    left.set_title("share of seeds that succeed")
    _loss_map(right, arrays, shape)
    right.set_xticks(range(shape[1]), labels[1])
    right.set_title("median test loss")
    for axes in (left, right):
        axes.set_xlabel(_label(fields[1]))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    left.set_ylabel(_label(fields[0]))
    return figure


def _loss_map(axes: Axes, arrays: Arrays, shape: list[int]) -> None:
    losses, diverged = (arrays[n].reshape(shape) for n in ("loss_median", "diverged"))
    above = losses[np.isfinite(losses) & (losses > 0)]
    norm = LogNorm(above.min(), above.max()) if len(above) else None
    axes.imshow(
        losses, cmap="viridis_r", norm=norm, aspect="auto", origin="lower", alpha=0.6
    )
    for (row, column), loss in np.ndenumerate(losses):
        text = f"{loss:.2g}" if np.isfinite(loss) else ""
        text += f" ×{diverged[row, column]}" if diverged[row, column] else ""
        axes.text(column, row, text.strip(), ha="center", va="center", fontsize=7)


def _strips(config: Config, arrays: Arrays, fields: list[str]) -> Figure:
    upwards = len(arrays["best_first"]) > MOST_LEVEL_TEXTS
    heights = (2.2, 1.2, (0.62 if upwards else 0.42) * len(fields))
    figure = Figure(figsize=(6.6, 1.7 + sum(heights)), layout="constrained")
    losses, rates, strips = figure.subplots(3, 1, sharex=True, height_ratios=heights)
    best_first = arrays["best_first"]
    ranked = {
        name: values[best_first]
        for name, values in arrays.items()
        if name != "best_first"
    }
    x = np.arange(len(best_first))
    _plot_losses(losses, config, ranked, x, joined=False)
    _plot_rates(rates, config, ranked, x, joined=False)
    for row, name in enumerate(fields):
        texts = np.array(_texts(config, name))[best_first]
        values = _swept(config, name)[best_first]
        _plot_strip(strips, row, values, texts, upwards=upwards)
    strips.set_yticks(range(len(fields)), [_label(name) for name in fields])
    strips.set_ylim(len(fields) - 0.5, -0.5)
    strips.set_xlim(-0.5, len(x) - 0.5)
    strips.set_xticks([])
    strips.tick_params(length=0)
    strips.spines[:].set_visible(False)
    strips.set_xlabel("settings, the best first")
    return figure


def _swept(config: Config, field: str) -> np.ndarray:
    """Returns the value of each setting."""
    return np.array([setting[field] for setting in config.settings()])


def _texts(config: Config, field: str) -> list[str]:
    """Returns the value of each setting as it appears in the table."""
    return told(setting[field] for setting in config.settings())


def _plot_strip(
    axes: Axes, row: int, values: np.ndarray, texts: np.ndarray, *, upwards: bool
) -> None:
    """Draws a field's values as shades, and writes them if there is room."""
    shades = _shades(values)
    edges = (-0.5, len(values) - 0.5, row + 0.42, row - 0.42)
    axes.imshow(shades[None], aspect="auto", cmap=SHADES, vmin=0, vmax=1, extent=edges)
    for x, text in enumerate(texts if len(texts) <= MOST_TEXTS else ()):
        axes.text(
            x,
            row,
            text,
            color="white" if shades[x] < 0.6 else "black",
            ha="center",
            va="center",
            fontsize=6,
            rotation=90 if upwards else 0,
        )


def _shades(values: np.ndarray) -> np.ndarray:
    """Returns each value's place between the smallest and the largest, in [0, 1]."""
    if values.dtype.kind not in "if":
        _, numbers = np.unique(values, return_inverse=True)
    else:
        numbers = np.log(values) if _is_spread(values) else values
    low, high = numbers.min(), numbers.max()
    return (numbers - low) / (high - low or 1)
