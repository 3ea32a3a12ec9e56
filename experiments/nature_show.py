"""Is it a dog or a wolf? Accuracy against the lag of the scene that decides.

Question: which cell learns to remember the first image of a TV programme, at which lag?

  python -m experiments.nature_show
  python -m experiments.nature_show --cells=lstm --lags=100 --forget_bias=1,matched

Every cell is trained anew for every lag, several seeds each, and tested on shows of
images that training never drew; accuracy is counted on the ambiguous last images, where
whoever has no memory is at 1/2. The story line compares, for one test show, a predictor
fitted on last images alone (scikit-learn's logistic regression) with the best trained
network that saw the whole show.

Setting: hidden 64, Adam 3e-3 behind a clip of the gradient norm to 1, 600 updates of 64
shows. Expected (`experiments/reference/nature_show/`, the default run; README quotes
it): at lag 40 an LSTM whose forget bias suits the lag reaches 0.95 in at least 4 of 5
seeds, and one at forget bias 1 stays at 1/2.

Source: the story of Luis Serrano's lesson in the Udacity deep-learning course; task and
setting are this project's own.
"""

import time
from dataclasses import asdict, dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.linear_model import LogisticRegression

import lstm_jax as lj
from experiments.common import cli, memory_limit, records, training, wording
from experiments.common.cli import option
from experiments.common.progress import Advance, progress
from experiments.common.records import Record
from experiments.common.variants import (
    HAS_FORGET_BIAS,
    MATCHED,
    TAUGHT,
    Variant,
    init_options,
    matched_bias,
)
from lstm_jax import plots
from lstm_jax.tasks.nature_show import ANSWERS, RENDERINGS, ROLES, show_of
from lstm_jax.training import loop, runs

NAME = "nature_show"
SOLVED = 0.95
TEST_SHOWS = 2048
LAST_IMAGES = 4096
STORY_LAG = 10  # of the film strip: twelve images are still readable


@dataclass(frozen=True)
class Config:
    """What is compared; every field is a flag."""

    cells: tuple[str, ...] = option(TAUGHT, cli.list_of(cli.one_of(lj.CELLS)), "cells")
    lags: tuple[int, ...] = option(
        (5, 10, 20, 40),
        cli.list_of(cli.integer(minimum=1)),
        "steps between scene and question",
    )
    forget_bias: tuple[float | str, ...] = option(
        (1.0, MATCHED),
        cli.list_of(cli.either(MATCHED, cli.number())),
        f"biases of the forget gate, side by side; {MATCHED!r} is the one whose "
        "carousel keeps 3/4 over the lag",
    )
    hidden_size: int = option(64, cli.integer(minimum=1), "units of a cell")
    num_seeds: int = option(5, cli.integer(minimum=2), "networks per cell and lag")
    num_steps: int = option(600, cli.integer(minimum=1), "updates of the training")
    batch_size: int = option(64, cli.integer(minimum=1), "shows per update")
    learning_rate: float = option(3e-3, cli.number(above=0), "of Adam")
    rendering: str = option("digits", cli.one_of(RENDERINGS), "the images")
    seed: int = option(0, cli.seed(), "everything random follows from it")

    def __post_init__(self) -> None:
        """Refuses what is not allowed."""
        cli.check(self)


class Trained(NamedTuple):
    """The networks of one cell at one lag; the first axes are (variant, seed).

    Attributes:
      models: their parameters.
      accuracy: on TEST_SHOWS test shows.
    """

    models: loop.ModelParams
    accuracy: np.ndarray


def run(config: Config) -> Record:
    """Trains every cell at every lag, tests, and tells one show."""
    start = time.monotonic()
    _check_memory(config)
    arrays: dict[str, np.ndarray] = {"lags": np.array(config.lags)}
    told = min(config.lags, key=lambda lag: abs(lag - STORY_LAG))
    teller = "lstm" if "lstm" in config.cells else config.cells[0]
    tellers = {}
    total = len(config.cells) * len(config.lags) * config.num_steps
    with progress(total) as advance:
        for name in config.cells:
            by_lag = {lag: _train(config, name, lag, advance) for lag in config.lags}
            accuracy = np.stack([by_lag[lag].accuracy for lag in config.lags], axis=-1)
            for index, label in enumerate(_labels(config, name)):
                arrays[f"{label}/accuracy"] = accuracy[index]
            tellers[name] = by_lag[told]
    story = _story(config, teller, tellers[teller], told)
    return Record(
        experiment=NAME,
        config=asdict(config),
        arrays=arrays | story.arrays,
        rows=_rows(config, arrays),
        verdict=["", story.line],
        made=records.provenance(time.monotonic() - start),
    )


def _check_memory(config: Config) -> None:
    """Refuses weights, shows, and memories at all steps that can't be held."""
    images = lj.tasks.nature_show(config.rendering).input_size
    arrays = [
        ("num_seeds", "hidden_size", "hidden_size"),
        ("num_seeds", "lags", "batch_size", images),
        ("num_seeds", "lags", "batch_size", "hidden_size"),
        ("lags", TEST_SHOWS, images),
    ]
    memory_limit.check(asdict(config) | {"lags": max(config.lags)}, arrays)


def _labels(config: Config, cell: str) -> list[str]:
    if cell not in HAS_FORGET_BIAS:
        return [cell]
    biases = wording.told_apart(config.forget_bias, digits=3)
    return [f"{cell} b_f={bias}" for bias in biases]


def _train(config: Config, name: str, lag: int, advance: Advance) -> Trained:
    variants = [
        Variant(name, bias, order)
        for order, bias in enumerate(_biases(config, name, lag))
    ]
    key = jax.random.fold_in(jax.random.key(config.seed), lag)
    seeds = jax.random.split(key, config.num_seeds)
    keys, biases = training.side_by_side(variants, seeds)
    recipe = training.recipe_of(
        config, lj.CELLS[name], lj.tasks.nature_show(config.rendering), lag + 2
    )
    program = runs.program(recipe)
    settings = runs.Settings(init_options=init_options(name, biases))
    states = training.train_side_by_side(
        program.begin(keys, settings),
        recipe,
        num_steps=config.num_steps,
        what=f"{name} at lag {lag}",
        advance=advance,
    )
    same_shows = jnp.stack([jax.random.key(1)] * len(keys))
    accuracy = program.test(same_shows, states, TEST_SHOWS, lag + 2).accuracy
    shape = (len(variants), config.num_seeds)
    return Trained(
        jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), states.params),
        np.asarray(accuracy).reshape(shape),
    )


def _biases(config: Config, name: str, lag: int) -> list[float | None]:
    if name not in HAS_FORGET_BIAS:
        return [None]
    return [
        matched_bias(lag) if bias == MATCHED else float(bias)
        for bias in config.forget_bias
    ]


def _rows(config: Config, arrays: dict[str, np.ndarray]) -> list[dict[str, str]]:
    rows = []
    for cell in config.cells:
        for label in _labels(config, cell):
            accuracy = arrays[f"{label}/accuracy"]
            low, high = mean_interval(accuracy)
            solved = (accuracy >= SOLVED).sum(0)
            row = {"cell": label}
            for k, lag in enumerate(config.lags):
                mean = accuracy[:, k].mean()
                row[f"lag {lag}"] = f"{mean:.2f} [{low[k]:.2f}, {high[k]:.2f}]"
                row[f"solved at {lag}"] = f"{solved[k]}/{len(accuracy)}"
            rows.append(row)
    return rows


def mean_interval(values: np.ndarray) -> np.ndarray:
    """Returns the 95 % Student-t interval of the mean over the first axis, in [0, 1].

    (2, ...) from (seed, ...). Rough where seeds either solve the task or do not; the
    count of solved seeds stands beside it.
    """
    count = len(values)
    half = scipy.stats.t.ppf(0.975, count - 1) * values.std(0, ddof=1) / count**0.5
    return np.clip([values.mean(0) - half, values.mean(0) + half], 0, 1)


class Story(NamedTuple):
    """One test show, told.

    Attributes:
      line: the probabilities, from the last image alone and with the memory.
      arrays: what the film strip shows, named "story/...".
    """

    line: str
    arrays: dict[str, np.ndarray]


def _story(config: Config, name: str, trained: Trained, lag: int) -> Story:
    """Tells the first test show that a bear opens and an ambiguous image ends."""
    cell, task = lj.CELLS[name], lj.tasks.nature_show(config.rendering)
    arguments = jax.random.key(config.seed), 64, lag + 2
    batch, show = task.sample_test(*arguments), show_of(*arguments)
    wanted = (show.scene == ROLES.index("bear")) & (
        show.answer == ANSWERS.index("wolf")
    )
    told = int(np.argmax(wanted))
    inputs = batch.inputs[:, told]
    model = _best(trained)
    with_memory = jax.nn.softmax(_answers(cell, model, inputs))
    alone = _from_last_image(config, np.asarray(inputs[-1]), lag)
    roles = [int(show.scene[told]), *map(int, show.distractors[:, told])]
    return Story(
        line=f"The last image alone: {_probabilities(alone)}.  {name}, after the bear "
        f"{lag + 1} steps earlier: {_probabilities(np.asarray(with_memory))}.",
        arrays={
            "story/inputs": np.asarray(inputs),
            "story/roles": np.array(roles),
            "story/alone": alone,
            "story/with_memory": np.asarray(with_memory),
            **_inside(name, cell, model, inputs),
        },
    )


def _best(trained: Trained) -> loop.ModelParams:
    """Returns the network with the highest test accuracy."""
    variant, seed = np.unravel_index(trained.accuracy.argmax(), trained.accuracy.shape)
    return jax.tree.map(lambda leaf: leaf[variant, seed], trained.models)


def _answers(cell: lj.Cell, model: loop.ModelParams, inputs: jax.Array) -> jax.Array:
    _, ys = lj.unroll(cell, model.cell, inputs)
    return ys[-1] @ model.readout.w + model.readout.b


def _inside(
    name: str, cell: lj.Cell, model: loop.ModelParams, inputs: jax.Array
) -> dict[str, np.ndarray]:
    """Returns gates and memories at every step, (time, hidden) each; of an LSTM."""
    if name != "lstm":
        return {}
    carries, _ = lj.unroll_carries(cell, model.cell, inputs)
    before = np.concatenate([np.zeros_like(carries.h[:1]), carries.h[:-1]])
    gates = lj.lstm_gates(model.cell, jax.numpy.asarray(before), inputs)
    found = {**gates._asdict(), **carries._asdict()}
    return {f"story/{letter}": np.asarray(value) for letter, value in found.items()}


def _from_last_image(config: Config, image: np.ndarray, lag: int) -> np.ndarray:
    """Returns the probabilities of a predictor fitted on last images alone."""
    task = lj.tasks.nature_show(config.rendering)
    batch = task.sample(jax.random.key(config.seed + 1), LAST_IMAGES, 3)
    predictor = LogisticRegression(max_iter=2000)
    predictor.fit(np.asarray(batch.inputs[-1]), np.asarray(batch.targets))
    return predictor.predict_proba(image[None])[0]


def _probabilities(values: np.ndarray) -> str:
    pairs = zip(ANSWERS, values, strict=True)
    return ", ".join(f"{animal} {value:.2f}" for animal, value in pairs)


@plots.styled
def plot(record: Record) -> Figure:
    """Draws accuracy against lag and, under its images, the inside of an LSTM."""
    inside = [letter for letter in "ifgoch" if f"story/{letter}" in record.arrays]
    film = inside and record.config["rendering"] == "digits"
    rows = ["accuracy", "film", *inside] if film else ["accuracy"]
    heights = [4, 0.75, *(0.8 for _ in inside)] if film else [1]
    figure = Figure(figsize=(6.6, 7.4 if film else 3), layout="constrained")
    axes = figure.subplot_mosaic([[row] for row in rows], height_ratios=heights)
    _plot_accuracy(axes["accuracy"], record)
    if film:
        _plot_film(axes, record, inside)
    return figure


def _plot_accuracy(axes: Axes, record: Record) -> None:
    config = Config(**records.config_fields(record))
    for cell in config.cells:
        for index, label in enumerate(_labels(config, cell)):
            accuracy = record.arrays[f"{label}/accuracy"]
            plots.accuracy_curve(
                axes,
                config.lags,
                accuracy,
                mean_interval(accuracy),
                cell,
                label.replace("b_f", "$b_f$"),
                variant=index,
            )
    axes.axhline(0.5, color=plots.GREY, linewidth=0.6)
    axes.annotate("no memory", (config.lags[0], 0.505), color=plots.GREY, fontsize=8)
    axes.set_xlabel("lag: distractors between scene and question")
    axes.set_ylabel("accuracy on ambiguous images")
    axes.set_xscale("log", base=2)
    axes.set_xticks(config.lags, [str(lag) for lag in config.lags])
    axes.set_ylim(0.4, 1.02)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _plot_film(axes: dict[str, Axes], record: Record, inside: list[str]) -> None:
    roles = [ROLES[role] for role in record.arrays["story/roles"]]
    plots.film_strip(
        axes["film"], record.arrays["story/inputs"], [*roles, "dog or wolf?"]
    )
    order = np.argsort(record.arrays["story/c"][-1])
    for letter in inside:
        values = record.arrays[f"story/{letter}"][:, order]
        plots.heat_map(
            axes[letter], values, INSIDE_LABELS[letter], signed=letter in "gch"
        )
    axes[inside[-1]].set_xlabel(
        f"last image alone: {_probabilities(record.arrays['story/alone'])}\n"
        f"with the memory of the show: "
        f"{_probabilities(record.arrays['story/with_memory'])}"
    )


INSIDE_LABELS = {
    "i": "input gate $i$",
    "f": "forget gate $f$",
    "g": "candidate $g$",
    "o": "output gate $o$",
    "c": "long-term $c$",
    "h": "short-term $h$",
}


if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
