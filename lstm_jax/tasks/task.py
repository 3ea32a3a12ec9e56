"""Task: the contract of every task, written down once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import jax
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int

from lstm_jax.checks import check_choice, check_function, check_type, check_whole
from lstm_jax.descriptions import Description, file_of, text_of
from lstm_jax.factories import reduced

Answers = Literal["last_step", "every_step"]
FUNCTIONS = {
    "sample": "(key, batch_size, max_length, length=None) -> Batch",
    "sample_test": "(key, batch_size, max_length, length=None) -> Batch",
    "sample_valid": "(key, batch_size, max_length, length=None) -> Batch",
    "loss": "(outputs, batch) -> scalar",
    "accuracy": "(outputs, batch) -> scalar",
    "floor": "length -> loss",
    "plateaus": "length -> {name: loss}",
    "correct": "(outputs, batch) -> (batch,) bool",
}
"""What the functions of a task take and return."""

OPTIONAL = ("correct", "sample_valid")


class Batch(NamedTuple):
    """Sequences with their right answers.

    `*scored` is (batch,) in a task that is answered at the last step, (time, batch) in
    one that is answered at every step.

    Attributes:
      inputs: (time, batch, input); steps at and beyond `lengths` are zero.
      targets: (*scored, ...), what the task asks for; where the weight is 0 it may be
        anything, NaN or -1 too. Those of this library are zero beyond `lengths`.
      weights: (*scored,), how much each answer counts in the loss; 0 where nothing is
        asked, and beyond `lengths`.
      lengths: (batch,), the steps that count.
    """

    inputs: Float[Array, "time batch input"]
    targets: Array
    weights: Float[Array, "*scored batch"]
    lengths: Int[Array, " batch"]


class Pulled(NamedTuple):
    """One batch that came from elsewhere: `Task.sample` of it alone, and its sizes."""

    sample: Callable[..., Batch]
    batch_size: int
    length: int


def no_plateaus(length: int) -> Mapping[str, float]:
    """Returns {}: nothing between the floor and the solution is known."""
    del length
    return {}


@dataclass(frozen=True, kw_only=True)
class Task:
    """A question about sequences, as pure functions; hashable and static like `Cell`.

    Only one of stored data has leaves, the data (`lj.tasks.from_arrays`, from_windows,
    character_language): under a `jax.jit` of yours it is an argument, lest the data
    become a constant.

    Losses are cross-entropies in nats, or mean squared errors in the squared unit of
    the answer; each task says which. All of `loss`, `accuracy` and `correct` take
    outputs (*scored, output_size), see `Batch`, and ignore answers of weight 0.

    Attributes:
      name: what tables, figures and messages call it.
      input_size: features of one input.
      output_size: numbers the model answers with.
      answers: "last_step" where outputs are (batch, output), read at each sequence's
        last step; "every_step" where they are (time, batch, output).
      sample: `(key, batch_size, max_length, length=None) -> Batch`, drawn on the
        device; of the max_length steps `length` count, at most, where lengths vary
        within a batch. It may be traced; then it is clipped to what the task allows.
      sample_test: the same, from data that `sample` never draws; `sample` itself if not
        given, for data that are made up.
      sample_valid: the same, from data that neither of them draws, to choose among
        trained networks; `sample` itself for data that are made up, None where no part
        of stored data is kept for it.
      loss: `(outputs, batch) -> scalar`, what training minimises.
      accuracy: `(outputs, batch) -> scalar` in [0, 1], of what needs memory.
      floor: `length -> loss` of the best predictor without memory.
      plateaus: `length -> {what is known: loss}` of predictors that know a part, so
        that a training curve can be read; the last one, "everything", is there where
        even the best predictor loses something.
      correct: `(outputs, batch) -> (batch,) bool`, which sequences are right by the
        criterion the task was published with; None in a task without one.
      batches: of a task whose batches come from elsewhere (`lj.tasks.from_batches`),
        what `lj.train` pulls, each a `Pulled`; None in all others.

    Raises:
      TypeError: a field is of the wrong kind, such as a size of 2.5.
      ValueError: a size is below 1, or `answers` is neither of the two.
    """

    name: str
    input_size: int
    output_size: int
    answers: Answers
    sample: Callable[..., Batch]
    sample_test: Callable[..., Batch] = None  # pyright: ignore[reportAssignmentType]
    sample_valid: Callable[..., Batch] | None = None
    loss: Callable
    accuracy: Callable
    floor: Callable
    plateaus: Callable = no_plateaus
    correct: Callable | None = None
    batches: Iterator[Pulled] | None = None

    def __post_init__(self) -> None:
        """Checks the fields; the batches of a task are checked in training."""
        if self.sample_test is None:
            object.__setattr__(self, "sample_test", self.sample)
        if self.sample_valid is None and self.sample_test is self.sample:
            object.__setattr__(self, "sample_valid", self.sample)
        check_type("name", self.name, str, "a string")
        check_whole("input_size", self.input_size, 1)
        check_whole("output_size", self.output_size, 1)
        check_choice("answers", self.answers, get_args(Answers))
        for name, signature in FUNCTIONS.items():
            if name not in OPTIONAL or getattr(self, name) is not None:
                check_function(name, getattr(self, name), signature)

    def __repr__(self) -> str:
        """Returns the name, and the sizes."""
        sizes = f"{self.input_size} inputs, {self.output_size} outputs"
        return f"<Task {self.name!r}: {sizes}, answers {self.answers}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the calls that made the functions; equal after."""
        return reduced(self)


class _Part(NamedTuple):
    """Stands for a function with data, a `jax.tree_util.Partial`."""

    position: int


def _flatten(task: Task) -> tuple[list[Partial], tuple[tuple[str, Any], ...]]:
    """Returns the functions with data, each once, and all that is static."""
    fields = vars(task)
    parts = {id(f): f for f in fields.values() if isinstance(f, Partial)}
    places = {key: _Part(position) for position, key in enumerate(parts)}
    return [*parts.values()], tuple(
        (n, places.get(id(f), f)) for n, f in fields.items()
    )


def _unflatten(fields: tuple[tuple[str, Any], ...], parts: Sequence[Partial]) -> Task:
    """Returns a task whose data may be anything, such as shapes; nothing is checked."""
    task = object.__new__(Task)
    for name, field in fields:
        part = parts[field.position] if isinstance(field, _Part) else field
        object.__setattr__(task, name, part)
    return task


jax.tree_util.register_pytree_node(Task, _flatten, _unflatten)


def _description(task: Task) -> str:
    """Returns what its file says: the setting, a worked example, the source."""
    return text_of(file_of(task.floor))


Task.__doc__ = Description(Task.__doc__, _description)  # pyright: ignore


def check_task(task: Any) -> None:
    """Refuses anything but a task, such as the name of one."""
    wanted = "an lj.Task, such as lj.TASKS['adding']"
    check_type("task", task, Task, wanted)
