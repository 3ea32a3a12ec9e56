"""The net of Gers, Schmidhuber & Cummins (2000) with and without forget gates.

`compare` trains nets of each kind on-line, on the same first weights, and tests them
frozen: see `online_streams` for the kinds and what makes a net perfect.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

import lstm_jax as lj
from experiments.common import compiling, forget_net, online_streams
from experiments.common.online_streams import BEGUN, KINDS, Counts, Setting
from experiments.common.progress import Advance
from experiments.common.records import Quantity
from lstm_jax import readouts
from lstm_jax.tasks.embedded_reber import CONTINUAL, accuracy_of_outer, symbols_of
from lstm_jax.tasks.grammar import legal_next, states_after

TINY = 1e-30  # below any norm; of a net without states


class Tested(NamedTuple):
    """What frozen nets do on endless streams, which all nets share.

    Attributes:
      accuracy: (net,), share of outer symbols that are right.
      faultless: (net,), share of the streams without an error.
      norm: (net, time), of the cells' states after a symbol, mean over streams.
    """

    accuracy: Any
    faultless: Any
    norm: Any


def compare(
    kinds: Sequence[str],
    setting: Setting,
    *,
    seed: int,
    num_nets: int,
    test_shape: tuple[int, int],
    advance: Advance,
) -> dict[str, Quantity]:
    """Returns what nets of each kind learn, and what they do once frozen.

    Axes are "kind" and "net", and "time" for the streams of the last test.

    Args:
      kinds: names in `KINDS`.
      setting: of the training.
      seed: everything random follows from it.
      num_nets: of each kind.
      test_shape: fresh endless streams for the frozen nets, and symbols of each.
      advance: shows the progress, a unit for a symbol of a net.

    Raises:
      KeyError: there is no such kind.
      TypeError, ValueError: an entry of the setting is not allowed.
    """
    keys = jax.random.split(jax.random.key(seed), num_nets)
    fresh = jax.random.key(seed + 1)
    counts, tests = [], []
    for name in kinds:
        kind = KINDS[name]
        told = lambda symbols, perfect, name=name: advance(
            f"{name}: {perfect} perfect", symbols
        )
        learned = online_streams.train(kind, setting, keys, told)
        counts.append(learned.counts)
        tests.append(
            test(learned.weights, fresh, test_shape, kind.resets, setting.reading)
        )
    of = Counts(*(np.stack(leaves) for leaves in zip(*counts, strict=True)))
    frozen = Tested(*(np.stack(leaves) for leaves in zip(*tests, strict=True)))
    net, half = ("kind", "net"), test_shape[1] // 2
    at = np.where(of.perfect_at < 0, np.inf, of.perfect_at)
    typical = np.exp(np.log(np.maximum(frozen.norm, TINY)).mean(1))
    return {
        "perfect_at": Quantity(at, net, "streams"),
        "streams": Quantity(of.streams, net, "1"),
        "symbols": Quantity(of.symbols + of.test_symbols, net, "1"),
        "outer": Quantity(frozen.accuracy, net, "1"),
        "no_fault": Quantity(frozen.faultless, net, "1"),
        "state_norm": Quantity(typical, ("kind", "time"), "1"),
        "late_norm": Quantity(frozen.norm[..., half:].mean(-1), net, "1"),
    }


def test(
    weights: forget_net.Weights,
    key: Array,
    shape: tuple[int, int],
    resets: bool,
    reading: str,
) -> Tested:
    """Returns what frozen nets do on the same fresh streams.

    Args:
      weights: leaves (net, ...).
      key: of the streams.
      shape: streams, and symbols of each.
      resets: whether states are emptied at the end of every string.
      reading: of a wrong prediction.
    """
    return _tester(shape, reading)(weights, key, resets)


def faults(reading: str, outputs: Array, symbols: Array, resets: Any) -> Array:
    """Returns where outputs (time, batch, symbols) are wrong, (time, batch).

    With resets not at the end of a string, where the B of the next one follows.
    """
    right = online_streams.is_right(reading, outputs, legal_next(CONTINUAL, symbols))
    at_end = (states_after(CONTINUAL, symbols) == 0) & resets
    return ~(right | at_end)


@cache
def _tester(shape: tuple[int, int], reading: str) -> Callable:
    def of_one(batch, resets, weights):
        params, symbols = forget_net.as_params(weights), symbols_of(batch)
        begins = (states_after(CONTINUAL, symbols) == BEGUN) & resets
        values = lj.trace(forget_net.CELL, params.cell, batch.inputs, resets=begins)
        features = jnp.concatenate([values["h"], batch.inputs], -1)
        outputs = jax.nn.sigmoid(readouts.linear(params.readout, features))
        fault = faults(reading, outputs, symbols, resets)
        return Tested(
            accuracy=accuracy_of_outer(outputs, batch),
            faultless=jnp.mean(~fault.any(0)),
            norm=jnp.linalg.norm(values["c"], axis=-1).mean(-1),
        )

    def call(weights, key, resets):
        batch = lj.tasks.CONTINUAL_EMBEDDED_REBER.sample(key, *shape)
        return jax.lax.map(partial(of_one, batch, resets), weights)

    return jax.jit(call, compiler_options=compiling.soon())
