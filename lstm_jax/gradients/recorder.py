"""A recorder: the gradient's curve every n updates, inside a compiled training loop.

    watch = recorder(cell, xs, loss_fn, every=50, capacity=20)
    recording = watch.init(params)
    for step in range(1000):            # or lax.scan, or fori_loop
        params = update(params)
        recording = watch.update(recording, step, params)

Nothing leaves the device until the recording is read.
"""

from collections.abc import Callable
from typing import NamedTuple, Unpack

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from lstm_jax.cells.cell import Cell
from lstm_jax.checks import check_whole
from lstm_jax.gradients.carry import joint_log_norms, log_gradient_norms
from lstm_jax.gradients.loss import LossFn, check_reading
from lstm_jax.gradients.state import entering_carries
from lstm_jax.masking import Masks, prepare
from lstm_jax.types import Params, Sequences


class Recording(NamedTuple):
    """The curves recorded so far: a picture over training time and lag.

    Attributes:
      steps: the update of each curve, -1 where none is recorded yet.
      log_norms: of the whole carry, (capacity, time, *batch); NaN where there are none.
      seen: how many curves there were; those beyond the capacity are dropped.
    """

    steps: Int[Array, " capacity"]
    log_norms: Float[Array, "capacity time *batch"]
    seen: Int[Array, ""]


class Recorder(NamedTuple):
    """A pair of pure functions.

    Attributes:
      init: `(params) -> Recording`, empty.
      update: `(recording, step, params) -> Recording`; measures if step is a multiple
        of `every`, and otherwise costs nothing. Under `vmap` over different steps
        `lax.cond` becomes a select, and every step pays.
    """

    init: Callable[[Params], Recording]
    update: Callable[[Recording, ArrayLike, Params], Recording]


def recorder(
    cell: Cell,
    xs: Sequences,
    loss_fn: LossFn,
    *,
    every: int,
    capacity: int,
    **masks: Unpack[Masks],
) -> Recorder:
    """Returns a recorder of `log_gradient_norms`, all leaves of the carry together.

    Args:
      cell: any `Cell`.
      xs: (time, *batch, input), the same at every record.
      loss_fn: maps ys to a real scalar.
      every: updates between two records.
      capacity: room for this many records.
      **masks: lengths, mask, resets, reverse, as for `unroll`.

    Raises:
      ValueError: `every` or `capacity` is below 1; or later, in `init`, the loss reads
        only the padding of a sequence.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = jnp.ones((5, 2, 3))
      >>> last = lambda ys: ys[-1].sum()
      >>> lj.gradients.recorder(lj.LSTM, xs, last, every=10, capacity=3)._fields
      ('init', 'update')
    """
    check_whole("every", every, 1)
    check_whole("capacity", capacity, 1)

    def curve(params):
        norms = log_gradient_norms(cell, params, xs, loss_fn, **masks)
        return joint_log_norms(norms)

    def init(params):
        if masks:  # under `jit`, where `curve` runs, this cannot be checked
            steps = prepare(cell, params, xs, **masks)
            _, ys = entering_carries(steps)
            check_reading(loss_fn, ys, steps.inputs.counts)
        one = jax.eval_shape(curve, params)
        return Recording(
            steps=jnp.full((capacity,), -1, jnp.int32),
            log_norms=jnp.full((capacity, *one.shape), jnp.nan, one.dtype),
            seen=jnp.zeros((), jnp.int32),
        )

    def record(recording, step, params):
        at = recording.seen
        return Recording(
            steps=recording.steps.at[at].set(step, mode="drop"),
            log_norms=recording.log_norms.at[at].set(curve(params), mode="drop"),
            seen=at + 1,
        )

    def update(recording, step, params):
        step = jnp.asarray(step, jnp.int32)
        return jax.lax.cond(
            step % every == 0,
            record,
            lambda recording, step, params: recording,
            recording,
            step,
            params,
        )

    return Recorder(init=init, update=update)
