"""Task: the contract of every task, written down once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
from jaxtyping import Array, Float, Int


class Batch(NamedTuple):
    """Sequences with their right answers.

    Attributes:
      inputs: (time, batch, input); steps at and beyond `lengths` are zero.
      targets: what the task asks for, (batch, ...) where it asks at the last step.
      weights: how much each answer counts in the loss, (batch,).
      lengths: (batch,), the steps that count.
    """

    inputs: Float[Array, "time batch input"]
    targets: Array
    weights: Float[Array, " batch"]
    lengths: Int[Array, " batch"]


@jax.tree_util.register_static
@dataclass(frozen=True, kw_only=True)
class Task:
    """A question about sequences, as pure functions; hashable and static like `Cell`.

    Attributes:
      name: what tables, figures and messages call it.
      input_size: features of one input.
      output_size: numbers the model answers with.
      answers: "last_step" where outputs are (batch, output).
      sample: `(key, batch_size, max_length, length=None) -> Batch`, drawn on the
        device; of the max_length steps `length` count, and it may be traced.
      sample_test: the same, from data that `sample` never draws; where data are made
        up, it is `sample` itself.
      loss: `(outputs, batch) -> scalar`, what training minimises, in nats.
      accuracy: `(outputs, batch) -> scalar` in [0, 1].
      floor: `length -> loss` of the best predictor without memory, in nats.
    """

    name: str
    input_size: int
    output_size: int
    answers: Literal["last_step"]
    sample: Callable[..., Batch]
    sample_test: Callable[..., Batch]
    loss: Callable
    accuracy: Callable
    floor: Callable
