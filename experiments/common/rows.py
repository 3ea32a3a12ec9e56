"""Rows: results of the literature that an experiment repeats, and what decides."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from experiments.common.records import Record


class Check(NamedTuple):
    """One criterion of a row, computed from its record.

    Attributes:
      what: a sentence.
      published: as the source prints it, with its unit; "" where nothing is published.
      ours: with its 95 % interval over seeds where there are seeds.
      holds: whether it is met.
    """

    what: str
    published: str
    ours: str
    holds: bool


class Row(NamedTuple):
    """A result of the literature, beside the experiment that repeats it.

    Attributes:
      number: of the row, such as "15".
      title: what is claimed.
      source: authors, year, section, figure or table, address.
      sizes: fields of the experiment's Config for "smoke", "standard" and "paper".
      checks: the criteria; at smoke size those that need no precision.
    """

    number: str
    title: str
    source: str
    sizes: Mapping[str, Mapping[str, Any]]
    checks: Callable[[Record], Sequence[Check]]
