"""Digits pixel by pixel: splits, orders and the floor of the last pixel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from tasks.batches import TASKS, fitted_loss

import lstm_jax as lj
from lstm_jax.tasks import (
    digits,
)

# ---------------------------------------------------------------------------
# The answers follow from the inputs, by the story that the docstring tells
# ---------------------------------------------------------------------------


def test_the_worked_example_of_the_digits_is_the_first_image():
    pixels, labels = map(np.asarray, load_digits(return_X_y=True))
    assert digits.__doc__ is not None
    assert "0/16 0/16 5/16 13/16 9/16 ...  -> the first image of the set, a 0" in (
        digits.__doc__
    )
    assert_array_equal(pixels[0, :5], [0, 0, 5, 13, 9])
    assert labels[0] == 0


# ---------------------------------------------------------------------------
# Distributions
# ---------------------------------------------------------------------------


def test_digits_of_the_test_are_never_drawn_in_training():
    train, test = (digits.digit_images(split) for split in ("train", "test"))
    pixels, labels = load_digits(return_X_y=True)
    both = np.concatenate([train.pixels, test.pixels])
    assert_array_equal(np.sort(both, axis=0), np.sort(pixels / 16, axis=0))
    shown = {row.tobytes() for row in train.pixels}
    assert not shown & {row.tobytes() for row in test.pixels}
    assert_array_equal(
        np.bincount(test.digits), [(n + 0) // 5 for n in np.bincount(labels)]
    )
    for task in ("sequential_digits", "permuted_digits"):
        order = digits.pixel_order(None if task == "sequential_digits" else 0)
        for split, images in (("sample", train), ("sample_test", test)):
            by_pixels = {
                row[order].tobytes(): digit
                for row, digit in zip(images.pixels, images.digits, strict=True)
            }
            batch = getattr(lj.TASKS[task], split)(jax.random.key(0), 50, 64)
            rows = np.ascontiguousarray(np.asarray(batch.inputs)[..., 0].T)
            drawn = [by_pixels[row.tobytes()] for row in rows]
            assert_array_equal(drawn, batch.targets)
    assert sorted(digits.pixel_order(0)) == list(range(64))


# ---------------------------------------------------------------------------
# Floors and plateaus: predictors that are told a part, fitted on a large sample
# ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sequential_digits", "permuted_digits"])
def test_the_floor_of_the_digits_is_what_the_last_pixel_tells(name):
    task, train = TASKS[name], digits.digit_images("train")
    order = digits.pixel_order(None if name == "sequential_digits" else 0)
    every_image = lj.Batch(
        inputs=jnp.asarray(train.pixels[:, order].T[..., None]),
        targets=jnp.asarray(train.digits),
        weights=jnp.ones(len(train.digits)),
        lengths=jnp.full(len(train.digits), 64),
    )
    shade = (16 * train.pixels[:, order[-1]]).astype(int)
    loss = fitted_loss(name, shade, every_image)
    assert_allclose(loss, task.floor(64), rtol=1e-5)
    assert task.floor(64) < np.log(10)
