"""k-hop: which symbol came after this one the last time, asked k times over?

A text over n symbols has none twice in a row: the first is uniform, each later one is
uniform among the n - 1 others. A hop leads from a step to the one after the last
earlier step with the same symbol. At every step the symbol that k hops lead to from
there is asked for; class n stands for none, where a symbol on the way was new. Inputs
are one-hot symbols. The loss is the mean cross-entropy over all steps in nats. With H
the entropy,

    floor           H(answer | the symbol)
    which step      H(answer | the symbol, the step)
    one hop less    H(answer | the symbol, the step, what k - 1 hops lead to), if k > 1

A hop leads M steps back with probability p (1 - p)^(M - 1), p = 1/(n - 1), whatever
came before; at step t, from 0, the answer is none with P(C < k), C binomial (t - 1, p).

A text is right where the largest output is right at every step.

A worked example, k = 2, symbols a b c, - for none:

    shown  a b c a c b a
    asked  - - - - b - a

At the end: before, a was followed by c; before that, c was followed by a.

References:
  Sanford, Hsu & Telgarsky (2024), https://arxiv.org/abs/2402.09268: n = 4, length 100,
  with k from 0 to 16 shown before each text
  Danieli et al. (2025), ParaRNN, https://arxiv.org/abs/2510.21450: k = 1 of n = 10 and
  k = 2 of n = 5, length 100
"""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from lstm_jax.checks import check_whole
from lstm_jax.factories import factory
from lstm_jax.tasks import losses
from lstm_jax.tasks.sampling import ask_every, one_hot, random_symbols, sampler, steps
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.types import PRNGKey


def k_hop(hops: int = 2, num_symbols: int = 4) -> Task:
    """Returns the task, for lengths from hops + 2.

    Args:
      hops: k, at least 1.
      num_symbols: size n of the alphabet, at least 3: of two there is one text.

    Raises:
      TypeError: one of them is not a whole number.
      ValueError: one of them is too small.

    Example:
      >>> lj.tasks.k_hop(hops=1, num_symbols=10)
      <Task 'k_hop_1_of_10': 10 inputs, 11 outputs, answers every_step>
    """
    check_whole("hops", hops, 1)
    check_whole("num_symbols", num_symbols, 3)
    return _k_hop(hops, num_symbols)


@factory
def _k_hop(hops: int, num_symbols: int) -> Task:
    default = (hops, num_symbols) == (2, 4)
    return Task(
        name="k_hop" + ("" if default else f"_{hops}_of_{num_symbols}"),
        input_size=num_symbols,
        output_size=num_symbols + 1,
        answers="every_step",
        sample=sampler(partial(_draw, hops, num_symbols), shortest=hops + 2),
        loss=losses.cross_entropy,
        accuracy=losses.accuracy,
        floor=partial(floor, hops, num_symbols),
        plateaus=partial(plateaus, hops, num_symbols),
        correct=losses.all_right,
    )


def floor(hops: int, num_symbols: int, length: int) -> float:
    """Returns H(answer | the symbol), of a step like any other, in nats."""
    after = _reached(hops, num_symbols, length)
    same, other = after.same.mean(), (after.next + after.far).mean()
    return float(_uncertain(1, (same, 1), (other, num_symbols - 1)))


def plateaus(hops: int, num_symbols: int, length: int) -> Mapping[str, float]:
    """Returns the mean H(answer | symbol, step), and that with one hop less known."""
    after = _reached(hops, num_symbols, length)
    others = after.next + after.far, num_symbols - 1
    levels = {"which step": _uncertain(1, (after.same, 1), others)}
    if hops > 1:
        before = _reached(hops - 1, num_symbols, length)
        from_same = _uncertain(before.same, (after.next, num_symbols - 1))
        onwards = (after.same, 1), (after.far, num_symbols - 2)
        levels["one hop less"] = from_same + _uncertain(
            before.next + before.far, *onwards
        )
    return {name: float(np.mean(level)) for name, level in levels.items()}


class _Reached(NamedTuple):
    """The probabilities of what some hops reach, (length,), from every step.

    Attributes:
      same: the symbol of the step itself.
      next: another symbol, where one hop less reaches the step's own.
      far: another symbol, where one hop less reaches another too.
    """

    same: np.ndarray
    next: np.ndarray
    far: np.ndarray


def _reached(hops: int, num_symbols: int, length: int) -> _Reached:
    """Returns what so many hops reach; they may reach nothing.

    Backwards a text is as likely as forwards. Before a step with symbol b stands some
    a, and what came earlier is a walk from there. If that comes to b after M steps, a
    hop leads M steps back, to where the walk was after M - 1 steps among the n - 1
    symbols but b: at a again with probability `returned`, at any other with `arrived`.
    """
    back, others = np.arange(length), num_symbols - 1
    chance = np.where(back > 0, (1 - 1 / others) ** (back - 1.0) / others, 0)
    returned = (1 + (others - 1) * (-1 / (others - 1)) ** (back - 1.0)) / others
    arrived = (1 - returned) / (others - 1)
    after = lambda before, share: np.convolve(before, chance * share)[:length]
    none = np.zeros(length)
    reached = _Reached(np.eye(1, length)[0], none, none)  # by the steps gone back
    for _ in range(hops):
        same, next_, far = reached
        reached = _Reached(
            same=after(next_, returned) + after(far, arrived),
            next=after(same, 1),
            far=after(next_, 1 - returned) + after(far, 1 - arrived),
        )
    # From step t, up to t - 1 steps back.
    return _Reached(*(np.append(0, np.cumsum(of)[:-1]) for of in reached))


def _uncertain(total, *groups: tuple) -> np.ndarray:
    """Returns the entropy, times the total, of groups (probability, how many alike).

    What is left of the total is the probability of none.
    """
    left = total - sum(chance for chance, _ in groups)
    loss = np.zeros(np.shape(left))
    for chance, many in (*groups, (left, 1)):
        share = np.where(chance > 0, chance / np.where(total > 0, total, 1), many)
        loss = loss - chance * np.log(share / many)
    return loss


def _draw(
    hops: int,
    num_symbols: int,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Int[Array, ""],
) -> Batch:
    key_first, key_moves = jax.random.split(key)
    first = random_symbols(key_first, (1, batch_size), 0, num_symbols)
    moves = random_symbols(key_moves, (max_length - 1, batch_size), 1, num_symbols)
    text = jnp.cumsum(jnp.concatenate([first, moves]), axis=0) % num_symbols
    onwards = _one_hop(text, num_symbols)
    place = jnp.broadcast_to(steps(max_length), text.shape)
    for _ in range(hops):
        place = jnp.take_along_axis(onwards, place, axis=0)
    reached = jnp.take_along_axis(text, place, axis=0)
    answers = jnp.where(place > 0, reached, num_symbols)
    return ask_every(one_hot(text, num_symbols), answers, length)


def _one_hop(text: Int[Array, "time batch"], num_symbols: int) -> Array:
    """Returns the step that a hop from each step goes to, 0 if there is none."""
    is_shown = text[..., None] == jnp.arange(num_symbols, dtype=jnp.int32)
    shown = jnp.where(is_shown, 1 + steps(len(text))[..., None], 0)
    behind = jax.lax.cummax(shown, axis=0)  # the step behind the last of each symbol
    before = jnp.pad(behind, ((1, 0), (0, 0), (0, 0)))[:-1]
    return jnp.take_along_axis(before, text[..., None], axis=-1)[..., 0]


K_HOP = k_hop()
