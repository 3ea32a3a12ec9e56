"""What tests share: drawing, comparing, and looking inside of programs."""

from collections.abc import Iterator
from typing import Any

import numpy as np

TOLERANCES: dict[str, float] = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 2e-2}
"""How far two computations of the same numbers may differ, relative and absolute."""


def assert_close(got: Any, wanted: Any, path: str = "result") -> None:
    """Asserts that two trees of (named) tuples agree, by the dtype of what was got."""
    if isinstance(wanted, tuple):
        names = getattr(wanted, "_fields", range(len(wanted)))
        for name, one, other in zip(names, got, wanted, strict=True):
            assert_close(one, other, f"{path}.{name}")
        return
    got = np.asarray(got)
    assert got.shape == np.shape(wanted), f"{path}: {got.shape}, not {np.shape(wanted)}"
    tolerance = TOLERANCES.get(got.dtype.name, 0)
    widened = [np.asarray(array, np.float64) for array in (got, wanted)]
    np.testing.assert_allclose(
        *widened, rtol=tolerance, atol=tolerance, err_msg=f"at {path}"
    )


def drawn_like(tree: Any, seed: int, scale: float = 0.5) -> Any:
    """Returns the tree with leaves drawn from N(0, scale²), biases too; integers are 0.

    The leaves of `tree` need no more than a shape and a dtype.
    """
    rng = np.random.default_rng(seed)

    def draw(node):
        if hasattr(node, "_fields"):
            return type(node)(*map(draw, node))
        if isinstance(node, tuple):
            return tuple(map(draw, node))
        if np.issubdtype(node.dtype, np.integer):
            return np.zeros(node.shape, node.dtype)
        return (scale * rng.standard_normal(node.shape)).astype(node.dtype)

    return draw(tree)


def equations_of(jaxpr: Any) -> Iterator[Any]:
    """Yields every equation of a traced program, those of nested programs included."""
    for equation in jaxpr.eqns:
        yield equation
        for nested in programs_in(equation):
            yield from equations_of(nested)


def programs_in(equation: Any) -> Iterator[Any]:
    """Yields the programs that an equation holds, such as the body of a loop."""
    for value in equation.params.values():
        for one in value if isinstance(value, tuple | list) else [value]:
            program = getattr(one, "jaxpr", one)
            if hasattr(program, "eqns"):
                yield program
