"""Task: the contract of every task, written down once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
from jaxtyping import Array, Float, Int


class Batch(NamedTuple):
    """Sequences with their right answers.

    `*asked` is (batch,) in a task that asks at the last step, (time, batch) in one that
    asks at every step.

    Attributes:
      inputs: (time, batch, input); steps at and beyond `lengths` are zero.
      targets: (*asked, ...), what the task asks for; where the weight is 0 it may be
        anything, NaN or -1 too. Those of this library are zero beyond `lengths`.
      weights: (*asked,), how much each answer counts in the loss; 0 where nothing is
        asked, and beyond `lengths`.
      lengths: (batch,), the steps that count.
    """

    inputs: Float[Array, "time batch input"]
    targets: Array
    weights: Float[Array, "*asked batch"]
    lengths: Int[Array, " batch"]


def no_plateaus(length: int) -> Mapping[str, float]:
    """Returns {}: nothing between the floor and the solution is known."""
    del length
    return {}


@jax.tree_util.register_static
@dataclass(frozen=True, kw_only=True)
class Task:
    """A question about sequences, as pure functions; hashable and static like `Cell`.

    Losses are cross-entropies in nats, or mean squared errors in the squared unit of
    the answer; each task says which. All of `loss`, `accuracy` and `correct` take
    outputs (*asked, output_size), see `Batch`, and never look at an answer of weight 0.

    Attributes:
      name: what tables, figures and messages call it.
      input_size: features of one input.
      output_size: numbers the model answers with.
      answers: "last_step" where outputs are (batch, output), read at each sequence's
        last step; "every_step" where they are (time, batch, output).
      sample: `(key, batch_size, max_length, length=None) -> Batch`, drawn on the
        device; of the max_length steps `length` count, at most, where lengths vary
        within a batch. It may be traced; then it is clipped to what the task allows.
      sample_test: the same, from data that `sample` never draws; where data are made
        up, it is `sample` itself.
      loss: `(outputs, batch) -> scalar`, what training minimises.
      accuracy: `(outputs, batch) -> scalar` in [0, 1], of what needs memory.
      floor: `length -> loss` of the best predictor without memory.
      plateaus: `length -> {what is known: loss}` of predictors that know a part, so
        that a training curve can be read; the last one, "everything", is there where
        even the best predictor loses something.
      correct: `(outputs, batch) -> (batch,) bool`, which sequences are right by the
        criterion the task was published with; None in a task without one.
    """

    name: str
    input_size: int
    output_size: int
    answers: Literal["last_step", "every_step"]
    sample: Callable[..., Batch]
    sample_test: Callable[..., Batch]
    loss: Callable
    accuracy: Callable
    floor: Callable
    plateaus: Callable = no_plateaus
    correct: Callable | None = None
