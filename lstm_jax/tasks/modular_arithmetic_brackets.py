"""Modular arithmetic with brackets: what is ((3*2)-(-4)), modulo 5?

An expression is written with numbers from 0 to 4, the operations + - * and brackets,
one symbol a step, one-hot as (0, 1, 2, 3, 4, +, -, *, (, )). Of up to four symbols it
is d, -d, (d) or (-d); longer, it is two of them with an operation between and brackets
around. All is uniform: each number, each operation, how many symbols the left one has.
The value modulo 5, one of 5 classes, is asked for at the last step. The loss is the
cross-entropy in nats. With v the value and H the entropy, of five symbols or more,

    floor                       H(v): the last step is a bracket
    the last two                H(v | the last two steps)
    all numbers but the first   the chance that it matters, times ln 5

An open bracket must be remembered with what stands before it: no finite memory is
enough for all lengths.

A worked example:

    ( ( 3 * 2 ) - ( - 4 ) )  -> 10, class 0

A sequence is right where the largest output is.

References:
  Deletang et al. (2023), "Modular Arithmetic", trained on lengths 1 to 40 and tested up
  to 500, https://arxiv.org/abs/2207.02098
  Grazzi et al. (2025), https://arxiv.org/abs/2411.12537: + and - alone, 3 to 40, and
  then to 256
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lstm_jax.tasks import losses
from lstm_jax.tasks.modular_arithmetic import MODULUS
from lstm_jax.tasks.sampling import ask_last, one_hot, random_symbols, sampler, steps
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey

PLUS, MINUS, TIMES, OPEN, CLOSE, NOTHING = range(MODULUS, MODULUS + 6)
"""The symbols after the numbers; nothing is shown behind the end."""

OPERATIONS = 3


def floor(length: int) -> float:
    """Returns H(v) in nats; 0 where the last step is the number."""
    return _uncertain(_laws(length)[0][-1]) if length > 2 else 0.0


def plateaus(length: int) -> Mapping[str, float]:
    """Returns the losses of who sees the last two steps, and all but one number."""
    if length < 5:
        return {}
    laws, matters = _laws(length)
    return {
        "the last two": _last_two(laws, length),
        "all numbers but the first": float(matters[-1] * np.log(MODULUS)),
    }


def _laws(length: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns, for 0, 1, ..., length symbols, laws of v and of the first number.

    The laws of v are (length + 1, 5). The first number matters, with the probabilities
    (length + 1,), unless a part that it is in is multiplied by one that is 0; where it
    does, v takes each of the 5 values with it, as 5 is prime.
    """
    laws, matters = np.full((length + 1, MODULUS), 1 / MODULUS), np.ones(length + 1)
    for many in range(5, length + 1):
        left, right = laws[1 : many - 3], laws[many - 4 : 0 : -1]
        laws[many] = _law_of_value(left.T @ right / (many - 4))
        kept = 1 - right[:, 0] / OPERATIONS
        matters[many] = np.mean(matters[1 : many - 3] * kept)
    return laws, matters


def _law_of_value(law: np.ndarray) -> np.ndarray:
    """Returns the law of v from that of the left and right values, (5, 5)."""
    left, right = np.indices((MODULUS, MODULUS))
    values = np.stack([left + right, left - right, left * right]) % MODULUS
    weights = np.broadcast_to(law / OPERATIONS, values.shape)
    return np.bincount(values.ravel(), weights.ravel(), MODULUS)


def _last_two(laws: np.ndarray, length: int) -> float:
    """Returns H(v | the last two steps): a number and a bracket, or two of those.

    The number is d where the right part is d or -d; either tells as much, as v and -v
    of the left part are equally likely.
    """
    lefts = length - 4
    short = laws[max(1, lefts - 1) : lefts + 1]  # of what stands before -d and d
    numbers = np.eye(MODULUS)
    of_number = [_law_of_value(np.outer(short.mean(0), d)) for d in numbers]
    loss = len(short) / lefts * np.mean([_uncertain(law) for law in of_number])
    if lefts > 2:
        left, right = laws[1 : lefts - 1], laws[lefts:2:-1]
        law = _law_of_value(left.T @ right / (lefts - 2))
        loss += (lefts - 2) / lefts * _uncertain(law)
    return float(loss)


def _uncertain(law: np.ndarray) -> float:
    """Returns the entropy of a law, in nats."""
    return float(-np.sum(law * np.log(np.where(law > 0, law, 1))))


def _draw(
    key: PRNGKey, batch_size: int, max_length: int, length: Int[Array, ""]
) -> Batch:
    keys = jax.random.split(key, 3)
    shape = (batch_size, max_length)
    numbers = random_symbols(keys[0], shape, 0, MODULUS)
    operations = random_symbols(keys[1], shape, PLUS, PLUS + OPERATIONS)
    shares = jax.random.uniform(keys[2], shape, jnp.float32)
    shown = jax.vmap(_written, (0, 0, 0, None))(numbers, operations, shares, length)
    return ask_last(one_hot(shown.T, NOTHING), jax.vmap(_value)(shown), length)


def _written(
    numbers: Int[Array, " time"],
    operations: Int[Array, " time"],
    shares: Float[Array, " time"],
    length: Int[Array, ""],
) -> Int[Array, " time"]:
    """Returns an expression of `length` symbols, then NOTHING.

    What is still to be written lies on a stack: expressions, as their lengths, 0 for an
    operation, -1 for a closing bracket. Each step takes one off, writes its first
    symbol and puts back the rest.
    """

    def write(state, drawn):
        (stack, top), (number, operation, share) = state, drawn
        size = stack[top]
        lefts = size - 4
        left = jnp.minimum(
            (1 + share * lefts.astype(share.dtype)).astype(jnp.int32), lefts
        )
        rest = jnp.select([size > 4, size > 2, size == 2], [
            jnp.stack([-1, size - 3 - left, 0, left]),
            jnp.stack([-1, size - 2, 0, 0]),
            jnp.asarray([1, 0, 0, 0], jnp.int32),
        ], 0)  # fmt: skip
        many = jnp.select([size > 4, size > 2, size == 2], [4, 2, 1], 0)
        written = [CLOSE, operation, number, MINUS]
        symbol = jnp.select([size == k for k in (-1, 0, 1, 2)], written, OPEN)
        stack = jax.lax.dynamic_update_slice(stack, rest, (top,))
        return (stack, top + many - 1), symbol

    stack = jnp.zeros(len(numbers) + 4, jnp.int32).at[0].set(length)
    start = stack, jnp.asarray(0, jnp.int32)
    symbols = jax.lax.scan(write, start, (numbers, operations, shares))[1]
    return jnp.where(steps(len(numbers))[:, 0] < length, symbols, NOTHING)


def _value(shown: Int[Array, " time"]) -> Int[Array, ""]:
    """Returns what an expression comes to, modulo 5.

    Within each open bracket the value so far is a + b x, where x is what comes next.
    """

    def read(state, symbol):
        levels, depth, follows_part = state
        closes = symbol == CLOSE
        part = jnp.where(closes, levels[depth, 0], symbol)
        is_part = closes | (symbol < MODULUS)
        depth = depth - closes.astype(jnp.int32)
        a, b = levels[depth]
        minus = jnp.where(follows_part, -1, -b)
        of_symbol = {PLUS: (a, 1), MINUS: (a, minus), TIMES: (0, a), OPEN: (0, 1)}
        after = jnp.select(
            [is_part, *(symbol == one for one in of_symbol)],
            [jnp.stack([a + b * part, 0]), *map(jnp.stack, of_symbol.values())],
            levels[depth],
        )
        depth = depth + (symbol == OPEN).astype(jnp.int32)
        levels = levels.at[depth].set(after % MODULUS)
        return (levels, depth, is_part), None

    levels = jnp.tile(jnp.asarray([0, 1], jnp.int32), (len(shown) // 2 + 2, 1))
    start = levels, jnp.asarray(0, jnp.int32), jnp.asarray(False)
    return jax.lax.scan(read, start, shown)[0][0][0, 0]


MODULAR_ARITHMETIC_BRACKETS = Task(
    name="modular_arithmetic_brackets",
    input_size=NOTHING,
    output_size=MODULUS,
    answers="last_step",
    sample=sampler(_draw, shortest=1),
    loss=losses.cross_entropy,
    accuracy=losses.accuracy,
    floor=floor,
    plateaus=plateaus,
    correct=losses.all_right,
)
