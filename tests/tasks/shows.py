"""Nature shows as arrays, and the roles that their images play."""

from functools import cache

import jax
import numpy as np
import pytest
from problems import slow_but
from sklearn.datasets import load_digits

import lstm_jax as lj
from lstm_jax.tasks.nature_show import DIGIT_OF_ROLE, RENDERINGS, ROLES

LENGTH, MANY = 5, 4_000
DOG, WOLF, GOLDFISH = range(3)

both_renderings = pytest.mark.parametrize("rendering", RENDERINGS)
few_renderings = pytest.mark.parametrize(  # where a classifier is fitted
    "rendering", slow_but(["vectors"], RENDERINGS)
)
both_splits = pytest.mark.parametrize("split", slow_but(["test"], ["train", "test"]))


def sampler(rendering, split="train"):
    task = lj.tasks.nature_show(rendering)
    return task.sample if split == "train" else task.sample_test


@cache
def jitted_sampler(rendering, split="train"):
    """The length is traced, so that all of them share a compilation."""
    return jax.jit(sampler(rendering, split), static_argnums=(1, 2))


@cache
def many(rendering, split="train"):
    """A large batch as NumPy arrays; the made-up vectors need another key per split."""
    key = jax.random.key(["train", "test"].index(split))
    batch = jitted_sampler(rendering, split)(key, MANY, LENGTH, LENGTH)
    return jax.tree.map(np.asarray, batch)


@cache
def images_of(role, split):
    """Images of a role as the docstring tells it: every fifth is for the test."""
    pixels, digits = load_digits(return_X_y=True)
    rarest = min(np.bincount(digits))
    images = pixels[digits == DIGIT_OF_ROLE[role]][:rarest].astype(np.float32) / 16
    is_test = np.arange(rarest) % 5 == 4
    return images[is_test if split == "test" else ~is_test]


@cache
def role_of_image(split):
    """The role of every image of a split, by the bytes of the image."""
    return {image.tobytes(): role for role in ROLES for image in images_of(role, split)}


def roles_in(frames, rendering, split="train"):
    """The names of what frames (..., input) show; KeyError for an unknown image."""
    if rendering == "vectors":
        return np.array(ROLES)[np.argmax(frames, axis=-1)]
    by_image = role_of_image(split)
    names = [by_image[frame.tobytes()] for frame in frames.reshape(-1, 64)]
    return np.reshape(names, frames.shape[:-1])


def assert_binomial(count, trials, probability):
    """Within five standard errors: a right program fails once in a million."""
    error = np.sqrt(probability * (1 - probability) / trials)
    assert abs(count / trials - probability) < 5 * error
