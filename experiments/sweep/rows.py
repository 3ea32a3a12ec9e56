"""The results of a sweep, setting by setting: as numbers, ranked, and in words."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from experiments.common import wording
from experiments.common.statistics import quartiles
from experiments.sweep.config import Config
from experiments.sweep.parts import Outcome
from lstm_jax.training.success import success_rate

QUARTILES = ("q25", "median", "q75")
STATISTICS = (
    "runs",
    "successes",
    "success_rate",
    "success_low",
    "success_high",
    "diverged",
    *(f"{of}_{name}" for of in ("loss", "accuracy") for name in QUARTILES),
)
MOST_ROWS = 10

Row = dict[str, Any]
"""A line of sweep.csv: the swept fields of a setting, and its statistics."""


def rows_of(config: Config, outcome: Outcome) -> list[Row]:
    """Returns one row per setting, in the order of the sweep."""
    succeeded = successes(config, outcome)
    return [
        setting | _statistics(Outcome(*(leaf[number] for leaf in outcome)), row)
        for number, (setting, row) in enumerate(
            zip(config.settings(), succeeded, strict=True)
        )
    ]


def successes(config: Config, outcome: Outcome) -> np.ndarray:
    """Returns which runs did not diverge and reach the loss or accuracy asked for."""
    if config.success_loss is not None:
        good = outcome.loss <= config.success_loss
    else:
        good = outcome.accuracy >= config.success_accuracy
    return good & ~outcome.diverged


def _statistics(runs: Outcome, succeeded: np.ndarray) -> Row:
    """Returns the statistics of one setting, leaves (seed,)."""
    count, kept = int(succeeded.sum()), ~runs.diverged
    rate = success_rate(count, len(succeeded))
    return {
        "runs": len(succeeded),
        "successes": count,
        "success_rate": float(rate.rate),
        "success_low": float(rate.low),
        "success_high": float(rate.high),
        "diverged": int(runs.diverged.sum()),
        **_quartiles("loss", runs.loss[kept]),
        **_quartiles("accuracy", runs.accuracy[kept]),
    }


def _quartiles(of: str, values: np.ndarray) -> dict[str, float]:
    """Returns the quartiles; NaN if there are no values."""
    if not len(values):
        return {f"{of}_{name}": math.nan for name in QUARTILES}
    found = quartiles(values).tolist()
    return {f"{of}_{name}": q for name, q in zip(QUARTILES, found, strict=True)}


def ranking(rows: list[Row]) -> np.ndarray:
    """Returns the numbers of the settings, best first.

    By most successes, then fewest diverged, then lowest median loss; ties keep the
    order of the sweep.
    """

    def rank(number: int) -> tuple[int, int, float]:
        row = rows[number]
        lost = row["diverged"] == row["runs"]
        median = math.inf if lost else row["loss_median"]
        return -row["successes"], row["diverged"], median

    return np.array(sorted(range(len(rows)), key=rank))


def table(config: Config, rows: list[Row]) -> list[dict[str, Any]]:
    """Returns the best settings, as a table to read."""
    texts = {name: told(row[name] for row in rows) for name in config.swept()}
    return [
        {
            **{name: of_field[number] for name, of_field in texts.items()},
            "succeed": _share(rows[number]),
            "diverged": rows[number]["diverged"],
            "test loss": _spread(rows[number], "loss", ".3g"),
            "test accuracy": _spread(rows[number], "accuracy", ".3f"),
        }
        for number in ranking(rows)[:MOST_ROWS]
    ]


def told(values: Iterable[Any]) -> list[str]:
    """Returns the values of a swept field as texts for tables and axes."""
    return wording.told_apart(values, digits=4)


def labels(config: Config, rows: list[Row]) -> list[str]:
    """Returns each setting in words, no two alike."""
    fields = list(config.swept())
    texts = [told(row[name] for row in rows) for name in fields]
    return [
        ", ".join(f"{name}={text}" for name, text in zip(fields, of, strict=True))
        for of in zip(*texts, strict=True)
    ]


def _share(row: Row) -> str:
    return (
        f"{row['successes']}/{row['runs']} "
        f"[{row['success_low']:.2f}, {row['success_high']:.2f}]"
    )


def _spread(row: Row, of: str, form: str) -> str:
    if row["diverged"] == row["runs"]:
        return "-"
    low, median, high = (format(row[f"{of}_{name}"], form) for name in QUARTILES)
    return f"{median} [{low}, {high}]"


def verdict(config: Config, rows: list[Row]) -> list[str]:
    """Says which setting is best, how many succeed, and which diverged."""
    settings, best = labels(config, rows), int(ranking(rows)[0])
    most = sum(2 * row["successes"] > row["runs"] for row in rows)
    wanted = (
        f"test accuracy of at least {config.success_accuracy:g}"
        if config.success_loss is None
        else f"test loss of at most {config.success_loss:g}"
    )
    lines = [
        f"In {most} of {len(rows)} settings most seeds succeed: a {wanted}.",
        f"Best: {settings[best]}: {_share(rows[best])} succeed, "
        f"median test loss {rows[best]['loss_median']:.3g}.",
    ]
    lost = [number for number, row in enumerate(rows) if row["diverged"]]
    if lost:
        count = sum(row["diverged"] for row in rows)
        where = "; ".join(settings[number] for number in lost[:MOST_ROWS])
        more = "; ..." if len(lost) > MOST_ROWS else ""
        lines.append(
            f"{count} of {len(rows) * config.num_seeds} runs diverged: {where}{more}."
        )
    return lines
