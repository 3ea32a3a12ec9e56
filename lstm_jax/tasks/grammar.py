"""Grammars: strings as walks over states, and what can be predicted of them."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from lstm_jax.types import PRNGKey


class Grammar(NamedTuple):
    """A finite automaton that writes symbols; in each state it has two equal choices.

    A state with only one way to go on has the same choice twice.

    Attributes:
      alphabet: the symbols, by their index.
      symbols: (states, 2), what each choice writes.
      successors: (states, 2), where it leads.
      final: the state at the end of a string, which writes nothing; None in a grammar
        that starts again.
    """

    alphabet: str
    symbols: np.ndarray
    successors: np.ndarray
    final: int | None


class Strings(NamedTuple):
    """Strings side by side.

    Attributes:
      symbols: (time, batch), 0 beyond the end of a string.
      lengths: (batch,), symbols of each string.
    """

    symbols: Int[Array, "time batch"]
    lengths: Int[Array, " batch"]


class Predictability(NamedTuple):
    """What predicting the next symbols costs, summed over a string, on average.

    Attributes:
      predictions: how many next symbols are asked for.
      memoryless: loss of the best predictor that sees only the current symbol.
      everything: loss of the best of all.
      visits: (states,), how often a next symbol is asked for in each state.
    """

    predictions: float
    memoryless: float
    everything: float
    visits: np.ndarray


def chances_of_second(grammar: Grammar, max_symbols: int) -> np.ndarray:
    """Returns the probability of the second choice, by the symbols left to write.

    Strings of more than `max_symbols` are left out, so the choice after which more
    strings end in time is the likelier one.

        F[r, s] = P(final is reached from s within r symbols)
        chance[r, s] = F[r - 1, second] / (F[r - 1, first] + F[r - 1, second])

    Returns:
      (max_symbols + 1, states); 1/2 where no string ends in time, or there is no end.
    """
    states = len(grammar.symbols)
    chances = np.full((max_symbols + 1, states), 0.5)
    if grammar.final is None:
        return chances
    ends = np.zeros(states)
    ends[grammar.final] = 1
    for remaining in range(1, max_symbols + 1):
        first, second = ends[grammar.successors].T
        total = first + second
        np.divide(second, total, out=chances[remaining], where=total > 0)
        ends = np.where(np.arange(states) == grammar.final, 1, total / 2)
    return chances


def draw_strings(
    grammar: Grammar,
    key: PRNGKey,
    batch_size: int,
    max_symbols: int,
    num_symbols: Int[Array, ""],
) -> Strings:
    """Returns strings of at most `num_symbols` symbols, which may be traced.

    If the grammar has no end, all have exactly that many.
    """
    table = jnp.asarray(chances_of_second(grammar, max_symbols), jnp.float32)
    remaining = num_symbols - jnp.arange(max_symbols, dtype=jnp.int32)
    chances = table[jnp.maximum(remaining, 0)]
    coins = jax.random.uniform(key, (max_symbols, batch_size), jnp.float32)
    symbols, successors = (
        jnp.asarray(choices, jnp.int32).reshape(-1)
        for choices in (grammar.symbols, grammar.successors)
    )

    # No state is -1: a grammar without an end never stops writing.
    final = -1 if grammar.final is None else grammar.final

    def write(state, step):
        coin, chance, left = step
        choice = 2 * state + (coin < chance[state]).astype(jnp.int32)
        writes = (state != final) & (left > 0)
        after = jnp.where(writes, successors[choice], state)
        return after, (jnp.where(writes, symbols[choice], 0), writes)

    start = jnp.zeros((batch_size,), jnp.int32)
    _, (written, writes) = jax.lax.scan(write, start, (coins, chances, remaining))
    return Strings(written, jnp.sum(writes, axis=0, dtype=jnp.int32))


def states_after(
    grammar: Grammar, symbols: Int[Array, "time batch"]
) -> Int[Array, "time batch"]:
    """Returns the state after each symbol; one that is not legal changes nothing."""
    states = np.arange(len(grammar.symbols))
    follow = np.tile(states[:, None], len(grammar.alphabet))
    follow[states[:, None], grammar.symbols] = grammar.successors
    table = jnp.asarray(follow, jnp.int32)

    def read(state, symbol):
        after = table[state, symbol]
        return after, after

    start = jnp.zeros(symbols.shape[1:], jnp.int32)
    return jax.lax.scan(read, start, symbols)[1]


def legal_next(
    grammar: Grammar, symbols: Int[Array, "time batch"]
) -> Bool[Array, "time batch symbols"]:
    """Returns which symbols may follow each symbol."""
    legal = _distribution(grammar, np.ones(grammar.symbols.shape)) > 0
    return jnp.asarray(legal)[states_after(grammar, symbols)]


def predictability(
    grammar: Grammar, num_symbols: int, uncertainty: Callable
) -> Predictability:
    """Returns what the symbols after the first cost, for `draw_strings`.

    Args:
      grammar: in which no two choices of a state write the same symbol.
      num_symbols: the most that a string may have.
      uncertainty: probabilities -> least mean loss, see `AnswerUnits`.
    """
    states, size = len(grammar.symbols), len(grammar.alphabet)
    chances = chances_of_second(grammar, num_symbols)
    # before[s, c]: probability of being in state s after symbol c.
    before = np.zeros((states, size))
    before[0, 0] = 1
    pairs, visits, everything = np.zeros((size, size)), np.zeros(states), 0.0
    for remaining in range(num_symbols, 0, -1):
        choice = np.stack([1 - chances[remaining], chances[remaining]], axis=1)
        if grammar.final is not None:
            before[grammar.final] = 0
        if remaining < num_symbols:
            following = _distribution(grammar, choice)
            pairs += before.T @ following
            visits += before.sum(1)
            everything += before.sum(1) @ [uncertainty(p) for p in following]
        after = np.zeros((states, size))
        flow = before.sum(1)[:, None] * choice
        np.add.at(after, (grammar.successors, grammar.symbols), flow)
        before = after
    shown = pairs.sum(1)
    memoryless = sum(
        n * uncertainty(row / n) for n, row in zip(shown, pairs, strict=True) if n > 0
    )
    return Predictability(float(visits.sum()), memoryless, float(everything), visits)


def _distribution(grammar: Grammar, choice: np.ndarray) -> np.ndarray:
    """Returns (states, symbols), the probabilities of the next symbol."""
    following = np.zeros((len(grammar.symbols), len(grammar.alphabet)))
    rows = np.arange(len(grammar.symbols))[:, None]
    np.add.at(following, (rows, grammar.symbols), choice)
    return following
