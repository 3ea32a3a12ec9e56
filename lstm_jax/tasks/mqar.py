"""Multi-query associative recall (MQAR): which value came with this key?

Pairs of a key and a value come first, all keys different and all values different; then
each key is shown once more, and its value is asked for. Queries are an even number of
steps apart from the end of the pairs; with `space` places for them,

    p(place i) ∝ i^(power - 1),  i = 1 .. space = (length - 2 num_pairs) // 2

without replacement, the keys in the order of the pairs. All other steps are blank.
Inputs are one-hot: blank, the keys, the values; the classes of the answers are the
values, asked for at the queries alone. The loss is their mean cross-entropy in nats,
with k pairs and n values:

    floor              ln n: a query alone says nothing
    one pair           (k - 1)/k ln(n - 1): its value is known, and no other's
    values, no keys    ln k: which values were shown, not with what

The accuracy is the share of right values. A sequence is right where every one is.

A worked example, 2 pairs of the keys a b c and the values x y z, length 10:

    shown  b x c z - - c - b -
    asked  - - - - - - z - x -

References:
  Arora et al. (2023), Zoology, https://arxiv.org/abs/2312.04927, and its code,
  https://github.com/HazyResearch/zoology: (length, pairs) = (64, 4) to (512, 64),
  4096 keys and values each, power 0.01
"""

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from lstm_jax.checks import check_number, check_whole
from lstm_jax.factories import factory
from lstm_jax.tasks import losses
from lstm_jax.tasks.sampling import ask_every, one_hot, sampler, steps
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey


def mqar(
    num_pairs: int = 4,
    num_keys: int = 16,
    num_values: int = 16,
    power: int | float = 0.01,
) -> Task:
    """Returns the task, for lengths from 4 num_pairs.

    Args:
      num_pairs: to be remembered, at least 1.
      num_keys: different keys, at least num_pairs.
      num_values: different values, at least num_pairs and 2.
      power: of the law of places, above 0; at 1 every place is as likely.

    Raises:
      TypeError: a number is not whole.
      ValueError: a number is not allowed.

    Example:
      >>> lj.tasks.mqar(num_pairs=8)
      <Task 'mqar_8_of_16_16_0.01': 33 inputs, 16 outputs, answers every_step>
    """
    check_whole("num_pairs", num_pairs, 1)
    check_whole("num_keys", num_keys, num_pairs)
    check_whole("num_values", num_values, max(2, num_pairs))
    check_number("power", power, "(0, inf)")
    return _mqar(num_pairs, num_keys, num_values, float(power))


@factory
def _mqar(num_pairs: int, num_keys: int, num_values: int, power: float) -> Task:
    sizes = num_pairs, num_keys, num_values
    default = (*sizes, power) == (4, 16, 16, 0.01)
    own = f"_{num_pairs}_of_{num_keys}_{num_values}_{power:g}"
    return Task(
        name="mqar" + ("" if default else own),
        input_size=1 + num_keys + num_values,
        output_size=num_values,
        answers="every_step",
        sample=sampler(partial(_draw, sizes, power), shortest=4 * num_pairs),
        loss=losses.cross_entropy,
        accuracy=losses.accuracy,
        floor=partial(floor, num_values),
        plateaus=partial(plateaus, num_pairs, num_values),
        correct=losses.all_right,
    )


def floor(num_values: int, length: int) -> float:
    """Returns ln n."""
    del length
    return float(np.log(num_values))


def plateaus(num_pairs: int, num_values: int, length: int) -> Mapping[str, float]:
    """Returns the losses of who knows one pair, and of who knows the values alone."""
    del length
    if num_pairs == 1:
        return {}
    others = (num_pairs - 1) / num_pairs
    return {
        "one pair": others * float(np.log(num_values - 1)),
        "values, no keys": float(np.log(num_pairs)),
    }


def _distinct(key: PRNGKey, many: int, of: int, batch_size: int) -> Array:
    """Returns numbers below `of`, (many, batch), all different within a sequence."""
    drawn = jax.random.uniform(key, (of, batch_size), jnp.float32)
    return jnp.argsort(drawn, axis=0)[:many].astype(jnp.int32)


def _sum(numbers: Array) -> Array:
    """Returns the sum over pairs, of which one at most is not 0, as int32."""
    return jnp.sum(numbers, axis=0, dtype=jnp.int32)


def _draw(
    sizes: tuple[int, int, int],
    power: float,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Int[Array, ""],
) -> Batch:
    num_pairs, num_keys, num_values = sizes
    key_keys, key_values, key_places = jax.random.split(key, 3)
    keys = _distinct(key_keys, num_pairs, num_keys, batch_size)
    values = _distinct(key_values, num_pairs, num_values, batch_size)
    # Gumbel's trick: the largest of ln p + G are drawn by p without replacement.
    place = steps((max_length - 2 * num_pairs) // 2)
    logs = (power - 1) * jnp.log1p(place.astype(jnp.float32))
    logs = jnp.where(place < (length - 2 * num_pairs) // 2, logs, -jnp.inf)
    shape = (len(place), batch_size)
    drawn = logs + jax.random.gumbel(key_places, shape, jnp.float32)
    places = jnp.argsort(-drawn, axis=0)[:num_pairs]
    queries = 2 * num_pairs + 2 * places.astype(jnp.int32)
    at_query = queries[:, None] == steps(max_length)  # (pairs, time, batch)
    pairs = jnp.stack([1 + keys, 1 + num_keys + values], axis=1)
    context = jnp.zeros((max_length, batch_size), jnp.int32)
    context = context.at[: 2 * num_pairs].set(pairs.reshape(-1, batch_size))
    shown = context + _sum(jnp.where(at_query, 1 + keys[:, None], 0))
    asked = _sum(jnp.where(at_query, values[:, None], 0))
    inputs = one_hot(shown, 1 + num_keys + num_values)
    return ask_every(inputs, asked, length, at_query.any(0))


MQAR = mqar()
