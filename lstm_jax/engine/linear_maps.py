"""A linear map with one program for running it and another for transposing it.

    linear_map(run, transposable, fixed, moving) = run(*fixed, *moving)

`run` and `transposable` are two programs for one map of `moving`. The first is used
when the map is evaluated (forward mode), the second when JAX transposes it (reverse
mode); parts of `fixed` that only one of them needs are not computed for the other. It
is a primitive because `jax.custom_derivatives.linear_call`, which does the same, has no
rule for `vmap` and none for fixed values that are differentiated.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Primitive, jaxpr_as_fun
from jax.interpreters import ad, batching, mlir

Map = Callable[..., list[Any]]
"""`(*fixed, *moving) -> leaves`."""


def linear_map(
    run: Map, transposable: Map, fixed: Sequence[Any], moving: Sequence[Any]
) -> list[Any]:
    """Returns the leaves of `run(*fixed, *moving)`, linear in `moving`.

    Neither program may close over traced values.
    """
    source = jax.make_jaxpr(transposable)(*fixed, *moving)
    return _map.bind(*fixed, *moving, run=run, source=source, num_fixed=len(fixed))


def _evaluate(*arguments: Any, run: Map, **_: Any) -> list[Any]:
    return run(*arguments)


def _out_avals(*_: Any, source: ClosedJaxpr, **__: Any) -> list[Any]:
    return source.out_avals


def _pushed_forward(primals: Any, tangents: Any, *, num_fixed: int, **how: Any) -> Any:
    """Applies the map itself to tangents of `moving`, and `jvp` to those of `fixed`."""
    out = _map.bind(*primals, num_fixed=num_fixed, **how)
    fixed, d_fixed = primals[:num_fixed], tangents[:num_fixed]
    moving, d_moving = primals[num_fixed:], tangents[num_fixed:]
    parts = []
    if not _all_zero(d_moving):
        d_moving = map(ad.instantiate_zeros, d_moving)
        parts.append(_map.bind(*fixed, *d_moving, num_fixed=num_fixed, **how))
    if not _all_zero(d_fixed):
        at = [k for k, d in enumerate(d_fixed) if not isinstance(d, ad.Zero)]

        def of_fixed(*values):
            moved = dict(zip(at, values, strict=True))
            return how["run"](*(moved.get(k, v) for k, v in enumerate(fixed)), *moving)

        parts.append(
            jax.jvp(of_fixed, [fixed[k] for k in at], [d_fixed[k] for k in at])[1]
        )
    return out, [sum(terms[1:], terms[0]) for terms in zip(*parts, strict=True)]


def _all_zero(tangents: Any) -> bool:
    return all(isinstance(tangent, ad.Zero) for tangent in tangents)


def _transposed(
    cotangents: Any, *arguments: Any, source: ClosedJaxpr, num_fixed: int, **_: Any
) -> Any:
    fixed, moving = arguments[:num_fixed], arguments[num_fixed:]
    transposable = jaxpr_as_fun(source)
    transpose = jax.linear_transpose(
        lambda *moving: transposable(*fixed, *moving), *(m.aval for m in moving)
    )
    back = transpose([ad.instantiate_zeros(cotangent) for cotangent in cotangents])
    return [None] * num_fixed + [*back]


def _batched(
    arguments: Any, axes: Any, *, run: Map, source: ClosedJaxpr, num_fixed: int
) -> Any:
    out = linear_map(
        jax.vmap(run, axes),
        jax.vmap(jaxpr_as_fun(source), axes),
        arguments[:num_fixed],
        arguments[num_fixed:],
    )
    return out, [0] * len(out)


_map = Primitive("linear_map")
_map.multiple_results = True
_map.def_impl(_evaluate)
_map.def_abstract_eval(_out_avals)
ad.primitive_jvps[_map] = _pushed_forward
ad.primitive_transposes[_map] = _transposed
batching.primitive_batchers[_map] = _batched
mlir.register_lowering(_map, mlir.lower_fun(_evaluate, multiple_results=True))
