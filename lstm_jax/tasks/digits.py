"""Digits pixel by pixel: which of ten handwritten digits was it?

The 8 x 8 images of scikit-learn's bundled set, one pixel in [0, 1] a step, 64 steps:
row by row ("sequential"), or in one random order that is the same for all ("permuted"),
so that neighbours in time are not neighbours in space. The answer is asked for at the
last step. This is sequential MNIST, small enough to need no download.

The loss is the cross-entropy in nats; the floor is that of the best predictor that sees
the last pixel alone, counted on the training images. Chance is 1/10. A sequence is
right where the largest output is.

Every fifth image of a digit is kept for `sample_test` (as in the nature show); images
are drawn with replacement, so that rare digits come as often as in the set.

A worked example:  0/16 0/16 5/16 13/16 9/16 ...  -> the first image of the set, a 0

References:
  Le, Jaitly & Hinton (2015), both orders, with MNIST,
  https://arxiv.org/abs/1504.00941
  Alpaydin & Kaynak (1998), https://doi.org/10.24432/C50P49, in scikit-learn
"""

from functools import cache, partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from lstm_jax.checks import check_whole
from lstm_jax.factories import factory
from lstm_jax.tasks import losses
from lstm_jax.tasks.answer_units import entropy
from lstm_jax.tasks.sampling import ask_last, random_symbols, sampler
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey

NUM_PIXELS = 64
NUM_DIGITS = 10


class Images(NamedTuple):
    """Images and what they show.

    Attributes:
      pixels: (image, pixel), float32 in [0, 1].
      digits: (image,), int32.
    """

    pixels: np.ndarray
    digits: np.ndarray


def sequential_digits() -> Task:
    """Returns the task with the pixels row by row.

    Example:
      >>> lj.tasks.sequential_digits()
      <Task 'sequential_digits': 1 inputs, 10 outputs, answers last_step>
    """
    return _digits("sequential_digits", None)


def permuted_digits(permutation_seed: int = 0) -> Task:
    """Returns the task with the pixels in a random order, the same for all images.

    Args:
      permutation_seed: of NumPy's `default_rng(seed).permutation(64)`; at least 0.

    Raises:
      ValueError: the seed is negative.

    Example:
      >>> lj.tasks.permuted_digits(permutation_seed=1).output_size
      10
    """
    check_whole("permutation_seed", permutation_seed, 0)
    return _digits("permuted_digits", permutation_seed)


def pixel_order(permutation_seed: int | None) -> np.ndarray:
    """Returns (64,), which pixel is shown at each step; None: row by row."""
    if permutation_seed is None:
        return np.arange(NUM_PIXELS)
    return np.random.default_rng(permutation_seed).permutation(NUM_PIXELS)


def all_images() -> Images:
    """Returns scikit-learn's images, which the nature show uses too."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "the digits need scikit-learn: pip install 'lstm_jax[experiments]'"
        ) from error
    pixels, digits = map(np.asarray, load_digits(return_X_y=True))
    return Images(pixels.astype(np.float32) / 16, digits.astype(np.int32))


@cache
def digit_images(split: str) -> Images:
    """Returns the images of "train", or "test": every fifth one of each digit."""
    pixels, digits = all_images()
    is_test = np.zeros(len(digits), bool)
    for digit in range(NUM_DIGITS):
        is_test[np.flatnonzero(digits == digit)[4::5]] = True
    wanted = is_test if split == "test" else ~is_test
    return Images(pixels[wanted], digits[wanted])


@factory
def _digits(name: str, permutation_seed: int | None) -> Task:
    order = pixel_order(permutation_seed)
    sample, sample_test = (
        sampler(partial(_draw, order, split), shortest=NUM_PIXELS, longest=NUM_PIXELS)
        for split in ("train", "test")
    )
    return Task(
        name=name,
        input_size=1,
        output_size=NUM_DIGITS,
        answers="last_step",
        sample=sample,
        sample_test=sample_test,
        loss=losses.cross_entropy,
        accuracy=losses.accuracy,
        floor=lambda length: _entropy_given_pixel(int(order[-1])),
        correct=losses.all_right,
    )


def _entropy_given_pixel(pixel: int) -> float:
    """Returns the entropy of the digit given one pixel, in nats."""
    images = digit_images("train")
    shades = images.pixels[:, pixel]
    total = sum(
        np.sum(shades == shade)
        * entropy(np.bincount(images.digits[shades == shade]) / np.sum(shades == shade))
        for shade in np.unique(shades)
    )
    return float(total / len(shades))


def _draw(
    order: np.ndarray,
    split: str,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Int[Array, ""],
) -> Batch:
    del max_length  # it can only be 64
    images = digit_images(split)
    which = random_symbols(key, (batch_size,), 0, len(images.digits))
    in_order = np.ascontiguousarray(images.pixels[:, order])
    inputs = jnp.asarray(in_order)[which].T[..., None]
    digits = jnp.asarray(images.digits)[which]
    return ask_last(inputs, digits, length)


SEQUENTIAL_DIGITS = sequential_digits()
PERMUTED_DIGITS = permuted_digits()
