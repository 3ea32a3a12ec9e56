"""Two callables timed in turns, A B A B ..., and the ratio of their times.

Every call is warmed for `SLICE` seconds before `SLICE` seconds of it are timed: threads
of the other side spin for a while after it, and would slow whoever follows. A round is
both sides once; its ratio compares times taken within the same tenth of a second. A
round in which other processes used the CPU is dropped.
"""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SLICE = 0.012  # seconds
MOST_SECONDS = 60.0  # of one comparison, once FEWEST_ROUNDS were kept
FEWEST_ROUNDS = 5
MOST_OTHERS = 0.1  # share of all cores' time that others may use in a kept round
TICK = 0.01  # seconds, the resolution of /proc/stat
STAT = Path("/proc/stat")


class Round(NamedTuple):
    """Seconds per call of both sides, and what others used meanwhile.

    Attributes:
      ours: seconds.
      peer: seconds.
      others: share of all cores' time, 0 where it can't be known.
    """

    ours: float
    peer: float
    others: float = 0.0


class Ratio(NamedTuple):
    """peer / ours, so above 1 is in our favour.

    Attributes:
      ours: median, in the unit of what was compared.
      peer: median, in the same unit.
      ratio: median of the ratios of the rounds.
      q1: their first quartile.
      q3: their third quartile.
      rounds: how many rounds the numbers stand on.
      dropped: how many were dropped because other processes ran.
      quiet: False where too few rounds were left, and the dropped ones are in.
    """

    ours: float
    peer: float
    ratio: float
    q1: float
    q3: float
    rounds: int
    dropped: int = 0
    quiet: bool = True


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
    """Returns the rounds in which other processes used next to nothing."""
    return [one for one in rounds if one.others <= MOST_OTHERS]


def summarize(rounds: Sequence[Round], wanted: int, scale: float = 1.0) -> Ratio:
    """Returns medians and quartiles over the quiet rounds.

    Where fewer than half of the rounds asked for were quiet, all of them count and the
    result says so.

    Args:
      rounds: what `alternate` returned.
      wanted: how many quiet rounds were asked for.
      scale: from seconds to the unit of the result.
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
    """Calls until the time is over, at least once; returns seconds per call."""
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
    """Returns what was used beside our own, as a share of the time of all cores.

    One tick is forgiven: `busy` is counted in ticks, `own` is exact.
    """
    return max(0.0, busy - own - TICK) / (wall * (os.cpu_count() or 1))


def busy_seconds() -> float:
    """Returns the seconds all cores were busy since boot, the time stolen included.

    0 where the system has no /proc/stat: then no round is ever dropped.
    """
    if not STAT.exists():
        return 0.0
    fields = [int(field) for field in STAT.read_text().split("\n", 1)[0].split()[1:9]]
    _, _, _, idle, waiting, *_ = fields
    return (sum(fields) - idle - waiting) * TICK
