"""The names of axes, and the array types used in signatures.

  time    steps of a sequence, always the first axis, as in `jax.lax.scan`
  *batch  any number of leading batch axes, or none
  input   features of one input, x
  hidden  units of a cell
  gates   the gates of a cell side by side; for the LSTM 4 * hidden: i, f, g, o

A shape that only one function uses is explained there.
"""

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Inexact, Int, Key

PRNGKey: TypeAlias = Key[Array, ""]
"""One typed key of `jax.random.key`."""

Scalar: TypeAlias = int | float | Float[Array, ""]
"""A real number; it may be traced, so that studies can `vmap` over it."""

PerUnit: TypeAlias = Scalar | Float[Array, " hidden"]
"""One number for all units, or one for each."""

Input: TypeAlias = Float[Array, "*batch input"]
Hidden: TypeAlias = Float[Array, "*batch hidden"]
Inputs: TypeAlias = Float[Array, "time *batch input"]
Outputs: TypeAlias = Inexact[Array, "time *batch output"]

Sequences: TypeAlias = Any
"""What a run reads, leaves (time, *batch, ...).

For most cells one floating array (time, *batch, input); `Keyed` for a cell that draws
random numbers; any pytree of arrays for a cell of `from_function`.
"""

Shape: TypeAlias = tuple[Any, ...]
"""Sizes of axes: whole numbers, or the symbols of `jax.export`."""

Lengths: TypeAlias = Int[Array, "*batch"]
Mask: TypeAlias = Bool[Array, " time *batch"]

LogNorms: TypeAlias = Float[Array, " time *batch"]
"""Natural logarithms of norms, in time order; -inf is the logarithm of zero."""

Params: TypeAlias = Any
"""A pytree of real floating arrays; each cell names its own."""

Carry: TypeAlias = Any
"""A pytree with leaves (*batch, ...): what a cell passes to its next step."""

any_rank = jax.numpy_rank_promotion("allow")
"""Decorates a function that broadcasts (unit,) to (*batch, unit), or (batch,) to
(time, batch).

That is intended, even if the caller has `jax_numpy_rank_promotion` warn or raise.
"""


def at_least_float32(dtype: Any) -> Any:
    """Returns the dtype, or float32 if it has fewer bits."""
    return dtype if jnp.finfo(dtype).bits >= 32 else jnp.float32
