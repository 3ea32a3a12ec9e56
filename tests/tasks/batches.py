"""One large batch of every task, drawn once, and what answers to it score."""

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from problems import slow_but

import lstm_jax as lj
from lstm_jax.tasks import (
    grammar,
    long_time_lag,
)
from lstm_jax.tasks.character_language import character_language
from lstm_jax.tasks.embedded_reber import (
    CONTINUAL,
    EMBEDDED,
    symbols_of,
)
from lstm_jax.tasks.long_time_lag_2c import long_time_lag_2c

MANY, LENGTH, MAX_LENGTH = 2_000, 22, 24

TEXT = "the bear is in the wood. the cat is at home. " * 12
TASKS = {
    **lj.TASKS,
    # With fewer symbols than in the paper, so that all of them are drawn often.
    "long_time_lag_2a": long_time_lag.long_time_lag_2a(p=24),
    "long_time_lag_2b": long_time_lag.long_time_lag_2b(p=12),
    "long_time_lag_2c": long_time_lag_2c(5),
    "character_language": character_language(TEXT),
}

# A number, one at the end of a text, a symbol at every step, and one of a language.
ONE_OF_EACH_KIND = ("adding", "two_sequence_3c", "embedded_reber", "anbn")
every_task = pytest.mark.parametrize("name", slow_but(ONE_OF_EACH_KIND, TASKS))


def lengths_of(name):
    """(max_length, length); digits have 64 pixels, no more and no fewer."""
    return (64, 64) if name.endswith("digits") else (MAX_LENGTH, LENGTH)


@cache
def jitted_sampler(name):
    """The length is traced, so that all of them share a compilation."""
    return jax.jit(TASKS[name].sample, static_argnums=(1, 2))


@cache
def many(name):
    """A large batch, shorter than its array."""
    max_length, length = lengths_of(name)
    return jitted_sampler(name)(jax.random.key(0), MANY, max_length, length)


class Scores(NamedTuple):
    loss: Any
    accuracy: Any
    correct: Any


@cache
def jitted_scores(name):
    task = TASKS[name]

    @jax.jit
    def scores(outputs, batch):
        assert task.correct is not None
        return Scores(
            loss=task.loss(outputs, batch),
            accuracy=task.accuracy(outputs, batch),
            correct=task.correct(outputs, batch),
        )

    return scores


def is_last(name):
    return TASKS[name].answers == "last_step"


def symbols_in(alphabet):
    """Reads one-hot inputs (steps, symbols) as a string."""

    def read(inputs):
        assert_array_equal(np.sort(inputs, axis=-1)[:, :-1], 0)
        assert_array_equal(inputs.max(-1), 1)
        return "".join(alphabet[k] for k in inputs.argmax(-1))

    return read


AFTER_X = "((XT*VP)*(S|XT*VV))"
REBER = f"B(TS*X{AFTER_X}|PT*V(V|P{AFTER_X}))E"
STRING = f"(BT{REBER}TE|BP{REBER}PE)"


def fitted_loss(name, known, batch=None):
    """The loss of the best predictor that knows one integer at each answer."""
    task, batch = TASKS[name], many(name) if batch is None else batch
    known = np.broadcast_to(known, batch.weights.shape)
    _, known = np.unique(known, return_inverse=True)
    asked = np.asarray(batch.weights) > 0
    known = known.reshape(asked.shape)
    counts = np.zeros((known.max() + 1, task.output_size))
    np.add.at(counts, (known[asked], np.asarray(batch.targets)[asked]), 1)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    logits = np.log(np.maximum(shares, 1e-30)).astype(np.float32)
    return jitted_scores(name)(logits[known], batch).loss


def legal_outputs(name):
    """50 for each symbol that may follow, -50 for the others; the asked one leads."""
    batch, size = many(name), TASKS[name].output_size
    asked = jax.nn.one_hot(batch.targets, size, dtype=jnp.bool_)
    if name.startswith("anb"):
        after_a = jnp.argmax(batch.inputs, -1)[..., None] == 1
        legal = jnp.where(after_a, jnp.arange(size) < 2, asked)
    else:
        which = EMBEDDED
        if name.startswith("continual"):
            which = CONTINUAL
        legal = grammar.legal_next(which, symbols_of(batch))
    return jnp.where(legal, 50.0, -50.0)
