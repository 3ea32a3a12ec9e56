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
from dataclasses import replace
from functools import partial
from typing import Any, Unpack

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax.cells.cell import Cell
from lstm_jax.gradients.adjoint import StepBack, WayBack, run_back, way_back
from lstm_jax.gradients.copies import Edges, first_copy
from lstm_jax.gradients.edges import edges_of, steps_by_edge
from lstm_jax.gradients.exponents import scaled
from lstm_jax.gradients.exponents.pullback import wide_vjp
from lstm_jax.gradients.exponents.scaled import Scaled
from lstm_jax.gradients.exponents.wide import per_element
from lstm_jax.gradients.loss import LossFn
from lstm_jax.gradients.state import smooth_leaves, smooth_structure, with_smooth_leaves
from lstm_jax.masking import Masks, Steps, prepare
from lstm_jax.types import Carry, Params, Sequences, at_least_float32

Roads = dict[str, Carry]
"""What came along each road, by the name of its first edge."""

Shares = dict[str, Float[Array, " time *batch"]]
"""A share of a whole for each road."""


def road_gradients(
    cell: Cell,
    params: Params,
    xs: Sequences,
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
    return _along_roads(cell, params, xs, loss_fn, carry, masks, _gradients)


def _gradients(roads: list[Scaled], at_t: StepBack) -> Carry:
    values = [_aligned(road, jnp.int32(0)) for road in roads]
    return smooth_structure(at_t.entering, values)


def log_road_norms(
    cell: Cell,
    params: Params,
    xs: Sequences,
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
    return _along_roads(cell, params, xs, loss_fn, carry, masks, _log_norms)


def _log_norms(roads: list[Scaled], at_t: StepBack) -> Carry:
    norms = [scaled.log_norm(road) for road in roads]
    return smooth_structure(at_t.entering, norms)


def road_shares(
    cell: Cell,
    params: Params,
    xs: Sequences,
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
    return _along_roads(cell, params, xs, loss_fn, carry, masks, _shares)


def _shares(roads: list[Scaled], at_t: StepBack) -> Float[Array, "*batch road"]:
    exponents = jnp.stack([adjoint.exponent for adjoint in at_t.adjoints])
    top = jnp.max(exponents, axis=0)[..., None]
    whole = [_aligned(_of_one_road(a), top) for a in at_t.adjoints]
    parts = [_aligned(road, top) for road in roads]
    return _inner(parts, whole, top.ndim) / _inner(whole, whole, top.ndim)


def _along_roads(
    cell: Cell,
    params: Params,
    xs: Sequences,
    loss_fn: LossFn,
    carry: Carry | None,
    masks: Masks,
    observe: Callable[[list[Scaled], StepBack], Any],
) -> dict[str, Any]:
    """Returns what `observe` makes of every step, by the name of the road.

    `observe` gets the roads of every smooth leaf of the carry, (*batch, road, ...), and
    returns leaves with the same first axes.
    """
    by_edge = steps_by_edge(cell, params, xs, carry, masks)
    way = way_back(prepare(cell, params, xs, carry, **masks), loss_fn)
    observed = _observed(way, by_edge, edges_of(cell), observe)
    axis = 1 + len(way.steps.batch_shape)
    return {
        name: jax.tree.map(lambda leaf, k=k: jnp.take(leaf, k, axis), observed)
        for k, name in enumerate(edges_of(cell).names)
    }


@partial(jax.jit, static_argnums=(2, 3))
def _observed(way: WayBack, by_edge: Steps, edges: Edges, observe: Callable) -> Any:
    def observe_roads(steps, at_t):
        idle = steps.step is way.steps.idle
        copied = replace(by_edge, step=by_edge.idle) if idle else by_edge
        return observe(_roads_through(copied, edges, at_t), at_t)

    return run_back(way, observe_roads)


def _roads_through(by_edge: Steps, edges: Edges, at_t: StepBack) -> list[Scaled]:
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
        carries, y = by_edge.step(by_edge.shared, copies, at_t.inputs)
        return [*smooth_leaves(first_copy(edges, carries)), y]

    side_by_side = [
        jnp.stack([leaf] * len(edges.names), axis)
        for leaf in smooth_leaves(at_t.entering)
    ]
    _, pullback = wide_vjp(outputs, side_by_side)
    return [per_element(leaf, axis + 1) for leaf in pullback(at_t.leaving)]


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
