"""A task of batches that come from elsewhere: a torch DataLoader, grain, a generator.

`lj.train` pulls a batch before each update, and a compiled update takes it as an
argument. Where the batches come from decides what they are: no key of ours does, and a
second training on what is left of a generator sees other ones. The floor is the loss of
the best constant on the first batch.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Any, get_args

from jax.tree_util import Partial

from lstm_jax.checks import check_choice, check_key, check_type, check_whole, shown
from lstm_jax.tasks import stored
from lstm_jax.tasks.examples import Examples, asked, batch_of, examples_of, on_device
from lstm_jax.tasks.sampling import checked_length
from lstm_jax.tasks.task import Answers, Batch, Pulled, Task
from lstm_jax.types import PRNGKey

WANTED = "(inputs, targets) or (inputs, targets, lengths)"


def from_batches(
    batches: Iterable[Any],
    *,
    test: Any = None,
    num_classes: int | None = None,
    answers: Answers = "last_step",
    accuracy: Callable | None = None,
    name: str = "mine",
) -> Task:
    """Returns the task of batches that `lj.train` pulls, one for each update.

    Each is (inputs, targets) or (inputs, targets, lengths), arrays or torch tensors:
    inputs (time, batch, input), targets and lengths as for `from_arrays`. Batches of
    another time or size are compiled anew. When they end they are begun again, unless
    they are an iterator; then training ends.

    `lj.train` with `batch_size` and `length` of the first batch takes it, with or
    without `on_chunk`; under `jit` or `vmap`, `lj.train_many` and `runs.program` refuse
    it, and no resumed run sees the same batches again.

    Args:
      batches: anything that `iter` takes.
      test: one more such batch, which `lj.evaluate` takes whole; without it
        `lj.evaluate` is refused.
      num_classes: of integer targets, for cross-entropy; numbers and a squared error if
        not given.
      answers: "last_step" or "every_step".
      accuracy: `(outputs, batch) -> scalar`; as for `from_arrays` if not given.
      name: what tables and messages call it.

    Raises:
      TypeError: `batches` can't be iterated over, or a batch is something else.
      ValueError: there is none, or arrays do not fit one another.

    Example:
      >>> import optax
      >>> def batches():
      ...     for seed in range(5):
      ...         inputs = jax.random.normal(jax.random.key(seed), (6, 4, 2))
      ...         yield inputs, inputs.sum(axis=(0, 2))
      >>> task = lj.tasks.from_batches(batches())
      >>> state, history = lj.train(
      ...     jax.random.key(0), lj.GRU, task, optax.adam(1e-2),
      ...     hidden_size=4, num_steps=100, batch_size=4, length=6,
      ... )
      >>> history.loss.shape
      (5,)
    """
    check_choice("answers", answers, get_args(Answers))
    check_type("batches", batches, Iterable, "an iterable of batches, as a DataLoader")
    if num_classes is not None:
        check_whole("num_classes", num_classes, 2)
    loss = "squared_error" if num_classes is None else "cross_entropy"
    read = partial(_read, every=answers == "every_step")
    left = iter(batches)
    if (first := next(left, None)) is None:
        raise ValueError("batches: got none; there must be at least one")
    seen = read(first)
    again = () if left is batches else batches
    return Task(
        name=name,
        input_size=seen.inputs.shape[2],
        output_size=num_classes or stored.output_size(loss, asked(seen)),
        answers=answers,
        sample=_giving(seen),
        sample_test=partial(_no_test, name) if test is None else _giving(read(test)),
        batches=map(_pulled, map(read, chain([first], left, _endless(again)))),
        **stored.scores_of(loss, asked(seen), accuracy),
    )


def _endless(batches: Iterable[Any]) -> Iterator[Any]:
    """Gives the batches over and over, as long as there are any."""
    found = True
    while found:
        found = False
        for batch in batches:
            found = True
            yield batch


def _read(batch: Any, *, every: bool) -> Examples:
    """Returns the arrays of a batch; refuses anything else."""
    if isinstance(batch, Batch):
        inputs, targets, weights, lengths = batch
    elif isinstance(batch, tuple | list) and len(batch) in (2, 3):
        inputs, targets, lengths, weights = (*batch, None, None)[:4]
    else:
        raise TypeError(f"batches: got {shown(batch)}; each must be {WANTED}")
    return examples_of(inputs, targets, lengths, weights, every=every)


def _giving(examples: Examples) -> Partial:
    return Partial(_the_batch, on_device(examples))


def _pulled(examples: Examples) -> Pulled:
    time, size, _ = examples.inputs.shape
    return Pulled(_giving(examples), size, time)


def _the_batch(
    data: Examples,
    key: PRNGKey,
    batch_size: int,
    max_length: int,
    length: Any = None,
) -> Batch:
    """Returns the batch that was pulled, whatever the key."""
    check_key("key", key)
    time, size, _ = data.inputs.shape
    check_whole("batch_size", batch_size, size, size, "as the batches have")
    checked_length(max_length, length, shortest=time, longest=time)
    return batch_of(data)


def _no_test(name: str, *_: Any) -> Batch:
    raise ValueError(
        f"task: got {name!r} of batches without a test; it must have one to be "
        "evaluated: lj.tasks.from_batches(batches, test=(inputs, targets))"
    )
