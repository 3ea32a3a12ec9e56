"""The page "which memory for what": five questions, answered from stored records."""

import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any

import numpy as np

import lstm_jax as lj
from benchmarks import table as bench
from experiments.common.records import Record, take
from experiments.criteria import families as of_families
from experiments.criteria import learning_to_forget as of_streams
from experiments.criteria import orthogonality as of_copying
from experiments.criteria import state_tracking as of_groups
from experiments.figures.nature_show import SOLVED
from scripts.rows_table import markdown

Load = Callable[[str], Record]
"""From the name of an experiment to its stored record."""

INTRO = """
What the stored records of `experiments/reference` say to five questions. They are of
small networks, few seeds and one setting for all cells of an experiment: "not" means
not there, in those updates. Every number and list of cells is read from a record;
`./scripts/results` writes this page.
"""
REFLECTIONS = """
`reflection` and `two_reflections` are `lj.cells.delta_product` with one factor and
with two.
"""
STREAMS = """
`lstm97` and `lstm_nfg` have no forget gate; `_resets` is told where strings begin. In
the table: symbols right at the end, the norm of the state late in a stream, and the
share of streams without a fault. Rows that begin with 2000 are that paper's own nets,
trained on-line; the rest is trained by Adam.
"""
FIGURE = """![The share of the gradient left at every lag, by family of \
cells](../experiments/reference/families/figure.png)"""
BY_CONTENT = """
Recall by content, which value came with this key, is the task `lj.tasks.MQAR`; no
stored record asks for it yet.
"""


def page(load: Load) -> str:
    """Returns the page as Markdown."""
    parts = ["# Which memory for what", INTRO]
    for question, answer in ANSWERS.items():
        parts += [f"## {question}", *answer(load)]
    return "\n\n".join(map(_wrapped, parts)) + "\n"


def _wrapped(part: str) -> str:
    """Returns a paragraph in lines of the usual length; tables stay as they are."""
    if part.startswith(("#", "|", "!")):
        return part
    return textwrap.fill(part.strip(), 92, break_on_hyphens=False)


# -- Words ---------------------------------------------------------------------------


def _listed(names: Iterable[str]) -> str:
    """Returns names of cells as a list in a sentence; "none" of none."""
    return ", ".join(f"`{name}`" for name in names) or "none"


def _each(names: Sequence[str], values: Iterable[Any], form: str) -> str:
    """Returns values with the names they belong to: "0.96 (`gru`), 0.16 (`rnn`)"."""
    pairs = zip(names, values, strict=True)
    return ", ".join(f"{value:{form}} (`{name}`)" for name, value in pairs)


def _which(names: Sequence[str], right: np.ndarray) -> list[str]:
    """Returns the names for which most networks, along the last axis, are right."""
    return [n for n, of in zip(names, right, strict=True) if of.mean() > 0.5]


def _columns(record: Record, names: Iterable[str]) -> str:
    """Returns the table of a record with these columns alone."""
    return markdown([{name: row[name] for name in names} for row in record.rows])


def _read_on(*names: str) -> str:
    """Returns links to rows of `docs/results.md`, with their commands."""
    return f"More: {'; '.join(map(link, names))}."


def link(name: str) -> str:
    """Returns a link to the row of an experiment, on the page of results."""
    row = import_module(f"experiments.{name}").ROW
    return f"[row {row.number}](results.md#{anchor(f'{row.number}. {row.title}')})"


def anchor(heading: str) -> str:
    """Returns the anchor of a heading, as GitHub and MyST make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


# -- Answers -------------------------------------------------------------------------


def _long_lag(load: Load) -> list[str]:
    families, adding, copying = map(load, ("families", "adding", "orthogonality"))
    drawn, config = of_families.drawn(families), families.config
    cells = [families.axes["variant"][k]["cell"] for k in drawn]
    learn = _which(cells, of_families.solved(families)[drawn])
    shares = {name: of_copying.of_chance(copying, name).mean() for name in COPYING}
    others = _listed(cell for cell in cells if cell not in learn)
    told = (
        f"One bit of the first image is asked for {config['lag']} images later. After "
        f"{config['num_steps']} updates {SOLVED} of the answers are right in most "
        f"seeds of {_listed(learn)}; of {others} they are not. In the table, from "
        "before training to after it: the share of the answer's gradient that is left "
        "at the image, and how many of the last steps make up an update. A cell with a "
        "forget bias (b_f) starts from the one matched to the lag; the last column has "
        "its right answers from another."
    )
    errors = take(adding, "test_loss").mean(1)
    without = lj.tasks.ADDING.floor(adding.config["length"])
    further = (
        f"Adding two numbers over {adding.config['length']} steps, the mean squared "
        f"error is {_each(adding.axes['cell'], errors, '.2g')}; without memory it is "
        f"{without:.3f}. Copying symbols after {copying.config['delay']} steps, the "
        "loss is "
        f"{_each(COPYING, shares.values(), '.2g')} of what it is without memory."
    )
    left = f"left at lag {config['lag']}"
    names = ("cell", "b_f", "right", left, "effective window", "right at other b_f")
    more = _read_on("families", "adding", "orthogonality")
    return [told, FIGURE, _columns(families, names), further, more]


def _state(load: Load) -> list[str]:
    counting, groups = load("counting"), load("state_tracking")
    networks, length = groups.axes["network"], groups.config["length"]
    method = counting.axes["method"][0]
    reach = np.median(take(counting, "reach", method=method, language="anbn"), axis=-1)
    kept = of_groups.solved(groups)
    told = (
        f"Counting: trained on a^n b^n to n = {counting.config['largest_n']} "
        f"({method}), the median network is right to "
        f"n = {_each(counting.axes['cell'], reach, '.0f')}; below "
        f"{counting.config['largest_n']} it has not learnt what it was shown."
    )
    smallest, largest = (
        f"{groups.axes['group'][j]}, is kept by {_listed(_which(networks, kept[:, j]))}"
        for j in (0, -1)
    )
    further = (
        "Tracking a state: the product, so far, of a group's elements, trained on up "
        f"to {length} steps and asked at {length + 1} to {2 * length}. In most seeds "
        f"the smallest group, {smallest}; the largest, {largest}. In the table, the "
        "seeds that keep each, and the share that is right beyond those steps."
    )
    table = markdown(groups.rows)
    more = _read_on("counting", "state_tracking")
    return [told, further, table, REFLECTIONS, more]


def _recall(load: Load) -> list[str]:
    copying, order = load("selective_copying"), load("temporal_order")
    config, names = copying.config, ("network", "exact", "by slot")
    exact = _each(copying.axes["network"], take(copying, "exact").mean(1), ".2f")
    told = (
        f"By order: {config['num_items']} symbols scattered over {config['num_steps']} "
        "steps, to be repeated in order. All are right in a share of "
        f"{exact} of the sequences. The table goes on to {config['far_items']} symbols "
        f"of {config['far_steps']} steps; by slot is the share right of each symbol, "
        "in the order of writing. (`_longer` has more updates, `_real` candidates of "
        "either sign.)"
    )
    right = take(order, "modern_accuracy").mean(1)
    chance = 1 / lj.TASKS["temporal_order_pascanu"].output_size
    further = (
        "Which of two symbols came first and which second, in "
        f"{order.config['lengths'][-1]} steps: a share of "
        f"{_each(order.axes['cell'], right, '.2f')} is right; chance is {chance}."
    )
    table = _columns(copying, ("steps, symbols", *names))
    more = _read_on("selective_copying", "temporal_order")
    return [told, table, further, BY_CONTENT, more]


def _forgetting(load: Load) -> list[str]:
    stream, flips = load("learning_to_forget"), load("flip_flop")
    cells, updates = stream.axes["cell"], stream.axes["updates"]
    sooner, later = (
        _which(cells, take(stream, "accuracy", updates=n) >= of_streams.RIGHT)
        for n in (updates[1], updates[-1])
    )
    told = (
        "A stream of strings without a break, each to be kept apart from those before. "
        f"After {updates[1]} updates {of_streams.RIGHT} of the outer symbols are right "
        f"in most seeds of {_listed(sooner)}; after {updates[-1]}, of {_listed(later)}."
    )
    wrong = (take(flips, "errors") > 0).any(1).sum(1)
    further = (
        f"Told to write a bit, to ignore or to read one, over {flips.config['length']} "
        f"steps: of {flips.config['num_seeds']} networks a wrong bit was read by "
        f"{_each(flips.axes['cell'], wrong, 'd')}."
    )
    names = ("cell", "outer symbols right", "late norm", "no fault")
    more = _read_on("learning_to_forget", "flip_flop")
    return [told, STREAMS, _columns(stream, names), further, more]


def _parallel(load: Load) -> list[str]:
    families, groups = load("families"), load("state_tracking")
    copying = load("selective_copying")
    linear = [name for name, cell in lj.CELLS.items() if cell.transition is not None]
    cells = [v["cell"] for v in families.axes["variant"]]
    drawn = of_families.drawn(families)
    learn = {*_which([cells[k] for k in drawn], of_families.solved(families)[drawn])}
    exact = [take(copying, "exact", network=name).mean() for name in LAYERS]
    kept = of_groups.solved(groups)[[groups.axes["network"].index(n) for n in LINEAR]]
    told = (
        f"Cells that are linear in their memory, {_listed(linear)}, run over a whole "
        'sequence at once: `lj.unroll(..., implementation="associative")`. '
        f"{_timed()} "
        "The tables above leave out the newest of these. The long lag is bridged in "
        f"most seeds of {_listed(c for c in linear if c in learn)}, and not of "
        f"{_listed(c for c in linear if c in {*cells} - learn)}. Of the "
        f"{kept.shape[1]} groups, most seeds keep "
        f"{_each(LINEAR, (kept.mean(-1) > 0.5).sum(1), 'd')}. Symbols are repeated in "
        f"order in a share of {_each(LAYERS, exact, '.2f')}."
    )
    return [told, _read_on("families", "state_tracking", "selective_copying")]


def _timed() -> str:
    """Says how fast a tree in pieces was beside the scan, by the benchmark."""
    lines = bench.latest(bench.read(bench.RECORD))
    sides = ("linear", "time", "pieces", "auto")
    names = ("case", "measure", "our_side", "peer_side")
    lines = [line for line in lines if tuple(line[name] for name in names) == sides]
    speeds = [
        [line["ratio"] for line in lines if line["work"].endswith(f", {work}")]
        for work in ("forward", "forward+backward")
    ]
    forward, both = (f"{min(each):.2f} to {max(each):.2f}" for each in speeds)
    return (
        f"On a CPU of two cores that has {forward} times the speed of the scan "
        f"forward, and {both} times with the gradient "
        "(`benchmarks/README.md`)."
    )


COPYING = ("exp_rnn", "rnn")
LAYERS = ("min_gru", "min_gru_two_layers", "gru")
LINEAR = ("min_gru", "signed_min_gru", "reflection", "two_reflections")
ANSWERS: dict[str, Callable[[Load], list[str]]] = {
    "To carry one bit over a long lag": _long_lag,
    "To count, or to track a state": _state,
    "To recall by order, or by content": _recall,
    "To forget on command": _forgetting,
    "To train at length, in parallel": _parallel,
}
