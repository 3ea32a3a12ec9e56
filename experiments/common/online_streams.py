"""On-line training on endless streams, as in Gers, Schmidhuber & Cummins (2000).

The weights change after every symbol of a training stream, W -= rate * dE/dW, which
ends at the first wrong prediction or after `most_symbols`. Then weights are frozen, and
test streams follow, of the same length at most, until one has an error; after
`num_tests` without an error the net is perfect and done. States and traces are emptied
between streams. Each net has streams of its own, which end when they end; nets stand
side by side, a symbol of each at a time.

Kinds of nets, on the same first weights:

  forget        forget gates, the rate is the same throughout
  forget_decay  forget gates, and the rate falls by 1 % a symbol within a stream
  nfg           f = 1: no forget gate
  nfg_resets    f = 1, states and traces emptied at the end of every string; what comes
                next there is neither asked for nor learnt

What is a wrong prediction, in two readings (decision 014):

  within        an output unit is .49 or more from its target; targets are all symbols
                that may come next
  most_active   a symbol that may not come next is as active as one that may; targets
                are the symbols that come next

Source: Gers, Schmidhuber & Cummins (2000), https://doi.org/10.1162/089976600300015015
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array

from experiments.common import compiling, forget_net
from lstm_jax.checks import check_choice, check_number, check_whole
from lstm_jax.tasks.embedded_reber import ALPHABET, CONTINUAL

READINGS = ("within", "most_active")
TOLERANCE = 0.49
BEGUN = 1  # the grammar's state after the first B
SYMBOLS_PER_CALL = 10_000


class Kind(NamedTuple):
    """A kind of nets: f = 1 or not; the rate's factor a symbol; emptied or not."""

    held: bool
    decay: float
    resets: bool


KINDS = {
    "forget": Kind(held=False, decay=1.0, resets=False),
    "forget_decay": Kind(held=False, decay=0.99, resets=False),
    "nfg": Kind(held=True, decay=1.0, resets=False),
    "nfg_resets": Kind(held=True, decay=1.0, resets=True),
}


class Setting(NamedTuple):
    """How nets are trained; the paper's most_symbols is 1e5, its max_streams 30 000.

    Attributes:
      num_symbols: of a net, those of its tests among them.
      most_symbols: of a stream.
      max_streams: of training.
      num_tests: streams without an error that make a net perfect.
      rate: of learning, on half the squared error.
      reading: of a wrong prediction.
    """

    num_symbols: int
    most_symbols: int = 100_000
    max_streams: int = 30_000
    num_tests: int = 10
    rate: float = 0.5
    reading: str = "within"


class Counts(NamedTuple):
    """Of a net, so far: streams that ended and symbols seen, in training and in tests.

    `perfect_at` is the number of training streams after which it was perfect, or -1.
    """

    streams: Any
    symbols: Any
    test_streams: Any
    test_symbols: Any
    perfect_at: Any


class Net(NamedTuple):
    """A net within its streams.

    Attributes:
      weights: of the net.
      memory: of this stream.
      symbol: the next to be shown.
      state: of the grammar after it.
      steps: symbols of this stream before it.
      rate: of learning at this symbol.
      passed: test streams passed since the last training stream; -1 in training.
      counts: of all streams.
    """

    weights: forget_net.Weights
    memory: forget_net.Memory
    symbol: Any
    state: Any
    steps: Any
    rate: Any
    passed: Any
    counts: Counts


class Learned(NamedTuple):
    """Trained nets and their counts, leaves (net, ...)."""

    weights: forget_net.Weights
    counts: Counts


def check(setting: Setting) -> None:
    """Refuses a setting that can't be trained.

    Raises:
      TypeError, ValueError: an entry is not allowed.
    """
    for name in ("num_symbols", "most_symbols", "max_streams", "num_tests"):
        check_whole(name, getattr(setting, name), 1)
    check_number("rate", setting.rate, "(0, inf)")
    check_choice("reading", setting.reading, READINGS)


# -- One symbol ----------------------------------------------------------------------


def begin(weights: forget_net.Weights, rate: float) -> Net:
    """Returns a net at the beginning of its first training stream."""
    zero = jnp.zeros((), jnp.int32)
    counts = Counts(*(jnp.zeros((), jnp.int32) for _ in Counts._fields))
    return Net(
        weights,
        forget_net.empty(weights),
        symbol=jnp.array(ALPHABET.index("B"), jnp.int32),
        state=jnp.array(BEGUN, jnp.int32),
        steps=zero,
        rate=jnp.array(rate, weights.units.dtype),
        passed=zero - 1,
        counts=counts._replace(perfect_at=zero - 1),
    )


def advance(setting: Setting, kind: Kind, net: Net, coin: Array) -> Net:
    """Returns a net after its next symbol; `coin`, 0 or 1, says what follows it."""
    choice = 2 * net.state + coin
    follows = jnp.asarray(CONTINUAL.symbols.reshape(-1), jnp.int32)[choice]
    after = jnp.asarray(CONTINUAL.successors.reshape(-1), jnp.int32)[choice]
    legal = _one_hot(jnp.asarray(CONTINUAL.symbols, jnp.int32)[net.state]).any(0)
    wanted = _one_hot(follows) if setting.reading == "most_active" else legal
    at_end = kind.resets & (after == BEGUN)

    x, target = (v.astype(net.rate.dtype) for v in (_one_hot(net.symbol), wanted))
    found = forget_net.step(net.weights, net.memory, x, target)
    right = is_right(setting.reading, found.outputs, legal) | at_end

    training, done = net.passed < 0, _done(setting, net)
    decay = jnp.asarray(kind.decay, net.rate.dtype)
    rate = jnp.where(training & ~done & ~at_end, net.rate, 0)
    weights = jax.tree.map(lambda w, g: w - rate * g, net.weights, found.gradient)

    ended = ~right | (net.steps + 1 == setting.most_symbols)
    memory = jax.tree.map(lambda v: jnp.where(ended | at_end, 0, v), found.memory)
    passed = jnp.where(training, 0, jnp.where(right, net.passed + 1, -1))
    passed = jnp.where(ended & ~done, passed, net.passed)
    moved = Net(
        weights,
        memory,
        symbol=jnp.where(ended, ALPHABET.index("B"), follows),
        state=jnp.where(ended, BEGUN, after),
        steps=jnp.where(ended, 0, net.steps + 1),
        rate=jnp.where(ended, setting.rate, net.rate * decay),
        passed=passed,
        counts=net.counts,
    )
    return moved._replace(counts=_counted(setting, net, moved, ended, done))


def is_right(reading: str, outputs: Array, legal: Array) -> Array:
    """Returns whether outputs (..., symbols) predict what may come next, (...)."""
    if reading == "within":
        return (jnp.abs(outputs - legal.astype(outputs.dtype)) < TOLERANCE).all(-1)
    least = jnp.where(legal, outputs, jnp.inf).min(-1)
    return least > jnp.where(legal, -jnp.inf, outputs).max(-1)


def _one_hot(symbols: Array) -> Array:
    return symbols[..., None] == jnp.arange(len(ALPHABET), dtype=jnp.int32)


def _done(setting: Setting, net: Net) -> Array:
    """Returns whether a net is perfect, or has had its streams and their last test."""
    over = (net.counts.streams >= setting.max_streams) & (net.passed < 0)
    return (net.counts.perfect_at >= 0) | over


def _counted(
    setting: Setting, net: Net, moved: Net, ended: Array, done: Array
) -> Counts:
    """Returns the counts after a symbol; those of a net that is done stay."""
    old, training = net.counts, net.passed < 0
    one = lambda happens: happens.astype(jnp.int32)
    new = Counts(
        streams=old.streams + one(training & ended),
        symbols=old.symbols + one(training),
        test_streams=old.test_streams + one(~training & ended),
        test_symbols=old.test_symbols + one(~training),
        perfect_at=jnp.where(
            moved.passed >= setting.num_tests, old.streams, old.perfect_at
        ),
    )
    return jax.tree.map(partial(jnp.where, done), old, new)


# -- Many nets -----------------------------------------------------------------------


def train(
    kind: Kind,
    setting: Setting,
    keys: Array,
    tell: Callable[[int, int], None] = lambda symbols, perfect: None,
) -> Learned:
    """Returns nets after `num_symbols` each; it stops as soon as all are done.

    Args:
      kind: of all nets.
      setting: of all nets.
      keys: one for each net: weights and streams follow from it.
      tell: called with symbols and the perfect nets, after every call; those that
        nobody needs any more are told with the last.

    Raises:
      TypeError, ValueError: an entry of the setting is not allowed.
    """
    check(setting)
    of_weights, of_streams = jax.vmap(jax.random.split, out_axes=1)(keys)
    nets = _begin(setting.rate)(of_weights, kind.held)
    step, symbols, over = _program(setting), 0, False
    while symbols < setting.num_symbols and not over:
        count = min(SYMBOLS_PER_CALL, setting.num_symbols - symbols)
        number = symbols // SYMBOLS_PER_CALL
        nets, done = step(kind, of_streams, nets, number, count)
        over = bool(done.all())
        told = setting.num_symbols - symbols if over else count
        tell(told, int((nets.counts.perfect_at >= 0).sum()))
        symbols += count
    return Learned(nets.weights, jax.tree.map(np.asarray, nets.counts))


def coins(keys: Array, number: ArrayLike) -> Array:
    """Returns the coins of every net's call of this number, (symbol, net)."""
    draw = lambda key: jax.random.bernoulli(
        jax.random.fold_in(key, number), 0.5, (SYMBOLS_PER_CALL,)
    )
    return jax.vmap(draw)(keys).T.astype(jnp.int32)


@cache
def _begin(rate: float) -> Callable:
    def begun(key, held):
        return begin(forget_net.init(key, held=held), rate)

    return jax.jit(jax.vmap(begun, (0, None)), compiler_options=compiling.soon())


@cache
def _program(setting: Setting) -> Callable:
    """Returns a compiled call: `count` symbols of each net, and who is done."""

    def call(kind, keys, nets, number, count):
        drawn = coins(keys, number)
        step = jax.vmap(partial(advance, setting, kind))
        nets = jax.lax.fori_loop(0, count, lambda t, nets: step(nets, drawn[t]), nets)
        return nets, jax.vmap(partial(_done, setting))(nets)

    return jax.jit(call)  # minutes of running: not `compiling.soon`
