"""Character language: predict the next character of a text, any text.

    shown    characters t, t + 1, ..., t + length - 1 of the text, one-hot
    asked    characters t + 1, ..., t + length

Windows start anywhere, uniformly, in the first 90 % of the text for `sample`, in the
held-out end for `sample_test`; no window crosses the border. The alphabet is the sorted
set of the text's characters. The loss is the mean cross-entropy in nats per character
(divide by ln 2 for bits); the accuracy the share of characters predicted right.

`floor` and `plateaus` are counted on the training part:

    floor                        the current character alone is known: H(next | current)
    plateau "frequencies only"   not even that: H(next)

The plateau lies above the floor: training usually visits it first.

A worked example, the text "abracadabra", length 4, from t = 0:

    shown  a b r a      asked  b r a c      alphabet  a b c d r

References:
  Elman (1990), section "Discovering the notion word", letter by letter,
  https://doi.org/10.1207/s15516709cog1402_1
  Sutskever, Martens & Hinton (2011), generating text with RNNs, characters of Wikipedia
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Int

from lstm_jax.checks import check_key, check_number, check_type, check_whole
from lstm_jax.factories import factory
from lstm_jax.tasks import losses
from lstm_jax.tasks.answer_units import entropy
from lstm_jax.tasks.sampling import (
    ask_every,
    checked_length,
    one_hot,
    random_symbols,
    steps,
)
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey


def character_language(
    text: str, held_out: int | float = 0.1, valid: int | float = 0.0
) -> Task:
    """Returns the task of this text, for lengths that fit into all of its parts.

    Args:
      text: at least two different characters.
      held_out: share of the text, at its end, that `sample_test` draws from; in (0, 1).
      valid: share of the rest, at its end, that `sample_valid` draws from; in [0, 1).

    Raises:
      ValueError: the text has fewer than two different characters or is too short to
        be split, or a share is not in its range.

    Example:
      >>> task = lj.tasks.character_language("the cat saw the dog. " * 20)
      >>> batch = task.sample(jax.random.key(0), batch_size=2, max_length=5)
      >>> task.input_size, batch.inputs.shape
      (12, (5, 2, 12))
    """
    check_type("text", text, str, "a string")
    if len(set(text)) < 2:
        raise ValueError(
            f"text: got {text[:20]!r}; it must have at least 2 different characters"
        )
    check_number("held_out", held_out, "(0, 1)")
    check_number("valid", valid, "[0, 1)")
    if longest_window(len(text), held_out, valid) < 1:
        raise ValueError(
            f"text: got {len(text)} characters; each part must have at least 2"
        )
    return _character_language(text, float(held_out), float(valid))


def alphabet_of(text: str) -> str:
    """Returns the characters of a text, sorted; their index is their symbol."""
    return "".join(sorted(set(text)))


def longest_window(
    num_characters: int, held_out: int | float, valid: int | float = 0.0
) -> int:
    """Returns the largest length of which all parts have a window."""
    border = _border(num_characters, held_out)
    begin = _border(border, valid)
    parts = (begin, num_characters - border, *([border - begin] if valid else []))
    return min(parts) - 1


@factory
def _character_language(text: str, held_out: float, valid: float) -> Task:
    alphabet = alphabet_of(text)
    symbols = _symbols_of(text)
    border = _border(len(text), held_out)
    begin = _border(border, valid)
    longest = longest_window(len(text), held_out, valid)
    sample, sample_valid, sample_test = (
        Partial(partial(_drawn, len(alphabet), longest), _stored(part, len(alphabet)))
        for part in (symbols[:begin], symbols[begin:border], symbols[border:])
    )
    pairs = _pairs(symbols[:begin], len(alphabet))

    def plateaus(length: int) -> Mapping[str, float]:
        del length
        return {"frequencies only": entropy(pairs.sum(0) / pairs.sum())}

    return Task(
        name="character_language",
        input_size=len(alphabet),
        output_size=len(alphabet),
        answers="every_step",
        sample=sample,
        sample_test=sample_test,
        sample_valid=sample_valid if valid else None,
        loss=losses.cross_entropy,
        accuracy=losses.accuracy,
        floor=lambda length: _conditional_entropy(pairs),
        plateaus=plateaus,
        correct=losses.all_right,
    )


def _border(num_characters: int, held_out: int | float) -> int:
    return num_characters - round(num_characters * held_out)


def _symbols_of(text: str) -> np.ndarray:
    """Returns the index of every character in `alphabet_of(text)`."""
    code_points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    return np.unique(code_points, return_inverse=True)[1].astype(np.int32)


def _pairs(symbols: np.ndarray, size: int) -> np.ndarray:
    """Returns (current, next), how often one character follows another."""
    both = symbols[:-1].astype(np.int64) * size + symbols[1:]
    return np.bincount(both, minlength=size**2).reshape(size, size)


def _conditional_entropy(pairs: np.ndarray) -> float:
    return entropy(pairs / pairs.sum()) - entropy(pairs.sum(1) / pairs.sum())


def _stored(symbols: np.ndarray, size: int) -> Array:
    """Returns the symbols on the device, in as few bytes as they need."""
    # The task is kept, so under a trace of a caller's these must be values.
    with jax.ensure_compile_time_eval():
        return jnp.asarray(symbols.astype(np.min_scalar_type(size)))


def _drawn(
    size: int,
    longest: int,
    part: Int[Array, " time"],
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Any = None,
) -> Batch:
    check_key("key", key)
    check_whole("batch_size", batch_size, 1)
    length = checked_length(max_length, length, shortest=1, longest=longest)
    starts = random_symbols(key, (batch_size,), 0, len(part) - max_length)
    window = part[starts + steps(max_length + 1)].astype(jnp.int32)
    return ask_every(one_hot(window[:-1], size), window[1:], length)
