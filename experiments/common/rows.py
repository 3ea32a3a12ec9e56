"""A row of the table of results: what the field reports, and ours beside it.

An experiment that is a row has `ROW = Row(...)` in its module, beside `Config`, `run`
and `plot`; `scripts/reproduce` runs it, and `scripts/results` writes it down. Nothing
else lists the rows. Its criteria are one function of its record, so that the table, the
tests and `scripts/reproduce --check` can't disagree.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import scipy.stats

from experiments.common import usage
from experiments.common.errors import ConfigError
from experiments.common.records import Record
from lstm_jax.training import success_rate

EXPERIMENTS = Path(__file__).parents[1]
SIZES = ("smoke", "standard", "paper")
STANDARD = "standard"
REPRODUCED, PARTLY, NOT = "reproduced", "partly", "not"
NOTHING_PUBLISHED = "nothing published"
DECLARED = re.compile(r"^ROW\b|\bROW as ROW\b", re.MULTILINE)


class Check(NamedTuple):
    """One criterion of a row, computed from its record.

    Attributes:
      what: a sentence, the same at every size: "rate of the norm minus ln ρ(W)".
      published: as the source prints it, with its unit; "" where nothing is published.
      ours: with its 95 % interval over seeds where there are seeds.
      holds: whether ours meets the criterion; None where it is told and nothing asked.
    """

    what: str
    published: str
    ours: str
    holds: bool | None


class Row(NamedTuple):
    """A result of the field that an experiment reproduces.

    Attributes:
      number: its place in the table: "2", "12a".
      title: "latch or learn".
      source: authors, year, section, figure or table, URL.
      sizes: fields of the experiment's Config for "smoke", "standard" and "paper"; the
        others are as by default.
      checks: the criteria of a record, the one that the table quotes first; at smoke
        size those that say which way it goes (`record.config` tells the size).
    """

    number: str
    title: str
    source: str
    sizes: Mapping[str, Mapping[str, Any]]
    checks: Callable[[Record], Sequence[Check]]


def verdict(row: Row, checks: Sequence[Check]) -> str:
    """Returns "reproduced" if all criteria hold, "partly", "not" if none does.

    "nothing published" if no criterion has a published value, whatever holds.

    Raises:
      ValueError: there are no criteria.
    """
    held = answers(checks)
    if not held:
        raise ValueError(f"checks: got none of {row.title!r}; it must be at least one")
    if not any(check.published and check.holds is not None for check in checks):
        return NOTHING_PUBLISHED
    return REPRODUCED if all(held) else PARTLY if any(held) else NOT


def answers(checks: Sequence[Check]) -> list[bool]:
    """Returns whether each criterion holds, of those that ask for something."""
    return [check.holds for check in checks if check.holds is not None]


def tally(checks: Sequence[Check]) -> str:
    """Returns how many hold: "7 of 7", or "7 of 7, 3 not asked"."""
    held = answers(checks)
    untold = len(checks) - len(held)
    return f"{sum(held)} of {len(held)}" + (f", {untold} not asked" if untold else "")


def verdict_lines(checks: Sequence[Check]) -> list[str]:
    """Returns a line for each criterion: whether it holds, what it is, and ours."""
    words = {True: "yes", False: "NO", None: "not asked"}
    return [f"{words[check.holds]}: {check.what}: {check.ours}" for check in checks]


def checked(record: Record, row: Row, folder: Path) -> Sequence[Check]:
    """Returns the criteria of a record that is stored in a folder.

    Raises:
      ConfigError: it has not all that they ask for; an older version made it.
    """
    try:
        return row.checks(record)
    except KeyError as missing:
        raise ConfigError(
            f"{folder}: the record there has no {missing}, so that an older version "
            "made it; ./scripts/reproduce --replace makes it anew"
        ) from missing


# -- All rows ------------------------------------------------------------------------


def names() -> list[str]:
    """Returns the experiments that are rows, by the numbers of their rows."""
    return list(modules())


def modules() -> dict[str, ModuleType]:
    """Returns the experiments that are rows, each with its `ROW`, by its name."""
    declaring = [name for name in usage.questions() if DECLARED.search(_source(name))]
    found = {name: import_module(f"experiments.{name}") for name in declaring}
    return dict(sorted(found.items(), key=lambda item: _place(item[1].ROW.number)))


def _source(name: str) -> str:
    module = EXPERIMENTS / f"{name}.py"
    path = module if module.exists() else EXPERIMENTS / name / "__init__.py"
    return path.read_text(encoding="utf-8")


def _place(number: str) -> tuple[int, str]:
    digits = re.match(r"\d+", number)
    return (int(digits[0]), number) if digits else (0, number)


# -- Sizes and records ---------------------------------------------------------------


def config_of(module: ModuleType, size: str) -> Any:
    """Returns the Config of a row at a size."""
    return module.Config(**module.ROW.sizes[size])


def marked(record: Record, row: Row, size: str, code: str) -> Record:
    """Returns a record that says which row it is, at which size, and by what code."""
    made = record.made | {"row": row.number, "size": size, "code": code}
    return record._replace(made=made)


def size_of(record: Record) -> str | None:
    """Returns the size at which a record is of its row; None if it isn't of a row."""
    return record.made.get("size")


def is_of(record: Record, config: Any) -> bool:
    """Returns whether a stored record was asked for by this Config.

    What a Config leaves open, None, the run may have filled in.
    """
    stored = {name: _plain(value) for name, value in record.config.items()}
    return all(
        name in stored and (value is None or stored[name] == _plain(value))
        for name, value in asdict(config).items()
    )


def _plain(value: Any) -> Any:
    """Returns a list for a tuple, which a saved record holds as a list."""
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


# -- Words for `ours` ----------------------------------------------------------------


def mean(values: Any, form: str = "+.4f") -> str:
    """Returns the mean over seeds with its 95 % Student-t interval, as text.

    "0.1547 [0.1519, 0.1575]"; of one seed the value alone.
    """
    values = np.asarray(values, np.float64).ravel()
    middle = values.mean()
    if values.size == 1:
        return f"{middle:{form}}"
    error = values.std(ddof=1) / values.size**0.5
    half = scipy.stats.t.ppf(0.975, values.size - 1) * error
    return f"{middle:{form}} [{middle - half:{form}}, {middle + half:{form}}]"


def median(values: Any, form: str = "g") -> str:
    """Returns the median over seeds with a 95 % interval of order statistics, as text.

    The interval of the sign test: from the k-th smallest to the k-th largest value, k
    the largest with P(Binomial(n, 1/2) < k) <= 0.025; under six seeds there is none,
    and the text has the range instead.
    """
    values = np.sort(np.asarray(values, np.float64).ravel())
    # ppf returns the smallest k with P(X <= k) >= 0.025, so that P(X < k) < 0.025.
    k = int(scipy.stats.binom.ppf(0.025, values.size, 0.5))
    what, k = ("", k) if k else ("range ", 1)
    low, high = values[k - 1], values[-k]
    return f"{np.median(values):{form}} [{what}{low:{form}}, {high:{form}}]"


def count(successes: int, runs: int) -> str:
    """Returns how many runs of all succeeded, with the Wilson interval of the share.

    "27 of 30 [0.74, 0.97]"
    """
    rate = success_rate(successes, runs)
    return f"{successes} of {runs} [{rate.low:.2f}, {rate.high:.2f}]"
