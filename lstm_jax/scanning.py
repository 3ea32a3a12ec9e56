"""scan: the one place where a step function is repeated over time."""

from collections.abc import Callable
from typing import Any

import jax

from lstm_jax.types import Carry, Params


def scan(
    step: Callable[[Params, Carry, Any], tuple[Carry, Any]],
    params: Params,
    carry: Carry,
    xs: Any,
    *,
    reverse: bool = False,
    unroll: int = 1,
) -> tuple[Carry, Any]:
    """Runs `step` over the leading axis of `xs`, as `lax.scan` with explicit params.

        ys = []
        for x in xs:
            carry, y = step(params, carry, x)
            ys.append(y)
        return carry, stack(ys)

    Args:
      step: `(params, carry, x) -> (carry, y)`.
      params: what every step shares.
      carry: what enters the first step.
      xs: a pytree with leaves (time, ...).
      reverse: from the last step to the first; ys stay in time order.
      unroll: steps per iteration of the compiled loop.

    Returns:
      The carry that leaves the last step run, and the stacked ys.
    """

    def body(carry, x):
        return step(params, carry, x)

    return jax.lax.scan(body, carry, xs, reverse=reverse, unroll=unroll)
