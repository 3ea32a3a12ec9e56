"""Which road the gradient takes through a step, by the first edge that it crosses.

The Jacobian of a step is the exact sum of parts, one for every edge that leads out of
the carry that enters (`lstm_jax.gradients.copies`): the cell edge, which keeps memory,
and the gates. With a_{t+1} the adjoint of the carry that leaves step t, road k at t is

    road_t^k = J_t^kᵀ a_{t+1} + C_t^kᵀ dL/dy_t        J_t = Σ_k J_t^k, C_t = Σ_k C_t^k

What the loss reads from the output of step t itself crosses the same edges on its way
to the carry that enters, so it is part of the same roads, and

    Σ_k road_t^k = a_t

exactly, the result of `carry_gradients`. A step that does not count keeps its carry:
all of its adjoint takes the first road, in a stack the first of each layer. Entries and
lags are as for `carry_gradients`.
"""

from collections.abc import Callable
from typing import Any, Unpack

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from lstm_jax.cells.cell import Cell
from lstm_jax.gradients import scaled
from lstm_jax.gradients.adjoint import StepBack, pull, run_back
from lstm_jax.gradients.copies import Edges, first_copy
from lstm_jax.gradients.edges import cell_of_copies, edges_of
from lstm_jax.gradients.reading import LossFn, output_gradients
from lstm_jax.gradients.scaled import Scaled
from lstm_jax.gradients.smooth import (
    entering_carries,
    smooth_leaves,
    smooth_structure,
    with_smooth_leaves,
)
from lstm_jax.steps import Masks, Steps, prepare
from lstm_jax.types import Carry, Params, at_least_float32

Roads = dict[str, Carry]
"""What came along each road, by the name of its first edge."""

Shares = dict[str, Float[Array, " time *batch"]]
"""A share of a whole for each road."""


def road_gradients(
    cell: Cell,
    params: Params,
    xs: ArrayLike,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Roads:
    """Returns the parts of dL/d(carry that enters step t), one for every road.

    Arguments and errors as for `carry_gradients`; right as long as the gradients do not
    underflow. Products run at the highest matmul precision.

    Args:
      cell: one that has roads (`edges_of`).
      params: what `cell.init` returned.
      xs: (time, *batch, input), floating.
      loss_fn: maps ys (time, *batch, output) to a real scalar.
      carry: what enters the first step; `cell.init_carry` by default.
      **masks: lengths, mask, resets, reverse, as for `unroll`.

    Returns:
      By the name of the road, the structure of the carry with leaves (time, *batch,
      ...); their sum is `carry_gradients`.

    Raises:
      ValueError: the edges of the cell are not known, or as for `carry_gradients`.
    """

    def gradients(roads, at_t):
        values = [_aligned(road, jnp.int32(0)) for road in roads]
        return smooth_structure(at_t.entering, values)

    return _along_roads(cell, params, xs, loss_fn, carry, masks, gradients)


def log_road_norms(
    cell: Cell,
    params: Params,
    xs: ArrayLike,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Roads:
    """Returns ln ||road_t^k|| for every t, also where the norm is 1e-3000.

    Arguments and errors as for `road_gradients`. Norms of roads do not add up to the
    norm of their sum; `road_shares` do.

    Returns:
      By the name of the road, the structure of the carry with leaves (time, *batch).
    """

    def log_norms(roads, at_t):
        norms = [scaled.log_norm(road) for road in roads]
        return smooth_structure(at_t.entering, norms)

    return _along_roads(cell, params, xs, loss_fn, carry, masks, log_norms)


def road_shares(
    cell: Cell,
    params: Params,
    xs: ArrayLike,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Shares:
    """Returns the share of every road in the whole, <road_t^k, a_t> / ||a_t||².

    The inner product runs over all leaves of the carry. At every t the shares add up to
    1; one is negative where its road works against the others. Arguments and errors as
    for `road_gradients`; shares are right where the gradients themselves underflow.

    Returns:
      By the name of the road, (time, *batch); NaN where a_t is zero.
    """

    def shares(roads, at_t):
        exponents = jnp.stack([adjoint.exponent for adjoint in at_t.adjoints])
        top = jnp.max(exponents, axis=0)[..., None]
        whole = [_aligned(_of_one_road(a), top) for a in at_t.adjoints]
        parts = [_aligned(road, top) for road in roads]
        return _inner(parts, whole, top.ndim) / _inner(whole, whole, top.ndim)

    return _along_roads(cell, params, xs, loss_fn, carry, masks, shares)


def _along_roads(
    cell: Cell,
    params: Params,
    xs: ArrayLike,
    loss_fn: LossFn,
    carry: Carry | None,
    masks: Masks,
    observe: Callable[[list[Scaled], StepBack], Any],
) -> dict[str, Any]:
    """Returns what `observe` makes of every step, by the name of the road.

    `observe` gets the roads of every smooth leaf of the carry, (*batch, road, ...), and
    returns leaves with the same first axes.
    """
    edges = edges_of(cell)
    steps = prepare(cell, params, xs, carry, **masks)
    copies = None if carry is None else dict.fromkeys(edges.names, carry)
    by_edge = prepare(cell_of_copies(cell), params, xs, copies, **masks)

    def observe_roads(at_t):
        return observe(_roads_through(by_edge, edges, params, at_t), at_t)

    with jax.default_matmul_precision("highest"):
        entering, ys = entering_carries(steps, params)
        dys = output_gradients(loss_fn, ys, steps.inputs.counts)
        observed = run_back(steps, params, entering, dys, observe_roads)
    axis = 1 + len(steps.batch_shape)
    return {
        name: jax.tree.map(lambda leaf, k=k: jnp.take(leaf, k, axis), observed)
        for k, name in enumerate(edges.names)
    }


def _roads_through(
    by_edge: Steps, edges: Edges, params: Params, at_t: StepBack
) -> list[Scaled]:
    """Returns what comes back to the copies of each leaf, (*batch, road, ...).

    The copies lie side by side and are pulled back together: at one step no road needs
    an exponent of its own until its norm is taken.
    """
    axis = len(by_edge.batch_shape)

    def outputs(leaves):
        copies = {
            name: with_smooth_leaves(
                at_t.entering, [jnp.take(leaf, k, axis) for leaf in leaves]
            )
            for k, name in enumerate(edges.names)
        }
        carries, y = by_edge.step(params, copies, at_t.inputs)
        return [*smooth_leaves(first_copy(edges, carries)), y]

    side_by_side = [
        jnp.stack([leaf] * len(edges.names), axis)
        for leaf in smooth_leaves(at_t.entering)
    ]
    together = pull(outputs, side_by_side, at_t.leaving)
    return [_with_own_exponents(leaf, len(edges.names)) for leaf in together]


def _with_own_exponents(value: Scaled, num_roads: int) -> Scaled:
    """Returns values (*batch, road, ...) with an exponent for every road."""
    shape = (*value.exponent.shape, num_roads)
    exponents = jnp.broadcast_to(value.exponent[..., None], shape)
    return scaled.rescale(value.mantissa, exponents)


def _of_one_road(value: Scaled) -> Scaled:
    """Returns values (*batch, ...) as (*batch, 1, ...)."""
    axis = value.exponent.ndim
    return Scaled(jnp.expand_dims(value.mantissa, axis), value.exponent[..., None])


def _aligned(value: Scaled, exponent: Array) -> Array:
    """Returns value / 2**exponent."""
    return scaled.times_power(value.mantissa, value.exponent - exponent)


def _inner(a: list[Array], b: list[Array], first: int) -> Float[Array, "*batch road"]:
    """Returns the real inner product over all leaves, over their axes from `first`."""

    def of_leaf(a, b):
        dtype = at_least_float32(a.dtype)
        products = jnp.real(jnp.conj(a.astype(dtype)) * b.astype(dtype))
        return jnp.sum(products, axis=tuple(range(first, products.ndim)))

    return sum(map(of_leaf, a[1:], b[1:]), start=of_leaf(a[0], b[0]))
