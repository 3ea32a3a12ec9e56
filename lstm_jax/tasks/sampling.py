"""What the samplers of all tasks share: checks, lengths, padding."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from lstm_jax.checks import check_key, check_whole
from lstm_jax.factories import factory
from lstm_jax.tasks.task import Batch
from lstm_jax.types import PRNGKey, any_rank

AnyLength: TypeAlias = Any
"""An int, or an int32 scalar that may be traced."""


@factory
def sampler(
    draw: Callable[..., Batch], *, shortest: int, longest: int | None = None
) -> Callable[..., Batch]:
    """Returns `Task.sample`, which checks its arguments and calls `draw`.

    Args:
      draw: `(key, batch_size, max_length, length) -> Batch`; the length it gets is
        always an int32 scalar in [shortest, max_length].
      shortest: the least length for which the task makes sense.
      longest: the largest, if there is one.
    """

    @any_rank
    def sample(
        key: PRNGKey, batch_size: int, max_length: int, length: Any = None
    ) -> Batch:
        check_key("key", key)
        check_whole("batch_size", batch_size, 1)
        length = checked_length(max_length, length, shortest=shortest, longest=longest)
        return draw(key, batch_size, max_length, length)

    return sample


def checked_length(
    max_length: int, length: Any, *, shortest: int, longest: int | None = None
) -> Int[Array, ""]:
    """Returns the checked length, max_length if it is None; a traced one is clipped."""
    check_whole("max_length", max_length, shortest, longest)
    if isinstance(length, Tracer):
        return jnp.clip(length, shortest, max_length).astype(jnp.int32)
    if length is not None:
        check_whole("length", length, shortest, max_length)
    return jnp.asarray(max_length if length is None else length, jnp.int32)


def steps(max_length: int) -> Int[Array, "time 1"]:
    """Returns 0, 1, ..., max_length - 1 as a column, to compare with (batch,)."""
    return jnp.arange(max_length, dtype=jnp.int32)[:, None]


def random_symbols(
    key: PRNGKey, shape: tuple[int, ...], low: int, end: int
) -> Int[Array, "*shape"]:
    """Returns int32 symbols from low to end - 1."""
    return jax.random.randint(key, shape, low, end, jnp.int32)


def uniform_between(
    key: PRNGKey, batch_size: int, low: Int[Array, ""], high: Int[Array, ""]
) -> Int[Array, " batch"]:
    """Returns integers from low to high, both included; the bounds may be traced."""
    return jax.random.randint(key, (batch_size,), low, high + 1, jnp.int32)


def nominal_length(length: AnyLength) -> AnyLength:
    """Returns T where lengths vary from T to 1.1 T, of which `length` is the largest.

    T = ceil(10 length / 11): 100 for a length of 110.
    """
    return (10 * length + 10) // 11


def lengths_from_nominal(
    key: PRNGKey, batch_size: int, length: Int[Array, ""]
) -> Int[Array, " batch"]:
    """Returns lengths uniform in [T, 1.1 T], T = `nominal_length(length)`."""
    return uniform_between(key, batch_size, nominal_length(length), length)


def ask_last(
    inputs: Float[Array, "time batch input"],
    targets: Array,
    lengths: Int[Array, "*batch"],
) -> Batch:
    """Returns a batch with one answer per sequence, at its last step.

    `lengths` may be one number for all sequences.
    """
    lengths = jnp.broadcast_to(lengths, inputs.shape[1:2])
    return Batch(
        inputs=_padded(inputs, lengths),
        targets=targets,
        weights=jnp.ones(lengths.shape, inputs.dtype),
        lengths=lengths,
    )


def ask_every(
    inputs: Float[Array, "time batch input"],
    targets: Array,
    lengths: Int[Array, "*batch"],
    asked: Bool[Array, "time _"] | None = None,
) -> Batch:
    """Returns a batch with an answer at every step, or only where `asked` says so.

    `lengths` may be one number for all sequences.
    """
    lengths = jnp.broadcast_to(lengths, inputs.shape[1:2])
    counts = steps(len(inputs)) < lengths
    if asked is not None:
        counts &= asked
    return Batch(
        inputs=_padded(inputs, lengths),
        targets=jnp.where(counts, targets, 0),
        weights=counts.astype(inputs.dtype),
        lengths=lengths,
    )


def one_hot(symbols: Int[Array, "*any"], size: int) -> Float[Array, "*any size"]:
    """Returns the symbols as float32 one-hot vectors."""
    return jax.nn.one_hot(symbols, size, dtype=jnp.float32)


def _padded(
    inputs: Float[Array, "time batch input"], lengths: Int[Array, " batch"]
) -> Float[Array, "time batch input"]:
    counts = steps(len(inputs)) < lengths
    return jnp.where(counts[..., None], inputs, 0)
