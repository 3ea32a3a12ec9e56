"""The images of a strip, and the inputs that a strip of names stands for."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from jaxtyping import Float

from lstm_jax.tasks.digits import digit_images
from lstm_jax.tasks.nature_show import DIGIT_OF_ROLE, ROLES

PER_ROLE = 5
QUESTION = "question"
ALSO = {"tree": "oak"}
"""Other names that a strip may use."""

NAMES = (*ROLES, QUESTION)


@cache
def images() -> dict[str, Float[np.ndarray, "image pixel"]]:
    """Returns PER_ROLE test images of every name, pixels in [0, 1].

    An image of the question is the mean of a dog and a wolf.
    """
    pixels, digits = digit_images("test")
    of_role = {
        role: pixels[digits == digit][:PER_ROLE]
        for role, digit in DIGIT_OF_ROLE.items()
    }
    return of_role | {QUESTION: (of_role["dog"] + of_role["wolf"]) / 2}


def inputs_of(strip: Sequence[str]) -> Float[np.ndarray, "time pixel"]:
    """Returns what the networks read: at step t image t mod PER_ROLE of its name."""
    return np.stack(
        [
            images()[ALSO.get(name, name)][step % PER_ROLE]
            for step, name in enumerate(strip)
        ]
    )


def first_strip(lag: int) -> list[str]:
    """Returns the strip that the page begins with: a bear, distractors, the question.

    Trees and squirrels follow in an order that doesn't repeat in step with the images.
    """
    between = ("oak", "pine", "oak", "squirrel", "pine", "oak", "pine")
    return ["bear", *(between[step % len(between)] for step in range(lag)), QUESTION]
