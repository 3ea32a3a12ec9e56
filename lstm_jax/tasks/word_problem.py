"""Word problem: the product, so far, of the elements of a group that are shown.

Every step shows a generator s_t, one-hot, drawn uniformly from an alphabet; at every
step the element g_t = s_t g_{t-1} is asked for, with g_0 the identity, as one class of
the group. Elements are in the order of their permutations, the identity first. The loss
is the mean cross-entropy in nats. With ν_t the law of a product of t generators and H
the entropy, over `length` steps,

    floor           H(mean of ν_0 ... ν_{length-1}): s_t is seen, and not the time
    the last two    (1 - 1/length) H(mean of ν_0 ... ν_{length-2}): s_t and s_{t-1}

and H(mean of ν_1 ... ν_length), a little more than the floor, where nothing is seen.

The accuracy is the share of right elements. A sequence is right where every one is.

Which memory can do it is known: with a state of fixed precision and one layer, factors
in [0, 1] do no group but the trivial one, factors in [-1, 1] the groups Z2^n, and k
reflections at a step those whose alphabet needs no more than k.

A worked example, S3 as permutations of 012, its elements 012 021 102 120 201 210
numbered from 0:

    shown  021 102 102 201
    asked    1   3   1   5

References:
  Barrington (1989), https://doi.org/10.1016/0022-0000(89)90037-8
  Merrill, Petty & Sabharwal (2024), The illusion of state, https://arxiv.org/abs/2404.08819
  Grazzi et al. (2024), https://arxiv.org/abs/2411.12537, theorems 1 to 4
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import permutations, product
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from lstm_jax.checks import shown
from lstm_jax.factories import factory
from lstm_jax.tasks import losses
from lstm_jax.tasks.sampling import ask_every, one_hot, random_symbols, sampler
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey

Permutation: TypeAlias = tuple[int, ...]

NAMES = r"Z(\d+)(?:\^(\d+))?|([SA])(\d+)"
LARGEST = 1000  # elements: a class each


class _Words(NamedTuple):
    """A group and an alphabet.

    Attributes:
      name: of the task.
      elements: sorted, the identity first.
      generators: places among the elements, in the order of the inputs.
    """

    name: str
    elements: tuple[Permutation, ...]
    generators: tuple[int, ...]


def word_problem(
    group: str | Sequence[Sequence[int]] = "S3",
    generators: str | Sequence[Sequence[int]] | None = None,
) -> Task:
    """Returns the task of a group, for lengths from 1.

    Args:
      group: "Z3" for a cyclic group, "Z2^3" for a power of one, "S3" for all
        permutations of so many things, "A5" for the even ones; or the elements
        themselves, each a permutation of 0 .. n - 1, closed under products. At most
        1000 elements.
      generators: what may be shown: elements of the group; "transpositions", the swaps
        of two things that are in it; None for all elements.

    Raises:
      ValueError: the group is none, or a generator isn't in it.

    Example:
      >>> lj.tasks.word_problem("S3", generators="transpositions")
      <Task 'word_problem_s3_transpositions': 3 inputs, 6 outputs, answers every_step>
      >>> swap = ((0, 1), (1, 0))
      >>> lj.tasks.word_problem(swap).input_size
      2
    """
    elements = _named(group) if isinstance(group, str) else _given(group)
    name = group.lower().replace("^", "_") if isinstance(group, str) else "own"
    places, alphabet = _alphabet(elements, generators)
    return _word_problem(_Words(f"word_problem_{name}{alphabet}", elements, places))


# -- Groups --------------------------------------------------------------------------


def times(first: Permutation, then: Permutation) -> Permutation:
    """Returns the permutation that does `first` and then `then`."""
    return tuple(then[place] for place in first)


def _named(name: str) -> tuple[Permutation, ...]:
    found = re.fullmatch(NAMES, name)
    if not found:
        raise ValueError(
            f"group: got {name!r}; it must be like Z3, Z2^3, S5 or A5, or permutations"
        )
    order, power, letter, things = found.groups()
    if letter is None:
        return _cyclic(name, int(order), int(power or 1))
    if not 1 <= int(things) <= 6:
        raise ValueError(f"group: got {name!r}; {letter} is there for 1 to 6 things")
    every = permutations(range(int(things)))
    return tuple(p for p in every if letter == "S" or _is_even(p))


def _cyclic(name: str, order: int, power: int) -> tuple[Permutation, ...]:
    """Returns Z_order^power: cycles side by side."""
    if order < 1 or power < 1 or order**power > LARGEST:
        raise ValueError(
            f"group: got {name!r}; it must have from 1 to {LARGEST} elements"
        )
    turn = lambda by, at: tuple(at * order + (k + by) % order for k in range(order))
    turns = product(range(order), repeat=power)
    return tuple(
        sorted(sum((turn(by, at) for at, by in enumerate(one)), ()) for one in turns)
    )


def _is_even(permutation: Permutation) -> bool:
    pairs = [(a, b) for k, a in enumerate(permutation) for b in permutation[k + 1 :]]
    return sum(a > b for a, b in pairs) % 2 == 0


def _given(group: Any) -> tuple[Permutation, ...]:
    """Checks that elements are permutations of the same things, and a group."""
    elements = {_permutation("group", one) for one in group}
    if not 1 <= len(elements) <= LARGEST:
        raise ValueError(
            f"group: got {len(elements)} elements; it must have 1 to {LARGEST}"
        )
    if len({len(one) for one in elements}) > 1:
        sizes = sorted({len(one) for one in elements})
        raise ValueError(f"group: permutations of {sizes} things; one number is needed")
    for pair in product(sorted(elements), repeat=2):
        if times(*pair) not in elements:
            raise ValueError(
                f"group: {pair[0]} and then {pair[1]} is {times(*pair)}, which is not "
                "in it; it must be closed under products"
            )
    return tuple(sorted(elements))


def _permutation(name: str, one: Any) -> Permutation:
    wanted = "a permutation of 0 .. n - 1, such as (1, 0, 2)"
    if isinstance(one, str) or not hasattr(one, "__iter__"):
        raise ValueError(f"{name}: got {shown(one)}; each entry must be {wanted}")
    permutation = tuple(map(int, one))
    if not permutation or sorted(permutation) != list(range(len(permutation))):
        raise ValueError(f"{name}: got {permutation}; each entry must be {wanted}")
    return permutation


def _alphabet(
    elements: tuple[Permutation, ...], generators: Any
) -> tuple[tuple[int, ...], str]:
    """Returns the places of the generators, and what the task's name says of them."""
    if generators is None:
        return tuple(range(len(elements))), ""
    if generators == "transpositions":
        moved = [sum(a != b for a, b in enumerate(one)) for one in elements]
        places = tuple(k for k, number in enumerate(moved) if number == 2)
        if not places:
            raise ValueError("generators: no transposition is in the group")
        return places, "_transpositions"
    if isinstance(generators, str):
        raise ValueError(
            f"generators: got {generators!r}; it must be 'transpositions', or "
            "permutations, or None for all elements"
        )
    asked = [_permutation("generators", one) for one in generators]
    if outside := [one for one in asked if one not in elements]:
        raise ValueError(f"generators: {outside[0]} is not in the group")
    if not asked:
        raise ValueError("generators: got none; at least one is needed")
    return tuple(map(elements.index, asked)), f"_{len(asked)}_generators"


# -- The task ------------------------------------------------------------------------


@factory
def _word_problem(words: _Words) -> Task:
    return Task(
        name=words.name,
        input_size=len(words.generators),
        output_size=len(words.elements),
        answers="every_step",
        sample=sampler(partial(_draw, words), shortest=1),
        loss=losses.cross_entropy,
        accuracy=losses.accuracy,
        floor=partial(floor, words),
        plateaus=partial(plateaus, words),
        correct=losses.all_right,
    )


def floor(words: _Words, length: int) -> float:
    """Returns the entropy, in nats, of what was before the element that is seen."""
    return _entropy(_laws(words, length)[:-1].mean(0))


def plateaus(words: _Words, length: int) -> Mapping[str, float]:
    """Returns the loss of who sees the last two."""
    if length == 1:
        return {}
    before = _entropy(_laws(words, length)[:-2].mean(0))
    return {"the last two": (1 - 1 / length) * before}


def _entropy(chances: np.ndarray) -> float:
    chances = chances[chances > 0]
    return float(-np.sum(chances * np.log(chances)))


def _laws(words: _Words, length: int) -> np.ndarray:
    """Returns ν_0 ... ν_length, one row each."""
    law = np.zeros(len(words.elements))
    law[0] = 1.0
    laws, table = [law], _table(words)
    for _ in range(length):
        law = np.zeros_like(law)
        np.add.at(law, table, np.broadcast_to(laws[-1] / len(table), table.shape))
        laws.append(law)
    return np.stack(laws)


def _table(words: _Words) -> np.ndarray:
    """Returns the place of s g for each generator s and element g."""
    places = {one: place for place, one in enumerate(words.elements)}
    shown = [words.elements[place] for place in words.generators]
    return np.array([[places[times(g, s)] for g in words.elements] for s in shown])


def _draw(
    words: _Words,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Int[Array, ""],
) -> Batch:
    table = jnp.asarray(_table(words), jnp.int32)
    letters = random_symbols(key, (max_length, batch_size), 0, len(table))

    def follow(element, letter):
        element = table[letter, element]
        return element, element

    start = jnp.zeros((batch_size,), jnp.int32)
    _, reached = jax.lax.scan(follow, start, letters)
    return ask_every(one_hot(letters, len(table)), reached, length)


WORD_PROBLEM_S3 = word_problem("S3")
WORD_PROBLEM_A5 = word_problem("A5")
