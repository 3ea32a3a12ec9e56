"""Two sequences, 3a, 3b and 3c: the class is in the first N numbers, then noise.

    x_t = +1 or -1, by the class, at the first N steps; then Gaussian noise
    answer at the last step, with the loss its mean squared error

          first N numbers   target        floor   everything   right where
    3a    clean             1 or 0        1/4     0            |error| < 0.2
    3b    with noise        1 or 0        1/4     > 0          |error| < 0.2
    3c    clean             .8 or .2,     0.19    0.1          |error| < 0.1 from
                            with noise                         the target's mean

All noise in x has variance 0.2, that of 3c's target 0.1: there the conditional mean of
the target must be learnt. Lengths are uniform in [T, 1.1 T], where
T = `sampling.nominal_length(length)`; a `length` of 110 is the paper's T = 100. Even a
predictor that knows everything loses a little in 3b, where noise can hide the class.

A worked example of 3a, N = 3:   1 1 1 0.3 -0.6 0.1 0.4  -> 1

In 3c the targets are (batch, 2): the noisy one, which the loss takes, and its mean.
Read to the letter, the paper's 3c wants 0.2 where the first numbers are +1; here, as in
3a, +1 has the larger target.

References:
  Hochreiter & Schmidhuber (1997), experiment 3 and tables 4 to 6,
  https://doi.org/10.1162/neco.1997.9.8.1735
  Bengio, Simard & Frasconi (1994), whose sequences may also be as short as T/2,
  https://doi.org/10.1109/72.279181
"""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lstm_jax.checks import check_choice, check_whole
from lstm_jax.factories import factory
from lstm_jax.tasks import losses
from lstm_jax.tasks.sampling import (
    ask_last,
    lengths_from_nominal,
    random_symbols,
    sampler,
    steps,
)
from lstm_jax.tasks.task import Batch, Task, no_plateaus
from lstm_jax.types import PRNGKey

NOISE_VARIANCE = 0.2
TARGET_NOISE_VARIANCE = 0.1


class Variant(NamedTuple):
    """What tells the three apart.

    Attributes:
      noisy_information: whether the first numbers have noise, as in 3b.
      targets: those of classes 0 and 1.
      target_noise: whether targets have noise, as in 3c.
      tolerance: how far an answer may be off.
    """

    noisy_information: bool
    targets: tuple[float, float]
    target_noise: bool
    tolerance: float


VARIANTS = {
    "3a": Variant(False, (0.0, 1.0), False, 0.2),
    "3b": Variant(True, (0.0, 1.0), False, 0.2),
    "3c": Variant(False, (0.2, 0.8), True, 0.1),
}


def two_sequence(variant: str, num_informative: int = 3) -> Task:
    """Returns the task.

    Args:
      variant: "3a", "3b" or "3c".
      num_informative: N, 3 or 1 in the paper.

    Raises:
      ValueError: another variant, or N below 1.

    Example:
      >>> task = lj.tasks.two_sequence("3a")
      >>> batch = task.sample(jax.random.key(0), batch_size=2, max_length=5)
      >>> batch.inputs.shape
      (5, 2, 1)
    """
    check_choice("variant", variant, VARIANTS)
    check_whole("num_informative", num_informative, 1)
    return _two_sequence(variant, num_informative)


@factory
def _two_sequence(name: str, num_informative: int) -> Task:
    variant = VARIANTS[name]

    def correct(outputs, batch):
        right = losses.within(variant.tolerance, outputs, _with_means(batch))
        return losses.all_scored(right, batch)

    def accuracy(outputs, batch):
        return losses.share(correct(outputs, batch), losses.scored(batch))

    def plateaus(length: int) -> Mapping[str, float]:
        del length
        return {"everything": _best(variant, num_informative)}

    # The least length whose T = nominal_length(length) is N + 1.
    shortest = num_informative + 1 + num_informative // 10
    sample = sampler(partial(_draw, variant, num_informative), shortest=shortest)
    return Task(
        name=f"two_sequence_{name}",
        input_size=1,
        output_size=1,
        answers="last_step",
        sample=sample,
        loss=loss,
        accuracy=accuracy,
        floor=lambda length: _floor(variant),
        plateaus=no_plateaus if name == "3a" else plateaus,
        correct=correct,
    )


def loss(outputs: Float[Array, "batch 1"], batch: Batch) -> Float[Array, ""]:
    """Returns the mean squared error, of noisy targets where they are noisy."""
    if batch.targets.ndim == 2:
        batch = batch._replace(targets=batch.targets[:, 0])
    return losses.squared_error(outputs, batch)


def _with_means(batch: Batch) -> Batch:
    if batch.targets.ndim == 2:
        return batch._replace(targets=batch.targets[:, 1])
    return batch


def _floor(variant: Variant) -> float:
    low, high = variant.targets
    noise = TARGET_NOISE_VARIANCE if variant.target_noise else 0
    return ((high - low) / 2) ** 2 + noise


def _best(variant: Variant, num_informative: int) -> float:
    """Returns the loss of the conditional mean of the target."""
    noise = TARGET_NOISE_VARIANCE if variant.target_noise else 0.0
    if not variant.noisy_information:
        return noise
    # The sum s of N numbers +1 with noise; P(class 1 | s) = sigmoid(2 s / variance).
    spread = np.sqrt(num_informative * NOISE_VARIANCE)
    z, dz = np.linspace(-12, 12, 20_001, retstep=True)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    missing = (1 - np.tanh((num_informative + spread * z) / NOISE_VARIANCE)) / 2
    return float(np.sum(density * missing**2) * dz) + noise


def _draw(
    variant: Variant,
    num_informative: int,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Int[Array, ""],
) -> Batch:
    key_class, key_noise, key_target, key_lengths = jax.random.split(key, 4)
    classes = random_symbols(key_class, (batch_size,), 0, 2)
    noise = jax.random.normal(key_noise, (max_length, batch_size), jnp.float32)
    noise = np.float32(np.sqrt(NOISE_VARIANCE)) * noise
    informative = steps(max_length) < num_informative
    sign = (2 * classes - 1).astype(jnp.float32)
    information = sign + noise if variant.noisy_information else sign
    inputs = jnp.where(informative, information, noise)[..., None]
    means = jnp.asarray(variant.targets, jnp.float32)[classes]
    targets = _noisy(key_target, means) if variant.target_noise else means
    return ask_last(
        inputs, targets, lengths_from_nominal(key_lengths, batch_size, length)
    )


def _noisy(key: PRNGKey, means: Float[Array, " batch"]) -> Float[Array, "batch 2"]:
    noise = jax.random.normal(key, means.shape, jnp.float32)
    spread = np.float32(np.sqrt(TARGET_NOISE_VARIANCE))
    return jnp.stack([means + spread * noise, means], axis=-1)


TWO_SEQUENCE_3A = two_sequence("3a")
TWO_SEQUENCE_3B = two_sequence("3b")
TWO_SEQUENCE_3C = two_sequence("3c")
