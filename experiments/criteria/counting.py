"""The criteria of `experiments.counting`, row 9."""

from functools import partial

import numpy as np

from experiments.common import rows
from experiments.common.records import Record, take
from experiments.common.rows import Check

SOURCE_CELL = "peephole_lstm"
WANTED = {"anbn": (3.0, 1.0), "anbncn": (1.5, 0.8)}
"""How many times the largest n shown, and by what share of the seeds."""

WHOLE = 10
"""The largest n shown in the source; smaller ones must be passed, by any margin."""

PUBLISHED = {
    "anbn": "65 at least, 5 of 5 seeds, in a catalogue, by Adam",
    "anbncn": "18, 24, 29: least, median, most of 5 seeds, in a catalogue, by Adam",
}
SPELT = {"anbn": "a^n b^n", "anbncn": "a^n b^n c^n"}
LOWER = ("gru", "rnn")


def checks(record: Record) -> list[Check]:
    """Returns the criteria; those of the peephole LSTM where it was trained.

    Of the second training it is told how far its networks count.
    """
    trained = SOURCE_CELL in record.axes["cell"]
    first, *others = record.axes["method"]
    languages = record.axes["language"] if trained else []
    told = [_far(record, of, by) for by in others for of in languages]
    return [
        *(_far(record, of, first) for of in languages),
        *(check._replace(holds=None) for check in told),
        *(_lower(record, c) for c in LOWER if c in record.axes["cell"] and trained),
        _counter(record),
    ]


def _far(record: Record, language: str, method: str) -> Check:
    at = {"method": method, "language": language, "cell": SOURCE_CELL}
    found = take(record, "reach", **at)
    times, share = WANTED[language]
    shown = record.config["largest_n"]
    least = times * shown if shown >= WHOLE else shown + 1
    how_many = "every seed" if share == 1 else f"{share:.0%} of the seeds"
    values = ", ".join(str(int(n)) for n in np.sort(found))
    reached = rows.count(int((found >= least).sum()), found.size)
    return Check(
        f"{SPELT[language]}, {method}: {how_many} of the peephole LSTM right to "
        f"{times:g} times the largest n shown",
        PUBLISHED[language],
        f"{values}; {reached} to {least:g}",
        bool((found >= least).mean() >= share),
    )


def _lower(record: Record, cell: str) -> Check:
    first = partial(take, record, "reach", method=record.axes["method"][0])
    both = [
        [
            float(np.median(first(language=language, cell=of)))
            for of in (cell, SOURCE_CELL)
        ]
        for language in record.axes["language"]
    ]
    told = [
        f"{SPELT[language]}: {ours:g} against {its:g}"
        for language, (ours, its) in zip(record.axes["language"], both, strict=True)
    ]
    return Check(
        f"the median n of the {cell} is below that of the peephole LSTM",
        "",
        "; ".join(told),
        all(ours < its for ours, its in both),
    )


def _counter(record: Record) -> Check:
    found, wanted = int(take(record, "counter_reach")), record.config["counter_n"]
    return Check(
        "a counter set by hand is right at every n of a^n b^n",
        "",
        f"to n = {found} of {wanted}",
        found == wanted,
    )
