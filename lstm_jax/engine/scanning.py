"""scan: the one place where a step function is repeated over time.

A `lax.scan` that knows the weights of its step. Autodiff of a plain scan adds a
weight-shaped matrix to the backward carry at every step; this one finds the products of
the step with its weights (`lstm_jax.engine`), carries only the adjoint of the state
backwards, and forms each weight gradient afterwards by ONE product over all steps. It
serves any step function: our cells, a Flax, Haiku or Equinox cell, or your own.
"""

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, ref

import jax
import jax.numpy as jnp

from lstm_jax.engine.carry_types import (
    check_kept,
    first_difference,
    with_weak_types_promoted,
)
from lstm_jax.engine.pieces import in_pieces
from lstm_jax.engine.placing import lies_on_a_mesh
from lstm_jax.engine.plans import Plan
from lstm_jax.engine.programs import Program, trace
from lstm_jax.engine.shapes import shapes_of, with_params_kept
from lstm_jax.engine.tangents import Inputs
from lstm_jax.engine.weight_products import analyse
from lstm_jax.engine.weighted_scan import weighted_scan
from lstm_jax.engine.weights import prepare
from lstm_jax.types import Carry, Params

Step = Callable[[Params, Carry, Any], tuple[Carry, Any]]

IMPLEMENTATIONS = ("auto", "plain")


def scan(
    step: Step,
    params: Params,
    carry: Carry,
    xs: Any = None,
    *,
    length: int | None = None,
    reverse: bool = False,
    checkpoint_every: int | None = None,
    unroll: int | bool = 1,
    implementation: str = "auto",
) -> tuple[Carry, Any]:
    """Runs `step` over the leading axis of `xs`.

        ys = []
        for x in xs:
            carry, y = step(params, carry, x)
            ys.append(y)
        return carry, stack(ys)

    Values and derivatives (jvp, vjp, their nestings, vmap) are those of
    `jax.lax.scan`, up to the order in which numbers are added. `scan_report` tells what
    was found in a step. Outside `jit` it is compiled once per step function and shapes.

    Args:
      step: `(params, carry, x) -> (carry, y)`. Arrays that it closes over count as
        params.
      params: what every step shares; leaves that are not arrays, such as functions in a
        module of another library, are passed on as they are.
      carry: what enters the first step; a Python number takes the dtype in which it
        leaves the step.
      xs: a pytree with leaves (time, ...); None if the step reads nothing.
      length: the number of steps; needed if xs has no leaves.
      reverse: from the last step to the first; ys stay in time order.
      checkpoint_every: k in [1, time] stores only the carry of every k-th step and
        recomputes the rest in the backward pass: memory O(time / k + k), at the cost of
        another forward pass. None stores what every step needs.
      unroll: steps per iteration of the compiled loop; True for all of them.
      implementation: "auto", or "plain" for `lax.scan` as it is.

    Returns:
      The carry that leaves the last step run, and the stacked ys.

    Raises:
      TypeError: the step changes the structure, a shape or a dtype of the carry, or
        does not return a pair.
      ValueError: another argument is not allowed.

    Example:
      >>> step = lambda w, h, x: (jnp.tanh(x + h @ w), h)
      >>> h, hs = lj.scan(step, jnp.eye(4), jnp.zeros((2, 4)), jnp.ones((5, 2, 4)))
      >>> h.shape, hs.shape
      ((2, 4), (5, 2, 4))
    """
    options = Options(
        time=_checked_time(xs, length),
        reverse=reverse,
        checkpoint_every=checkpoint_every,
        unroll=unroll,
        implementation=implementation,
    )
    _check_options(options)
    arrays, shared = _split(params)
    compiled = _compiled(step, (shared, options))
    if compiled is None:
        return _scan(step, shared, options, arrays, carry, xs)
    return compiled((shared, options), arrays, carry, xs)


class Options(NamedTuple):
    """The length of a scan, and the arguments of `scan` with these names."""

    time: Any  # a number, or the size of an axis under `jax.export`
    reverse: bool
    checkpoint_every: int | None
    unroll: int | bool
    implementation: str


class Shared(NamedTuple):
    """Params without their arrays: the structure, and None in place of each array."""

    structure: Any
    others: tuple[Any, ...]


def _split(params: Params) -> tuple[list[Any], Shared]:
    leaves, structure = jax.tree.flatten(params)
    arrays = [leaf for leaf in leaves if _is_array(leaf)]
    others = tuple(None if _is_array(leaf) else leaf for leaf in leaves)
    return arrays, Shared(structure, others)


def _is_array(leaf: Any) -> bool:
    abstract = hasattr(leaf, "shape") and hasattr(leaf, "dtype")
    return abstract or isinstance(leaf, bool | int | float | complex)


def _joined(arrays: list[Any], shared: Shared) -> Params:
    array = iter(arrays)
    leaves = [next(array) if leaf is None else leaf for leaf in shared.others]
    return jax.tree.unflatten(shared.structure, leaves)


def _on_arrays(step: Step, shared: Shared) -> Step:
    def step_on_arrays(arrays, carry, x):
        return with_params_kept(step, _joined(arrays, shared), carry, x)

    return step_on_arrays


# One compiled function per step; weak, so that it is freed with its step.
_COMPILED: WeakKeyDictionary[Callable, Callable] = WeakKeyDictionary()


def _compiled(step: Step, static: Hashable) -> Callable | None:
    """Returns `(static, arrays, carry, xs) -> (carry, ys)`; None without a hash."""
    try:
        hash(static)
        if step not in _COMPILED:
            _COMPILED[step] = _jitted(ref(step))
        return _COMPILED[step]
    except TypeError:
        return None


def _jitted(step: ref[Step]) -> Callable:
    @partial(jax.jit, static_argnums=0)
    def run(static, arrays, carry, xs):
        shared, options = static
        called: Any = step()  # the caller holds it
        return _scan(called, shared, options, arrays, carry, xs)

    return run


def _scan(
    step: Step, shared: Shared, options: Options, arrays: list, carry: Carry, xs: Any
) -> tuple[Carry, Any]:
    step_on_arrays = _on_arrays(step, shared)
    over_time = partial(jax.lax.scan, reverse=options.reverse, unroll=options.unroll)
    plain = partial(over_time, partial(step_on_arrays, arrays))
    if options.time == 0:
        return plain(carry, xs, length=0)
    program, carry = _traced(step_on_arrays, arrays, carry, xs)
    plan = None if options.implementation == "plain" else analyse(program)
    if plan is None or _why_plain(plan):
        run = plain
    else:
        run = _planned(plan, arrays, over_time)
    if options.checkpoint_every is None:
        # Not if xs has it: under `jax.export` it need not be a number.
        return run(carry, xs, length=None if jax.tree.leaves(xs) else options.time)
    return in_pieces(
        run, carry, xs, options.time, options.checkpoint_every, options.reverse
    )


def _traced(step: Step, arrays: list, carry: Carry, xs: Any) -> tuple[Program, Carry]:
    """Returns the program of the step, and the carry in the dtypes it keeps."""
    program = trace(step, arrays, carry, first_entries(xs))
    entering = with_weak_types_promoted(carry, program.leaves_as[0])
    if first_difference(carry, entering):
        program = trace(step, arrays, entering, first_entries(xs))
    check_kept(entering, program.leaves_as[0])
    return program, entering


def _planned(plan: Plan, arrays: list, over_time: Callable) -> Callable:
    of_params = [*arrays, *plan.program.closed_over]
    weights, constants = prepare(plan, of_params)

    def run(carry: Carry, xs: Any, length: Any) -> tuple[Carry, Any]:
        on_a_mesh = any(map(lies_on_a_mesh, jax.tree.leaves((arrays, carry, xs))))
        on_a_gpu = jax.default_backend() == "gpu"
        here = plan._replace(on_a_mesh=on_a_mesh, on_a_gpu=on_a_gpu)
        on_leaves = weighted_scan(here, partial(over_time, length=length))
        inputs = Inputs(weights, constants, jax.tree.leaves(carry), jax.tree.leaves(xs))
        return plan.program.unflattened(on_leaves(of_params, inputs))

    return run


class ScanReport(NamedTuple):
    """What `scan` does with a step.

    Attributes:
      implementation: "weighted", the scan that knows its weights, or "plain".
      reason: why it is plain; empty otherwise.
      weight_products: one line per product of a changing value with a fixed matrix;
        the products of a group make up one pre-activation.
      refused: one line per product with weights that is differentiated step by step.
    """

    implementation: str
    reason: str
    weight_products: tuple[tuple[str, ...], ...]
    refused: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.implementation} scan" + f": {self.reason}" * bool(self.reason)]
        for group in self.weight_products:
            lines.append("  pre-activation: " + " + ".join(group))
        return "\n".join(
            [*lines, *(f"  not improved: {line}" for line in self.refused)]
        )


def scan_report(
    step: Step, params: Params, carry: Carry, xs: Any = None, length: int | None = None
) -> ScanReport:
    """Returns what `scan` finds in a step, or why it changes nothing.

    Arguments and errors as for `scan`; nothing is run.

    Example:
      >>> step = lambda w, h, x: (jnp.tanh(x + h @ w), h)
      >>> h, xs = jnp.zeros((2, 4)), jnp.ones((5, 2, 4))
      >>> print(lj.scan_report(step, jnp.eye(4), h, xs))
      weighted scan
        pre-activation: float32[2,4] @ 4x4
    """
    _checked_time(xs, length)
    arrays, shared = _split(params)
    plan = analyse(_traced(_on_arrays(step, shared), arrays, carry, xs)[0])
    reason = _why_plain(plan)
    return ScanReport(
        implementation="plain" if reason else "weighted",
        reason=reason,
        weight_products=tuple(_groups(plan)),
        refused=plan.refused,
    )


def _groups(plan: Plan) -> list[tuple[str, ...]]:
    def shape(number):
        return plan.program.avals[number].str_short()

    return [
        tuple(
            f"{shape(term.operand)} @ {term.rows[1] - term.rows[0]}x{sum(point.widths)}"
            for term in point.terms
        )
        for point in plan.points
    ]


def _why_plain(plan: Plan) -> str:
    """Returns why a plain scan is as good; empty if the plan is better."""
    if any(op.eqn.effects for op in plan.program.ops):
        return "the step has side effects"
    if not plan.points:
        return "no weight product was found"
    return ""


def first_entries(xs: Any) -> Any:
    """Returns the shapes and dtypes that the first step reads."""
    return shapes_of(_first_entries, xs)


def _first_entries(xs: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[0], xs)


def _checked_time(xs: Any, length: int | None) -> Any:
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(xs)]
    times = {shape[:1] for shape in shapes}
    if len(times) > 1 or () in times:
        raise ValueError(
            f"xs: leaves have shapes {shapes}; they must be (time, ...) with one time"
        )
    if not times and length is None:
        raise ValueError("length: got None; it must be a number where xs has no leaves")
    time = length if not times else times.pop()[0]
    if length is not None and length != time:
        raise ValueError(f"length: got {length}; xs has {time} steps")
    if length is not None and length < 0:
        raise ValueError(f"length: got {length}; it must be at least 0")
    return time


def _check_options(options: Options) -> None:
    unroll = options.unroll
    check_pieces(options.checkpoint_every, options.time)
    if unroll < 0:
        raise ValueError(f"unroll: got {unroll}; it must be True, False or at least 0")
    if options.implementation not in IMPLEMENTATIONS:
        raise ValueError(
            f"implementation: got {options.implementation!r}; allowed: "
            f"{', '.join(IMPLEMENTATIONS)}"
        )


def check_pieces(every: int | None, time: Any) -> None:
    """Refuses pieces longer than the sequence."""
    if every is not None and not 1 <= every <= time:
        raise ValueError(
            f"checkpoint_every: got {every}; it must be None or in [1, {time}], the "
            "time axis of xs"
        )
