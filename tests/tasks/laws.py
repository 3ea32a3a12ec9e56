"""Batches drawn once, and whether what they hold follows a law."""

from collections import Counter
from functools import cache
from typing import NamedTuple

import jax
import numpy as np
from scipy import stats

import lstm_jax as lj

UNLIKELY = 1e-7


class Draw(NamedTuple):
    """A batch to look at: of which task, how many sequences, in which arrays."""

    task: lj.Task
    many: int
    length: int
    max_length: int
    split: str = "sample"


@cache
def drawn(draw):
    """The batch as NumPy arrays."""
    sample = jax.jit(getattr(draw.task, draw.split), static_argnums=(1, 2))
    batch = sample(jax.random.key(7), draw.many, draw.max_length, draw.length)
    return jax.tree.map(np.asarray, batch)


def uniform(low, high):
    """Every whole number from low to high, both included."""
    return {k: 1 / (high - low + 1) for k in range(low, high + 1)}


def assert_law(found, law):
    """The outcomes found, as many as expected each, and no others."""
    counts = Counter(found)
    assert set(counts) <= set(law), set(counts) - set(law)
    likely = {k for k in law if len(found) * law[k] > -np.log(UNLIKELY / len(law))}
    assert likely <= set(counts), likely - set(counts)
    expected = len(found) * np.array(list(law.values()))
    assert np.isclose(expected.sum(), len(found))
    difference = np.array([counts[k] for k in law]) - expected
    if len(law) > 1:
        statistic = np.sum(difference**2 / expected)
        assert statistic < stats.chi2.isf(UNLIKELY, len(law) - 1)


def symbols(batch):
    return batch.inputs.argmax(-1)


def of(name, many, length, max_length=None):
    task = name if isinstance(name, lj.Task) else lj.TASKS[name]
    return Draw(task, many, length, max_length or length + 2)


ADDING, ADDING_1997 = of("adding", 4_000, 9), of("adding_1997", 20_000, 44)
MULTIPLICATION = of("multiplication", 20_000, 22)

LATCH = of("latch", 4_000, 8)
TWO = {name: of(f"two_sequence_{name}", 20_000, 33) for name in ("3a", "3b", "3c")}
SHOW = of(lj.tasks.nature_show("vectors"), 20_000, 5)
