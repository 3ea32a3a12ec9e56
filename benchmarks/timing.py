"""Times two callables in turns, A B A B ..., and takes the ratio of their times.

Each is warmed for `SLICE` seconds and then timed for `SLICE` seconds: the threads of
the other side spin for a while after it, and would slow down whatever follows. A round
is both sides once; its ratio compares times taken within the same tenth of a second. A
round in which other processes used the CPU is dropped.
"""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SLICE = 0.012  # seconds
MOST_SECONDS = 60.0  # for one comparison, once FEWEST_ROUNDS are kept
FEWEST_ROUNDS = 5
MOST_OTHERS = 0.1  # share of all cores' time that others may use in a quiet round
TICK = 0.01  # seconds, the resolution of /proc/stat
STAT = Path("/proc/stat")


class Round(NamedTuple):
    """Seconds per call of both sides, and the CPU time of other processes meanwhile."""

    ours: float
    peer: float
    others: float = 0.0  # share of all cores' time; 0 if it can't be known


class Ratio(NamedTuple):
    """peer / ours, so above 1 is in our favour."""

    ours: float  # median, in the unit of what was compared
    peer: float  # median, in the same unit
    ratio: float  # median of the ratios of the rounds
    q1: float  # their first quartile
    q3: float  # their third quartile
    rounds: int  # on which the numbers are based
    dropped: int = 0  # rounds in which other processes ran
    quiet: bool = True  # False: too few rounds were quiet, so the dropped ones count


def alternate(
    ours: Callable[[], Any], peer: Callable[[], Any], rounds: int
) -> list[Round]:
    """Times both sides in turns until `rounds` quiet rounds, or 3 * rounds in all."""
    done: list[Round] = []
    start = time.perf_counter()
    while len(done) < 3 * rounds and len(kept := quiet_rounds(done)) < rounds:
        late = time.perf_counter() - start > MOST_SECONDS
        if late and max(len(kept), len(done) / 3) >= min(rounds, FEWEST_ROUNDS):
            break
        done.append(_one_round(ours, peer))
    return done


def quiet_rounds(rounds: Sequence[Round]) -> list[Round]:
    """Returns the rounds in which other processes used hardly any CPU time."""
    return [one for one in rounds if one.others <= MOST_OTHERS]


def summarize(rounds: Sequence[Round], wanted: int, scale: float = 1.0) -> Ratio:
    """Returns medians and quartiles over the quiet rounds.

    If fewer than half of the `wanted` rounds were quiet, all rounds count and the
    result says so. `scale` converts seconds to the unit of the result.
    """
    kept = quiet_rounds(rounds)
    quiet = 2 * len(kept) >= min(wanted, len(rounds))
    used = kept if quiet else rounds
    q1, ratio, q3 = np.quantile(
        [one.peer / one.ours for one in used], [0.25, 0.5, 0.75]
    )
    return Ratio(
        ours=scale * float(np.median([one.ours for one in used])),
        peer=scale * float(np.median([one.peer for one in used])),
        ratio=float(ratio),
        q1=float(q1),
        q3=float(q3),
        rounds=len(used),
        dropped=len(rounds) - len(kept),
        quiet=quiet,
    )


def call_seconds(call: Callable[[], Any], seconds: float) -> float:
    """Calls until the time is up, at least once; returns seconds per call."""
    start, calls = time.perf_counter(), 0
    while (spent := time.perf_counter() - start) < seconds or calls == 0:
        call()
        calls += 1
    return spent / calls


def _one_round(ours: Callable[[], Any], peer: Callable[[], Any]) -> Round:
    busy, own, start = busy_seconds(), time.process_time(), time.perf_counter()
    seconds = []
    for call in (ours, peer):
        call_seconds(call, SLICE)
        seconds.append(call_seconds(call, SLICE))
    wall = time.perf_counter() - start
    return Round(
        *seconds,
        others=others_share(
            busy=busy_seconds() - busy, own=time.process_time() - own, wall=wall
        ),
    )


def others_share(*, busy: float, own: float, wall: float) -> float:
    """Returns the CPU time that others used, as a share of the time of all cores.

    One tick is allowed for: `busy` is counted in ticks, `own` is exact.
    """
    return max(0.0, busy - own - TICK) / (wall * (os.cpu_count() or 1))


def busy_seconds() -> float:
    """Returns the seconds all cores have been busy since boot, including stolen time.

    Without /proc/stat it is 0, and no round is ever dropped.
    """
    if not STAT.exists():
        return 0.0
    fields = [int(field) for field in STAT.read_text().split("\n", 1)[0].split()[1:9]]
    _, _, _, idle, waiting, *_ = fields
    return (sum(fields) - idle - waiting) * TICK
