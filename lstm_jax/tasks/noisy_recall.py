"""Noisy recall: which value came with this key, among pairs that are noise?

    shown    m slots of two steps, each a key and its value, or two noise symbols;
             then the mark and a key
    asked    at the end: the value of that key

Every sequence gives each key a value of its own drawing. The pair that is asked for
stands in any slot with the same probability; each other slot is noise with probability
`noise`, else a pair. Keys, values and noise are uniform in their alphabets: a key may
come twice, with its value, and keys may share one. Of a length, m = length // 2 - 1
slots; of an odd one the last step is empty.

Inputs are one-hot: the keys, the values, the noise, the mark; the classes of the
answers are the values. The loss is the cross-entropy in nats. With k keys, v values and
noise f, who knows the pair with probability p loses (1 - p) ln v:

    floor          p = 0: a key alone says nothing, and neither does knowing nothing
    the last slot  p = 1/m + (1 - 1/m)(1 - f)/k: it is known, noise or not
    the last pair  p = r + (1 - r)/k, r = (1 - f^m)/(m (1 - f)): noise is skipped

A sequence is right where the largest output is.

A worked example, keys a b, values x y z, noise . and :, the mark !, length 12:

    a z . : b x : : a z ! b  -> x, class 0

In the benchmark below the key asked for is uniform among those shown; here a key that
was shown often is asked for more often, so that the levels are closed forms.

References:
  Poli et al. (2024), MAD, https://arxiv.org/abs/2403.17844: 7 keys, 8 values, 16 noise
  symbols, noise 0.2, length 128
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
from lstm_jax.tasks.sampling import (
    ask_last,
    one_hot,
    random_symbols,
    sampler,
    steps,
    uniform_between,
)
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey


def noisy_recall(
    num_keys: int = 7,
    num_values: int = 8,
    num_noise: int = 16,
    noise: int | float = 0.2,
) -> Task:
    """Returns the task, for lengths from 4.

    Args:
      num_keys: different keys, at least 1.
      num_values: different values, at least 2.
      num_noise: different symbols of noise, at least 1.
      noise: probability of a slot of noise, in [0, 1).

    Raises:
      TypeError: a number is not whole.
      ValueError: a number is not allowed.

    Example:
      >>> lj.tasks.noisy_recall(noise=0.5)
      <Task 'noisy_recall_7_8_16_0.5': 32 inputs, 8 outputs, answers last_step>
    """
    check_whole("num_keys", num_keys, 1)
    check_whole("num_values", num_values, 2)
    check_whole("num_noise", num_noise, 1)
    check_number("noise", noise, "[0, 1)")
    return _noisy_recall(num_keys, num_values, num_noise, float(noise))


@factory
def _noisy_recall(num_keys: int, num_values: int, num_noise: int, noise: float) -> Task:
    sizes = num_keys, num_values, num_noise
    default = (*sizes, noise) == (7, 8, 16, 0.2)
    own = f"_{num_keys}_{num_values}_{num_noise}_{noise:g}"
    return Task(
        name="noisy_recall" + ("" if default else own),
        input_size=sum(sizes) + 1,
        output_size=num_values,
        answers="last_step",
        sample=sampler(partial(_draw, sizes, noise), shortest=4),
        loss=losses.cross_entropy,
        accuracy=losses.accuracy,
        floor=partial(floor, num_values),
        plateaus=partial(plateaus, num_keys, num_values, noise),
        correct=losses.all_right,
    )


def floor(num_values: int, length: int) -> float:
    """Returns ln v."""
    del length
    return float(np.log(num_values))


def plateaus(
    num_keys: int, num_values: int, noise: float, length: int
) -> Mapping[str, float]:
    """Returns the losses of who knows the last slot, and the last that is a pair."""
    slots = length // 2 - 1
    if slots == 1:
        return {}
    is_last = (1 - noise**slots) / (slots * (1 - noise))
    known = {
        "the last slot": 1 / slots + (1 - 1 / slots) * (1 - noise) / num_keys,
        "the last pair": is_last + (1 - is_last) / num_keys,
    }
    unsure = floor(num_values, length)
    return {name: (1 - share) * unsure for name, share in known.items()}


def _draw(
    sizes: tuple[int, int, int],
    noise: float,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Int[Array, ""],
) -> Batch:
    num_keys, num_values, num_noise = sizes
    key_map, key_keys, key_noise, key_which, key_asked = jax.random.split(key, 5)
    slots, shape = length // 2 - 1, (max_length // 2, batch_size)
    values = random_symbols(key_map, (num_keys, batch_size), 0, num_values)
    keys = random_symbols(key_keys, shape, 0, num_keys)
    pairs = jnp.stack([keys, num_keys + jnp.take_along_axis(values, keys, axis=0)], 1)
    meaningless = (
        num_keys + num_values + random_symbols(key_noise, pairs.shape, 0, num_noise)
    )
    asked = uniform_between(key_asked, batch_size, jnp.asarray(0), slots - 1)
    slot = steps(shape[0])
    is_noise = (jax.random.uniform(key_which, shape) < noise) & (slot != asked)
    wanted = jnp.take_along_axis(keys, asked[None], axis=0)
    mark = jnp.full_like(wanted, sum(sizes))
    question = jnp.stack([mark, wanted], axis=1)
    shown = jnp.where(is_noise[:, None], meaningless, pairs)
    shown = jnp.where((slot == slots)[:, None], question, shown)
    shown = jnp.pad(shown.reshape(-1, batch_size), ((0, max_length % 2), (0, 0)))
    answers = jnp.take_along_axis(values, wanted, axis=0)[0]
    return ask_last(one_hot(shown, sum(sizes) + 1), answers, 2 * (slots + 1))


NOISY_RECALL = noisy_recall()
