"""Images: each of its split is drawn as often as another."""

from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from problems import slow_but
from sklearn.datasets import load_digits
from tasks.laws import Draw, assert_law, drawn, uniform

import lstm_jax as lj

SHOWN_AS = {
    "bear": 8, "fox": 3, "cat": 0, "armchair": 2, "oak": 1, "pine": 7, "squirrel": 6,
    "dog": 5, "wolf": 9, "goldfish": 4,
}  # fmt: skip
IS_TEST = {"sample": [0, 1, 2, 3], "sample_test": [4]}


@cache
def images_of(digit, split, rarest=None):
    """The images of a digit; every fifth is for the test."""
    pixels, digits = load_digits(return_X_y=True)
    of_digit = pixels[digits == digit][:rarest].astype(np.float32) / 16
    chosen = [k for k in range(len(of_digit)) if k % 5 in IS_TEST[split]]
    return of_digit[chosen]


def numbers_of(images, seen):
    """Which image each row is."""
    number = {image.tobytes(): k for k, image in enumerate(images)}
    assert len(number) == len(images)
    return [number[np.ascontiguousarray(row).tobytes()] for row in seen]


@pytest.mark.parametrize("split", slow_but(["sample_test"], IS_TEST))
@pytest.mark.parametrize(
    "name", slow_but(["permuted_digits"], ["sequential_digits", "permuted_digits"])
)
def test_every_digit_of_a_split_is_drawn_as_often_as_another(name, split):
    images = np.concatenate([images_of(digit, split) for digit in range(10)])
    batch = drawn(Draw(lj.TASKS[name], 60_000, 64, 64, split))
    order = np.random.default_rng(0).permutation(64)
    order = order if name == "permuted_digits" else np.arange(64)
    shown = np.empty((60_000, 64), np.float32)
    shown[:, order] = batch.inputs[..., 0].T
    which = numbers_of(images, shown)
    assert_law(which, uniform(0, len(images) - 1))
    labels = np.repeat(range(10), [len(images_of(d, split)) for d in range(10)])
    assert_array_equal(labels[which], batch.targets)


@pytest.mark.parametrize("split", slow_but(["sample"], IS_TEST))
def test_every_image_of_a_role_is_shown_as_often_as_another(split):
    batch = drawn(Draw(lj.TASKS["nature_show"], 20_000, 5, 5, split))
    rarest = np.bincount(load_digits(return_X_y=True)[1]).min()
    images = {role: images_of(d, split, rarest) for role, d in SHOWN_AS.items()}
    many = len(images["dog"])
    alone = ["bear", "fox", "cat", "armchair", "oak", "pine", "squirrel", "goldfish"]
    every = np.concatenate([images[role] for role in alone])
    clear = batch.targets == 2
    seen = [batch.inputs[0], batch.inputs[1], batch.inputs[3], batch.inputs[4][clear]]
    which = np.array(numbers_of(every, np.concatenate(seen)))
    for k, _ in enumerate(alone):
        assert_law(which[which // many == k] % many, uniform(0, many - 1))
    blends = (images["dog"][:, None] + images["wolf"]) / 2
    pairs = np.array(numbers_of(blends.reshape(-1, 64), batch.inputs[4][~clear]))
    assert_law(pairs // many, uniform(0, many - 1))
    assert_law(pairs % many, uniform(0, many - 1))
    assert_law(
        (pairs // many + pairs % many) % 2,
        {
            k: share
            for k, share in enumerate(
                np.bincount(np.add.outer(range(many), range(many)).ravel() % 2)
                / many**2
            )
        },
    )
