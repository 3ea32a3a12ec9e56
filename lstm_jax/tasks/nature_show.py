"""The nature show: is the last animal a dog or a wolf? Only the first scene says.

A network watches a TV programme, one image per step, and is asked what the last image
shows: a dog, a wolf or a goldfish.

    step 0            the scene: bear or fox (a forest), cat or armchair (a home)
    steps 1 .. lag    distractors that fit both: an oak, a pine, a squirrel
    step lag + 1      the question

In four sequences of five the last image is ambiguous by construction: a 50/50 blend of
one dog and one wolf image. In the forest it is a wolf, at home it is a dog, and nothing
but the memory of step 0 can tell. In one of five it is a clear goldfish. Accuracy is
counted on the ambiguous ones, where a network without memory is at 1/2.

A worked example, lag 3:  bear oak squirrel oak dog+wolf -> wolf
                          cat  pine oak squirrel goldfish -> goldfish

Source: the story with which LSTMs are introduced in Luis Serrano's lesson of the
Udacity deep-learning course; the exact task is this project's own.
"""

from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lstm_jax.checks import check_choice, check_number
from lstm_jax.factories import factory
from lstm_jax.tasks import losses, sampling
from lstm_jax.tasks.digits import all_images
from lstm_jax.tasks.losses import cross_entropy as cross_entropy
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey, Scalar

DIGIT_OF_ROLE = {
    "bear": 8, "fox": 3, "cat": 0, "armchair": 2,
    "oak": 1, "pine": 7, "squirrel": 6,
    "dog": 5, "wolf": 9, "goldfish": 4,
}  # fmt: skip
"""Which handwritten digit stands in for whom in the rendering "digits"."""

ROLES = tuple(DIGIT_OF_ROLE)
FOREST = ("bear", "fox")
HOME = ("cat", "armchair")
DISTRACTORS = ("oak", "pine", "squirrel")
ANSWERS = ("dog", "wolf", "goldfish")
"""The classes, in the order of the outputs."""

RENDERINGS = ("digits", "vectors")
VECTOR_NOISE = 0.1


class Show(NamedTuple):
    """What is shown, before it is rendered; roles are indices into ROLES.

    Attributes:
      scene: (batch,), the role at step 0.
      distractors: (time - 2, batch), the roles in between.
      answer: (batch,), an index into ANSWERS.
    """

    scene: Int[Array, " batch"]
    distractors: Int[Array, "between batch"]
    answer: Int[Array, " batch"]


def nature_show(rendering: str = "digits", goldfish_rate: int | float = 0.2) -> Task:
    """Returns the task; `length` = lag + 2.

    Args:
      rendering: "digits", scikit-learn's 8x8 handwritten digits, pixels in [0, 1],
        every fifth image of a digit kept for `sample_test`, read when the first batch
        is drawn; or "vectors", the one-hot vector of the role plus Gaussian noise
        (sd 0.1).
      goldfish_rate: share of the sequences that end in a clear goldfish.

    Raises:
      ValueError: a rendering or rate that is not allowed.

    Example:
      >>> task = lj.tasks.nature_show(rendering="vectors")
      >>> task.sample(jax.random.key(0), batch_size=2, max_length=5).inputs.shape
      (5, 2, 10)
    """
    check_choice("rendering", rendering, RENDERINGS)
    check_number("goldfish_rate", goldfish_rate, "[0, 1]")
    return _nature_show(rendering, float(goldfish_rate))


# Beside `nature_show`, so that every way of calling it returns one and the same task.
@factory
def _nature_show(rendering: str, goldfish_rate: float) -> Task:
    input_size = 64 if rendering == "digits" else len(ROLES)

    def sampler(split):
        def draw(key, batch_size, max_length, length):
            images = _digit_images(split) if rendering == "digits" else None
            return _draw(key, batch_size, max_length, length, goldfish_rate, images)

        return sampling.sampler(draw, shortest=3)

    return Task(
        name="nature_show",
        input_size=input_size,
        output_size=len(ANSWERS),
        answers="last_step",
        sample=sampler("train"),
        sample_test=sampler("test"),
        loss=cross_entropy,
        accuracy=accuracy_on_ambiguous,
        floor=lambda length: (1 - goldfish_rate) * np.log(2),
        correct=losses.all_right,
    )


def accuracy_on_ambiguous(
    outputs: Float[Array, "batch answers"], batch: Batch
) -> Float[Array, ""]:
    """Returns the share of the ambiguous sequences that are answered right.

    NaN in a batch without ambiguous sequences.
    """
    ambiguous = batch.targets != ANSWERS.index("goldfish")
    counted = losses.scored(batch) & ambiguous
    return losses.share(losses.argmax_right(outputs, batch), counted)


def margins(
    outputs: Float[Array, "batch answers"], targets: Int[Array, " batch"]
) -> Float[Array, " batch"]:
    """Returns logit of the right answer minus logit of the wrong animal, dog or wolf.

    For ambiguous sequences, whose targets are dog (0) or wolf (1).
    """
    dog, wolf = (ANSWERS.index(animal) for animal in ("dog", "wolf"))
    towards_wolf = outputs[:, wolf] - outputs[:, dog]
    return jnp.where(targets == wolf, towards_wolf, -towards_wolf)


def show_of(
    key: PRNGKey, batch_size: int, max_length: int, goldfish_rate: Scalar = 0.2
) -> Show:
    """Returns what the batch is about that `sample` renders from the same arguments."""
    key_forest, key_scene, key_between, key_goldfish = jax.random.split(
        jax.random.fold_in(key, 0), 4
    )
    forest = jax.random.bernoulli(key_forest, 0.5, (batch_size,))
    which = jax.random.randint(key_scene, (batch_size,), 0, 2)
    between = jax.random.randint(
        key_between, (max_length - 2, batch_size), 0, len(DISTRACTORS)
    )
    goldfish = jax.random.bernoulli(key_goldfish, goldfish_rate, (batch_size,))
    animal = jnp.where(forest, ANSWERS.index("wolf"), ANSWERS.index("dog"))
    return Show(
        scene=jnp.where(forest, _roles(FOREST)[which], _roles(HOME)[which]),
        distractors=_roles(DISTRACTORS)[between],
        answer=jnp.where(goldfish, ANSWERS.index("goldfish"), animal),
    )


def _draw(
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Int[Array, ""],
    goldfish_rate: float,
    images: np.ndarray | None,
) -> Batch:
    show = show_of(key, batch_size, max_length, goldfish_rate)
    key_early, key_question = jax.random.split(jax.random.fold_in(key, 1))
    early = jnp.concatenate([show.scene[None], show.distractors])
    dog, wolf, goldfish = (
        _render(k, jnp.full((batch_size,), ROLES.index(role)), images)
        for k, role in zip(jax.random.split(key_question, 3), ANSWERS, strict=True)
    )
    is_goldfish = show.answer == ANSWERS.index("goldfish")
    question = jnp.where(is_goldfish[:, None], goldfish, (dog + wolf) / 2)
    shown = jnp.concatenate([_render(key_early, early, images), question[None]])
    step = sampling.steps(max_length)[..., None]
    inputs = jnp.where(step == length - 1, question, shown)
    return sampling.ask_last(inputs, show.answer, length)


def _roles(names: tuple[str, ...]) -> Int[Array, " roles"]:
    return jnp.array([ROLES.index(name) for name in names], jnp.int32)


def _render(
    key: PRNGKey, roles: Int[Array, "*any"], images: np.ndarray | None
) -> Float[Array, "*any input"]:
    """Returns an image of each role: a random one of `images`, or a noisy vector."""
    if images is None:
        noise = jax.random.normal(key, (*roles.shape, len(ROLES)), jnp.float32)
        return sampling.one_hot(roles, len(ROLES)) + VECTOR_NOISE * noise
    which = jax.random.randint(key, roles.shape, 0, images.shape[1])
    return jnp.asarray(images)[roles, which]


@cache
def _digit_images(split: str) -> np.ndarray:
    """Returns the images of "train" or "test", (role, example, pixel) in [0, 1].

    Every digit is cut to the number of images that the rarest one has, so that arrays
    are rectangular. Every fifth image goes to the test.

    References:
      Alpaydin & Kaynak (1998), https://doi.org/10.24432/C50P49, in scikit-learn
    """
    pixels, digits = all_images()
    by_role = [pixels[digits == digit] for digit in DIGIT_OF_ROLE.values()]
    examples = min(len(images) for images in by_role)
    images = np.stack([images[:examples] for images in by_role])
    is_test = np.arange(examples) % 5 == 4
    return images[:, is_test if split == "test" else ~is_test]


NATURE_SHOW = nature_show()
