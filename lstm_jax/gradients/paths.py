"""Which path the gradient takes through a step, by the place where the carry is read.

A step reads its carry in several places: in every gate, and in the part that is kept.
They are found in the traced step (`lstm_jax.engine.reads`), whoever wrote it. The
derivative of the step with respect to the carry as ONE place reads it is a path, and

    J_t = Σ_k J_t^k,     C_t = Σ_k C_t^k

exactly, J_t and C_t the Jacobians of the carry and of y that leave step t. With a_{t+1}
the adjoint of the carry that leaves, the part of the gradient along path k is

    a_t^k = J_t^kᵀ a_{t+1} + C_t^kᵀ dL/dy_t,     Σ_k a_t^k = a_t

a_t the result of `carry_gradients`: what the loss reads from the output of step t takes
the same paths to the carry that enters. A step that does not count keeps its carry: all
of its adjoint takes the first path (in a stack, the first of each layer). Entries and
lags are as for `carry_gradients`.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax.cells.cell import Cell
from lstm_jax.engine.reads import run_by_gate
from lstm_jax.engine.scanning import first_entries, scan
from lstm_jax.gradients.adjoint import StepBack, WayBack, run_back, way_back
from lstm_jax.gradients.exponents import scaled
from lstm_jax.gradients.exponents.pullback import wide_vjp
from lstm_jax.gradients.exponents.scaled import Scaled
from lstm_jax.gradients.exponents.slopes import with_exact_slopes
from lstm_jax.gradients.exponents.wide import per_element
from lstm_jax.gradients.loss import LossFn
from lstm_jax.gradients.state import (
    entering_carries,
    inexact_leaves,
    inexact_structure,
    state_vector,
    with_inexact_leaves,
    with_state_vector,
)
from lstm_jax.masking import Masks, Steps, prepare, unless_idle
from lstm_jax.tracing import KEPT, named_reads
from lstm_jax.types import Carry, Params, Sequences, at_least_float32

Paths = dict[str, Carry]
"""What arrived along each path, by name."""

Shares = dict[str, Float[Array, " time *batch"]]
"""A share of a whole for each path."""


class Places(NamedTuple):
    """Where a cell reads its carry.

    Attributes:
      names: of the paths.
      kept: for each leaf of the carry, the path by which a step that does not count
        passes it on.
    """

    names: tuple[str, ...]
    kept: tuple[str, ...]


def path_names(cell: Cell, params: Params, x: Any) -> tuple[str, ...]:
    """Returns the names of the paths through a step.

    "cell" is the part of the memory that is kept and read as it is; the others are
    gates. A cell may name its gates (`Cell.gates`): the LSTM has
    ("cell", "i", "f", "g", "o"). Other gates are named by what they read, if the carry
    has names for it, by their activation, and by their place among the weights:
    "hidden -> sigmoid 0". In a stack "1.f" is f of the second layer. A cell in which no
    places are told apart, such as one that reads its memory in a loop, has only "cell".

    Args:
      cell: any `Cell`.
      params: what `cell.init` returned.
      x: what one step reads, (*batch, input).

    Raises:
      TypeError: an argument has a dtype that is not allowed.
      ValueError: an argument is not allowed, or the cell names another number of gates
        than its step shows.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> lj.gradients.path_names(lj.LSTM, params, jnp.ones((2, 3)))
      ('cell', 'i', 'f', 'g', 'o')
    """
    steps = prepare(cell, params, jax.tree.map(lambda leaf: leaf[None], x))
    return _places_of(cell, steps).names


def path_gradients(
    cell: Cell,
    params: Params,
    xs: Sequences,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Paths:
    """Returns the parts of dL/d(carry that enters step t), one for every path.

    Right as long as the gradients do not underflow. Products run at the highest matmul
    precision. Arguments as for `carry_gradients`; errors as for it and `path_names`.

    Returns:
      By the name of the path, the structure of the carry with leaves (time, *batch,
      ...); their sum is `carry_gradients`.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = jnp.ones((5, 2, 3))
      >>> last = lambda ys: ys[-1].sum()
      >>> parts = lj.gradients.path_gradients(lj.LSTM, params, xs, last)
      >>> list(parts), parts["f"].c.shape
      (['cell', 'i', 'f', 'g', 'o'], (5, 2, 4))
    """
    return _along_paths(cell, params, xs, loss_fn, carry, masks, _gradients)


def _gradients(paths: list[Scaled], at_t: StepBack) -> Carry:
    values = [scaled.over_power(path, jnp.int32(0)) for path in paths]
    return inexact_structure(at_t.entering, values)


def log_path_norms(
    cell: Cell,
    params: Params,
    xs: Sequences,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Paths:
    """Returns ln ||a_t^k|| for every t, also where the norm is 1e-3000.

    Arguments and errors as for `path_gradients`. Norms of paths do not add up to the
    norm of their sum; `path_shares` do.

    Returns:
      By the name of the path, the structure of the carry with leaves (time, *batch).

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = jnp.ones((5, 2, 3))
      >>> last = lambda ys: ys[-1].sum()
      >>> norms = lj.gradients.log_path_norms(lj.LSTM, params, xs, last)
      >>> norms["cell"].c.shape
      (5, 2)
    """
    return _along_paths(cell, params, xs, loss_fn, carry, masks, _log_norms)


def _log_norms(paths: list[Scaled], at_t: StepBack) -> Carry:
    norms = [scaled.log_norm(path) for path in paths]
    return inexact_structure(at_t.entering, norms)


def path_shares(
    cell: Cell,
    params: Params,
    xs: Sequences,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Shares:
    """Returns the share of every path in the whole, <a_t^k, a_t> / ||a_t||².

    The inner product runs over all leaves of the carry. At every t the shares add up to
    1; a share is negative where its path works against the others. Arguments and errors
    as for `path_gradients`; shares are right even if the gradients underflow.

    Returns:
      By the name of the path, (time, *batch); NaN where a_t is zero.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = jnp.ones((5, 2, 3))
      >>> last = lambda ys: ys[-1].sum()
      >>> shares = lj.gradients.path_shares(lj.LSTM, params, xs, last)
      >>> bool(jnp.allclose(sum(shares.values()), 1, atol=1e-5))
      True
    """
    return _along_paths(cell, params, xs, loss_fn, carry, masks, _shares)


def _shares(paths: list[Scaled], at_t: StepBack) -> Float[Array, "*batch path"]:
    exponents = jnp.stack([adjoint.exponent for adjoint in at_t.adjoints])
    top = jnp.max(exponents, axis=0)[..., None]
    whole = [scaled.over_power(_of_one_path(a), top) for a in at_t.adjoints]
    parts = [scaled.over_power(path, top) for path in paths]
    return _inner(parts, whole, top.ndim) / _inner(whole, whole, top.ndim)


def path_jacobians(
    cell: Cell,
    params: Params,
    xs: Sequences,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> dict[str, Float[Array, "time *batch state state"]]:
    """Returns the part of every step's Jacobian along each path.

        J^k[t][i, j] = d state_{t+1, i} / d state_{t, j} as path k reads it
        Σ_k J^k[t] = step_jacobians(...)[t]

    The state is the carry as one vector, as for `step_jacobians`. The result holds
    paths * time * batch * state² numbers in memory.

    By the name of the path. Arguments as for `step_jacobians`; errors as for it and
    `path_names`.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = jnp.ones((5, 2, 3))
      >>> parts = lj.gradients.path_jacobians(lj.LSTM, params, xs)
      >>> parts["cell"].shape
      (5, 2, 8, 8)
      >>> whole = lj.step_jacobians(lj.LSTM, params, xs)
      >>> bool(jnp.allclose(sum(parts.values()), whole, atol=1e-6))
      True
    """
    steps, by_path, places = steps_by_path(cell, params, xs, carry, masks)
    by_path = with_exact_slopes(by_path)
    with jax.default_matmul_precision("highest"):
        entering, _ = entering_carries(steps)
        return _jacobians(by_path, places, entering)


@partial(jax.jit, static_argnums=1)
def _jacobians(by_path: Steps, places: Places, entering: Carry) -> dict[str, Array]:
    batch_axes = len(by_path.batch_shape)

    def of_path(steps, name, carry, inputs):
        def step(state):
            copies = dict.fromkeys(places.names, carry)
            copies[name] = with_state_vector(carry, state)
            carries, _ = steps.step(steps.shared, copies, inputs)
            return state_vector(_handed_on(places, carries), batch_axes)

        state = state_vector(carry, batch_axes)
        basis = jnp.eye(state.shape[-1], dtype=state.dtype)
        basis = jnp.broadcast_to(basis, (*by_path.batch_shape, *basis.shape))
        push = lambda tangent: jax.jvp(step, (state,), (tangent,))[1]
        return jax.vmap(push, in_axes=-2, out_axes=-2)(basis).mT

    def run(steps):
        def at_step(_, nothing, at_t):
            return nothing, {n: of_path(steps, n, *at_t) for n in places.names}

        return scan(at_step, (), (), (entering, steps.inputs))[1]

    return unless_idle(by_path, run)


def _places_of(cell: Cell, steps: Steps) -> Places:
    """Returns where the cell of these steps reads its carry."""
    if cell.edges is not None:
        kept = [KEPT] * len(jax.tree.leaves(steps.carry))
        return Places((KEPT, *cell.gates), tuple(kept))
    x = first_entries(steps.inputs).x
    named = named_reads(cell, steps.shared.params, steps.carry, x)
    return Places(named.names, named.kept)


def steps_by_path(
    cell: Cell, params: Params, xs: Sequences, carry: Carry | None, masks: Masks
) -> tuple[Steps, Steps, Places]:
    """Returns the steps, the same with one copy of the carry per path, and the paths.

    Each path reads its own copy, and the new carry goes to all copies; a step that does
    not count keeps each copy as it is. Arguments as for `carry_gradients`.
    """
    steps = prepare(cell, params, xs, carry, **masks)
    places = _places_of(cell, steps)
    copies = None if carry is None else dict.fromkeys(places.names, carry)
    by_path = prepare(_cell_of_copies(cell, places), params, xs, copies, **masks)
    return steps, by_path, places


def _handed_on(places: Places, copies: Paths) -> Carry:
    """Returns the carry that leaves a step, each leaf by the path in `places.kept`."""
    leaves = {name: jax.tree.leaves(copy) for name, copy in copies.items()}
    structure = jax.tree.structure(copies[places.names[0]])
    return structure.unflatten(leaves[name][at] for at, name in enumerate(places.kept))


# Cached, so that equal cells give one function and are compiled once.
@cache
def _cell_of_copies(cell: Cell, places: Places) -> Cell:
    names = places.names

    def init_carry(params, batch_shape=()):
        return dict.fromkeys(names, cell.init_carry(params, batch_shape))

    def step(params, copies, x):
        if cell.edges is None:
            carry, y = _step_of_copies(cell, params, copies, x)
        else:
            carry, y = cell.edges(params, copies, x)
        return dict.fromkeys(names, carry), y

    fields = {"init_carry": init_carry, "step": step, "layers": (), "edges": None}
    return replace(cell, name=f"{cell.name} by path", **fields)


def _step_of_copies(
    cell: Cell, params: Params, copies: Paths, x: Any
) -> tuple[Carry, Any]:
    """Returns (carry, y) of a step in which each place reads the copy of its name."""
    named = named_reads(cell, params, next(iter(copies.values())), x)
    program = named.reads.plan.program
    leaves = {name: jax.tree.leaves(copy) for name, copy in copies.items()}
    out = run_by_gate(
        named.reads,
        params=program.leaves_of_params(params),
        kept=[leaves[name][at] for at, name in enumerate(named.kept)],
        copies=[leaves[name] for name in named.gates],
        x=jax.tree.leaves(x),
    )
    return program.unflattened(out)


def _along_paths(
    cell: Cell,
    params: Params,
    xs: Sequences,
    loss_fn: LossFn,
    carry: Carry | None,
    masks: Masks,
    observe: Callable[[list[Scaled], StepBack], Any],
) -> dict[str, Any]:
    """Returns the result of `observe` at every step, by the name of the path.

    `observe` gets the paths of every inexact leaf of the carry, (*batch, path, ...),
    and returns leaves with the same first axes.
    """
    steps, by_path, places = steps_by_path(cell, params, xs, carry, masks)
    observed = _observed(way_back(steps, loss_fn), by_path, places, observe)
    axis = 1 + len(steps.batch_shape)
    return {
        name: jax.tree.map(lambda leaf, k=k: jnp.take(leaf, k, axis), observed)
        for k, name in enumerate(places.names)
    }


@partial(jax.jit, static_argnums=(2, 3))
def _observed(way: WayBack, by_path: Steps, places: Places, observe: Callable) -> Any:
    def observe_paths(steps, at_t):
        idle = steps.step is way.steps.idle
        copied = replace(by_path, step=by_path.idle) if idle else by_path
        return observe(_through_paths(copied, places, at_t), at_t)

    return run_back(way, observe_paths)


def _through_paths(by_path: Steps, places: Places, at_t: StepBack) -> list[Scaled]:
    """Returns what flows back to the copies of each leaf, (*batch, path, ...)."""
    inexact = inexact_leaves(at_t.entering)

    def outputs(leaves):
        copies = {
            name: with_inexact_leaves(at_t.entering, leaves[k :: len(places.names)])
            for k, name in enumerate(places.names)
        }
        carries, y = by_path.step(by_path.shared, copies, at_t.inputs)
        return [*inexact_leaves(_handed_on(places, carries)), *jax.tree.leaves(y)]

    axis, number = len(by_path.batch_shape), len(places.names)
    _, pullback = wide_vjp(outputs, [leaf for leaf in inexact for _ in places.names])
    parts = pullback(at_t.leaving)
    of_leaves = [parts[k : k + number] for k in range(0, len(parts), number)]
    side_by_side = partial(jax.tree.map, lambda *copies: jnp.stack(copies, axis))
    return [per_element(side_by_side(*of_leaf), axis + 1) for of_leaf in of_leaves]


def _of_one_path(value: Scaled) -> Scaled:
    """Returns values (*batch, ...) as (*batch, 1, ...)."""
    axis = value.exponent.ndim
    return Scaled(jnp.expand_dims(value.mantissa, axis), value.exponent[..., None])


def _inner(a: list[Array], b: list[Array], first: int) -> Float[Array, "*batch path"]:
    """Returns the real inner product over all leaves, over their axes from `first`."""

    def of_leaf(a, b):
        dtype = at_least_float32(a.dtype)
        products = jnp.real(jnp.conj(a.astype(dtype)) * b.astype(dtype))
        return jnp.sum(products, axis=tuple(range(first, products.ndim)))

    return sum(map(of_leaf, a[1:], b[1:]), start=of_leaf(a[0], b[0]))
