"""Modular arithmetic without brackets: what is 3 + 2 * 4 - 1, modulo 5?

Numbers from 0 to 4 and the operations + - * take turns, each drawn uniformly, one-hot
as (0, 1, 2, 3, 4, +, -, *); products come before sums. The value modulo 5, one of 5
classes, is asked for at the last step; where the length is even that step is blank.
The loss is the cross-entropy in nats. With v the value and H the entropy,

    floor           H(v | the last step), which is H(v) where that is blank
    the last two    H(v | the last two steps)

A memory of two numbers is enough: the sum of the terms that are closed, and the term
that is open.

A worked example:

    3 + 2 * 4 - 1  -> 10, class 0

A sequence is right where the largest output is.

References:
  Deletang et al. (2023), "Modular Arithmetic (Simple)", trained on lengths 1 to 40 and
  tested up to 500, https://arxiv.org/abs/2207.02098
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from lstm_jax.tasks import losses
from lstm_jax.tasks.sampling import ask_last, one_hot, random_symbols, sampler, steps
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey

MODULUS = 5
PLUS, MINUS, TIMES = range(3)
OPERATIONS = 3


def floor(length: int) -> float:
    """Returns H(v | the last step), in nats."""
    return _uncertain(length, 1)


def plateaus(length: int) -> Mapping[str, float]:
    """Returns the loss of who sees the last two steps."""
    return {"the last two": _uncertain(length, 2)} if length > 2 else {}


def _uncertain(length: int, seen: int) -> float:
    """Returns H(v | the last `seen` steps), one or two; a blank one tells nothing."""
    seen -= length % 2 == 0
    values = _values((length + 1) // 2)  # (operation, number, v)
    if seen < 2:
        values = values.mean(0, keepdims=True)
    if seen < 1:
        values = values.mean(1, keepdims=True)
    logs = np.log(np.where(values > 0, values, 1))
    return float(-np.sum(values * logs, axis=-1).mean())


def _values(many: int) -> np.ndarray:
    """Returns the laws of v by the last operation and number, of so many numbers."""
    numbers = np.arange(MODULUS)
    if many == 1:
        return np.broadcast_to(np.eye(MODULUS), (OPERATIONS, MODULUS, MODULUS))
    # The law of (closed sum, open term); a single number is an open term.
    law = np.zeros((MODULUS, MODULUS))
    law[0] = 1 / MODULUS
    found = np.zeros((OPERATIONS, MODULUS, MODULUS))
    for place in range(1, many):
        after = np.zeros_like(law)
        for closed, term in np.ndindex(law.shape):
            for operation in range(OPERATIONS):
                moved = _operated(closed, term, operation, numbers)
                chance = law[closed, term]
                np.add.at(after, moved, chance / (OPERATIONS * MODULUS))
                if place == many - 1:
                    value = sum(moved) % MODULUS
                    found[operation, numbers, value] += chance
        law = after
    return found


def _operated(closed, term, operation, number):
    """Returns the closed sum and the open term after one more number.

    Of Python's and NumPy's numbers, with the operation known.
    """
    if operation == TIMES:
        return closed + 0 * number, term * number % MODULUS
    signed = number if operation == PLUS else -number
    return (closed + term) % MODULUS + 0 * number, signed % MODULUS


def _draw(
    key: PRNGKey, batch_size: int, max_length: int, length: Int[Array, ""]
) -> Batch:
    keys = jax.random.split(key)
    shape = ((max_length + 1) // 2, batch_size)
    numbers = random_symbols(keys[0], shape, 0, MODULUS)
    operations = random_symbols(keys[1], shape, 0, OPERATIONS)
    counts = steps(shape[0]) < (length + 1) // 2
    value = _value(numbers, operations, counts)
    tokens = jnp.stack([numbers, MODULUS + operations], axis=1)
    inputs = one_hot(tokens.reshape(-1, batch_size)[:max_length], MODULUS + OPERATIONS)
    last_blank = (steps(max_length) == length - 1) & (length % 2 == 0)
    return ask_last(jnp.where(last_blank[..., None], 0, inputs), value, length)


def _value(
    numbers: Int[Array, "many batch"],
    operations: Int[Array, "many batch"],
    counts: Array,
) -> Int[Array, " batch"]:
    """Returns what it comes to; operation k stands behind number k."""

    def follow(state, given):
        (closed, term), (number, operation, counts) = state, given
        every = [_operated(closed, term, each, number) for each in range(OPERATIONS)]
        choose = lambda *of: jnp.choose(operation, list(of), mode="clip")
        after = jax.tree.map(choose, *every)
        return jax.tree.map(lambda a, b: jnp.where(counts, a, b), after, state), None

    start = (jnp.zeros_like(numbers[0]), numbers[0])
    given = numbers[1:], operations[:-1], counts[1:]
    closed, term = jax.lax.scan(follow, start, given)[0]
    return (closed + term) % MODULUS


MODULAR_ARITHMETIC = Task(
    name="modular_arithmetic",
    input_size=MODULUS + OPERATIONS,
    output_size=MODULUS,
    answers="last_step",
    sample=sampler(_draw, shortest=1),
    loss=losses.cross_entropy,
    accuracy=losses.accuracy,
    floor=floor,
    plateaus=plateaus,
    correct=losses.all_right,
)
