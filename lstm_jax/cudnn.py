"""The LSTM by cuDNN: a layer over a whole sequence in one call of NVIDIA's library.

`jax.experimental.rnn` makes the call. It reads sequences from their first step on and
weights as one vector, takes each sequence's length, at least 1, and returns h of every
step and c of the last. The rules for time of `masking` are kept around it: a step
beyond `lengths` reads zeros and shows zeros, a sequence without steps keeps its carry,
and in reverse each sequence is turned within its length.

Derivatives are those of `jax.experimental.rnn`: reverse mode, once, without `vmap`.

References:
  Appleyard et al. (2016), Optimizing performance of recurrent neural networks on GPUs,
  https://arxiv.org/abs/1604.01946
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lstm_jax.cells.cell import Cell
from lstm_jax.cells.lstm import LSTM, LSTMCarry, LSTMParams
from lstm_jax.masking import Masks, Steps, over_time

INSTEAD = "implementation='auto' runs it by the engine"


def check_cudnn(
    cell: Cell, params: Any, xs: Any, masks: Masks, checkpoint_every: int | None
) -> None:
    """Refuses what cuDNN has not: other cells, dtypes, masks and devices."""
    if cell.step is not LSTM.step:
        raise ValueError(
            f"implementation: got 'cudnn'; it has the steps of lj.LSTM, and not those "
            f"of {cell.name!r}: {INSTEAD}"
        )
    for name, tree in {"params": params, "xs": xs}.items():
        for leaf in jax.tree.leaves(tree):
            if jnp.result_type(leaf) != jnp.float32:
                raise TypeError(
                    f"{name}: got {jnp.result_type(leaf)}; implementation='cudnn' "
                    f"takes float32: {INSTEAD}"
                )
    given = {**masks, "checkpoint_every": checkpoint_every}
    for name in ("mask", "resets", "checkpoint_every"):
        if given.get(name) is not None:
            raise ValueError(
                f"{name}: implementation='cudnn' has none, only lengths: {INSTEAD}"
            )
    if jax.default_backend() != "gpu":
        raise ValueError(
            f"implementation: got 'cudnn'; it needs an NVIDIA GPU, and JAX's default "
            f"device is a {jax.default_backend()}: {INSTEAD}"
        )


def by_jax(*arguments: Any) -> tuple[Array, Array, Array]:
    """Returns `jax.experimental.rnn.lstm(*arguments)`: ys, h and c."""
    from jax.experimental import rnn  # an experiment of JAX may go: needed here alone

    return rnn.lstm(*arguments)


# Compiled once per shapes, also without a `jit` around it.
@partial(jax.jit, static_argnums=1)
def run_layer(steps: Steps, layer: Callable = by_jax) -> tuple[LSTMCarry, Array]:
    """Returns the carry that leaves the last step run, and ys, as `unroll` does.

    Args:
      steps: a sequence of the LSTM, all of it counted but what lies beyond lengths.
      layer: makes ys, h and c from what `jax.experimental.rnn.lstm` takes.
    """
    params, time = steps.shared.params, steps.time
    if 0 in steps.batch_shape:
        return over_time(steps, steps.step, steps.inputs)
    lengths = _lengths(steps)
    runs = lengths > 0
    xs = steps.inputs.x.reshape(time, len(lengths), -1)
    turned = partial(_turned, lengths) if steps.reverse else lambda rows: rows
    entering = jax.tree.map(lambda leaf: leaf.reshape(len(lengths), -1), steps.carry)
    shown = jax.tree.map(lambda leaf: jnp.where(runs[:, None], leaf, 0), entering)
    left, ys = _called(layer, params, turned(xs), shown, jnp.maximum(lengths, 1))
    ys = turned(ys)
    if steps.inputs.counts is not None:
        counts = jnp.arange(time, dtype=lengths.dtype)[:, None] < lengths
        ys = jnp.where(counts[..., None], ys, 0)
    leaving = jax.tree.map(partial(jnp.where, runs[:, None]), left, entering)
    shape = (*steps.batch_shape, -1)
    return (
        jax.tree.map(lambda leaf: leaf.reshape(shape), leaving),
        ys.reshape(time, *shape),
    )


def _called(
    layer: Callable, params: LSTMParams, xs: Any, carry: LSTMCarry, lengths: Any
) -> tuple[LSTMCarry, Array]:
    """Returns the carry and ys of one layer, in one direction, without dropout."""
    sizes = (len(params.w_ih), len(params.w_hh), 1, 0.0, False)
    h, c = (leaf[None] for leaf in carry)
    ys, h, c = layer(xs.swapaxes(0, 1), h, c, packed(params), lengths, *sizes)
    return LSTMCarry(h=h[0], c=c[0]), ys.swapaxes(0, 1)


def packed(params: LSTMParams) -> Float[Array, " weights"]:
    """Returns W_ih, W_hh and both biases, the second of zeros, in one vector.

    A matrix lies row by row, a row for each unit of a gate; the gates are i, f, g, o.
    """
    parts = (params.w_ih.T, params.w_hh.T, params.b, jnp.zeros_like(params.b))
    return jnp.concatenate([jnp.ravel(part) for part in parts])


def _lengths(steps: Steps) -> Int[Array, " elements"]:
    """Returns how many steps count, for the elements of the batch in a row."""
    counts = steps.inputs.counts
    if counts is None:
        counts = jnp.ones((steps.time, *steps.batch_shape), bool)
    return counts.reshape(steps.time, -1).sum(0, dtype=jnp.int32)


def _turned(lengths: Int[Array, " elements"], rows: Any) -> Any:
    """Returns rows (time, elements, ...), each element's backwards in its length."""
    step = jnp.arange(len(rows), dtype=lengths.dtype)[:, None]
    source = jnp.where(step < lengths, lengths - 1 - step, step)
    return jnp.take_along_axis(rows, source[..., None], axis=0)
