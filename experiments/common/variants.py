"""Variants of a cell that are compared: its forget biases."""

import inspect
import math
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import lstm_jax as lj
from experiments.common import cli, wording
from lstm_jax import theory

MATCHED = "matched"

TAUGHT = ("rnn", "lstm", "four_gate")  # the lesson's cells, compared by default


def options_of(cell: str) -> Collection[str]:
    """Returns the names of the arguments of this cell's `init`."""
    return inspect.signature(lj.CELLS[cell].init).parameters


HAS_FORGET_BIAS = tuple(name for name in lj.CELLS if "forget_bias" in options_of(name))


FORGET_BIASES = cli.list_of(cli.either(MATCHED, cli.number()))
WHAT_MATCHED_IS = f"{MATCHED!r} is the one whose carousel keeps 3/4 over the lag"


def forget_biases() -> Any:
    """Returns the `cli.option` of the forget biases that are compared."""
    told = f"biases of the forget gate, compared; {WHAT_MATCHED_IS}"
    return cli.option((1.0, MATCHED), FORGET_BIASES, told)


class Variant(NamedTuple):
    """A cell with one of its forget biases.

    Attributes:
      cell: its name in CELLS.
      forget_bias: None where the cell has no forget gate.
      order: the index of the bias among the cell's.
      bias: the forget bias as text, with enough digits to tell the cell's biases apart.
    """

    cell: str
    forget_bias: float | None
    order: int
    bias: str = ""

    @property
    def label(self) -> str:
        """The name in tables."""
        return self.cell if self.forget_bias is None else f"{self.cell} b_f={self.bias}"

    @property
    def entry(self) -> dict[str, Any]:
        """The entry of a record's axis "variant"."""
        return {"label": self.label, **self._asdict()}

    @property
    def carousel_rate(self) -> float:
        """The rate ln σ(b_f) in nats per step; 0 without a forget gate."""
        bias = self.forget_bias
        return 0.0 if bias is None else float(theory.carousel_rate(bias))


def variant_of(entry: dict[str, Any]) -> Variant:
    """Returns the variant of an entry of a record's axis."""
    return Variant(**{name: entry[name] for name in Variant._fields})


def matched_bias(lag: int) -> float:
    """Returns the bias b with σ(b)**lag = 3/4, about ln(3.5 lag).

    The chrono bias ln(lag - 1) keeps 1/e and is the least that a carousel needs.
    """
    return -math.log(0.75 ** (-1 / lag) - 1)


def variants_of(
    cell: str, forget_biases: Sequence[float | str], lag: int
) -> list[Variant]:
    """Returns a `Variant` per forget bias; "matched" stands for `matched_bias(lag)`."""
    if cell not in HAS_FORGET_BIAS:
        return [Variant(cell, None, 0)]
    values = [matched_bias(lag) if b == MATCHED else float(b) for b in forget_biases]
    biases = list(dict.fromkeys(values))
    texts = wording.told_apart(biases, digits=3)
    return [
        Variant(cell, bias, order, text)
        for order, (bias, text) in enumerate(zip(biases, texts, strict=True))
    ]


def init_options(cell: str, forget_bias: Any, **options: Any) -> dict[str, Any]:
    """Returns the options that this cell's `init` takes."""
    given = {"forget_bias": forget_bias, **options}
    return {name: given[name] for name in given if name in options_of(cell)}
