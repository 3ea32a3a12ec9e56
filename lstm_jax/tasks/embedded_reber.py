"""Embedded Reber grammar: the symbol before the last repeats the second one.

    Reber:            B --+-- T --+-- (S)* -- X --+-- ...    see REBER for the graph
                          +-- P --+-- (T)* -- V --+-- ...    ends in E
    embedded Reber:   B  T  Reber  T  E      or      B  P  Reber  P  E

Every branch is taken with probability 1/2. The next symbol is predicted at each step;
the last E is asked for and never shown, so that a string of n symbols has n - 1 steps.
Strings have 12 symbols on average and at least 9; those with more than `length` + 1
are left out, the rest keep their relative frequencies. Symbols are one-hot, in the
order B T P S X V E.

The loss is the mean cross-entropy in nats over all next symbols (or, with units
"logistic", the squared error). Without a limit to the length, a string costs

    8 ln 2   the grammar is known, but not the second symbol
    7 ln 2   everything is known                                     (11 predictions)

so that ln 2 a string is the long memory; `floor` and `plateaus` divide by the
predictions, and know the limit. The floor knows the current symbol alone.

The accuracy is that of the symbol before the last, chance 1/2.

A worked example:    B T B P V V E T E
    shown            B T B P V V E T
    asked            T B P V V E T E

A string is right where, at every step, all legal next symbols are more active than all
illegal ones, Hochreiter & Schmidhuber's criterion.

`continual_embedded_reber` writes one string after the other for `length` steps, with
nothing to mark the break, and asks for every next symbol, even the B of the next
string. Memory must be cleared at the end of a string, which is what the forget gate
was made for.

References:
  Reber (1967), https://doi.org/10.1016/S0022-5371(67)80149-X
  Hochreiter & Schmidhuber (1997), experiment 1 (256 strings to train and 256 to test
    there, fresh ones here), https://doi.org/10.1162/neco.1997.9.8.1735
  Gers, Schmidhuber & Cummins (2000), the continual one,
    https://doi.org/10.1162/089976600300015015
"""

from collections.abc import Mapping
from functools import cache, partial

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from lstm_jax.factories import factory
from lstm_jax.tasks import losses
from lstm_jax.tasks.answer_units import answer_units, uniform
from lstm_jax.tasks.grammar import (
    Grammar,
    Predictability,
    draw_strings,
    legal_next,
    predictability,
)
from lstm_jax.tasks.sampling import ask_every, one_hot, sampler
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey

ALPHABET = "BTPSXVE"

REBER = (
    (("B", 1), ("B", 1)),
    (("T", 2), ("P", 3)),
    (("S", 2), ("X", 4)),
    (("T", 3), ("V", 5)),
    (("X", 3), ("S", 6)),
    (("P", 4), ("V", 6)),
    (("E", 7), ("E", 7)),
)
"""The two choices (symbol, next state) in each state; state 7 is the end."""

INNER = {"T": 2, "P": 10}
"""Where the inner Reber grammar starts, by the outer symbol."""

LAST, END = 18, 19
"""Before the last E, and after it."""

SHORTEST = 8


def embedded_reber(units: str = "softmax") -> Task:
    """Returns the task with one string a sequence.

    Args:
      units: "softmax", cross-entropy in nats; "logistic", squared error as in 1997.

    Raises:
      ValueError: other units.

    Example:
      >>> lj.tasks.embedded_reber().answers
      'every_step'
    """
    answer_units(units)
    return _task("embedded_reber", units)


def continual_embedded_reber(units: str = "softmax") -> Task:
    """Returns the task with an endless stream of strings, cut after `length` steps.

    Arguments and errors as for `embedded_reber`.

    Example:
      >>> lj.tasks.continual_embedded_reber().input_size
      7
    """
    answer_units(units)
    return _task("continual_embedded_reber", units)


def symbols_of(batch: Batch) -> Int[Array, "time batch"]:
    """Returns the symbols that are shown; in the padding, that of index 0."""
    return jnp.argmax(batch.inputs, axis=-1)


def is_outer(batch: Batch) -> Bool[Array, "time batch"]:
    """Returns where the answer is the symbol that repeats the second one."""
    after_e = symbols_of(batch) == ALPHABET.index("E")
    # An inner E is followed by T or P, an outer one by B or nothing.
    return after_e & (batch.targets != ALPHABET.index("B")) & losses.scored(batch)


def accuracy_of_outer(
    outputs: Float[Array, "time batch symbols"], batch: Batch
) -> Float[Array, ""]:
    """Returns the share of those symbols that are predicted; NaN of none."""
    return losses.share(losses.argmax_right(outputs, batch), is_outer(batch))


def _embedded(continual: bool) -> Grammar:
    """Returns the grammar that ends after a string, or begins the next one."""
    choices = [("B", 1), ("B", 1), ("T", INNER["T"]), ("P", INNER["P"])]
    for outer, start in INNER.items():
        choices += [(symbol, start + to) for both in REBER for symbol, to in both]
        choices += [(outer, LAST)] * 2
    choices += [("E", 0 if continual else END)] * 2
    # The end itself writes nothing; its choices fill the table.
    choices += [] if continual else [("B", END)] * 2
    symbols = [ALPHABET.index(symbol) for symbol, _ in choices]
    return Grammar(
        alphabet=ALPHABET,
        symbols=np.reshape(symbols, (-1, 2)),
        successors=np.reshape([to for _, to in choices], (-1, 2)),
        final=None if continual else END,
    )


EMBEDDED = _embedded(continual=False)
CONTINUAL = _embedded(continual=True)


@factory
def _task(name: str, units: str) -> Task:
    scoring = answer_units(units)
    grammar = EMBEDDED if name == "embedded_reber" else CONTINUAL
    sample = sampler(partial(_draw, grammar), shortest=SHORTEST)

    def correct(outputs, batch):
        legal = legal_next(grammar, symbols_of(batch))
        right = losses.legal_most_active(outputs, batch, legal)
        return losses.all_scored(right, batch)

    @cache
    def costs(length: int) -> Predictability:
        return predictability(grammar, length + 1, scoring.uncertainty)

    def plateaus(length: int) -> Mapping[str, float]:
        predictions, _, everything, visits = costs(length)
        outer = visits[[start + len(REBER) for start in INNER.values()]].sum()
        unknown = float(outer) * scoring.uncertainty(uniform(2))
        return {
            "the grammar without the outer symbol": (everything + unknown)
            / predictions,
            "everything": everything / predictions,
        }

    return Task(
        name=name,
        input_size=len(ALPHABET),
        output_size=len(ALPHABET),
        answers="every_step",
        sample=sample,
        loss=scoring.loss,
        accuracy=accuracy_of_outer,
        floor=lambda length: costs(length).memoryless / costs(length).predictions,
        plateaus=plateaus,
        correct=correct,
    )


def _draw(
    grammar: Grammar,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Int[Array, ""],
) -> Batch:
    symbols, lengths = draw_strings(
        grammar, key, batch_size, max_length + 1, length + 1
    )
    inputs = one_hot(symbols[:-1], len(ALPHABET))
    return ask_every(inputs, symbols[1:], lengths - 1)


EMBEDDED_REBER = embedded_reber()
CONTINUAL_EMBEDDED_REBER = continual_embedded_reber()
