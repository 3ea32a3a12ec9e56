"""Cell: the contract of every recurrent cell, written down once.

A cell is three pure functions. Anything that keeps this contract runs in `unroll`, is
measured by the gradient laboratory and is trained by `train`:

    cell = Cell(name="leaky", init=init, init_carry=init_carry, step=step)

Where hyperparameters live: wiring (which squash, which input a gate reads) is static
and comes from cached factories, `rnn(activation="relu")`; numbers that a study sweeps
(forget_bias, gain) are keyword options of `init` and may be traced, so they `vmap`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax

from lstm_jax.types import Input


@jax.tree_util.register_static
@dataclass(frozen=True, kw_only=True)
class Cell:
    """A recurrent cell as three pure functions.

    Hashable and static, so it passes through `jit`; equal cells share one trace.

    Attributes:
      name: what tables, figures and messages call it.
      init: `(key, input_size, hidden_size, **options) -> params`, a pytree of real
        floating arrays.
      init_carry: `(params, batch_shape=()) -> carry`, a pytree with leaves
        (*batch, ...) in the dtype of the params.
      step: `(params, carry, x) -> (carry, y)` with x (*batch, input); y is what the
        step shows to the outside. Batch elements do not see one another.
    """

    name: str
    init: Callable
    init_carry: Callable
    step: Callable


def check_input(x: Input, input_size: int) -> None:
    """Refuses inputs of another width than the weights were made for."""
    if x.shape[-1] != input_size:
        raise ValueError(
            f"x: the last axis is {x.shape[-1]}; these params were made with "
            f"input_size={input_size}"
        )


def check_sizes(input_size: int, hidden_size: int) -> None:
    """Refuses sizes that no weights can have."""
    for name, size in {"input_size": input_size, "hidden_size": hidden_size}.items():
        if size < 1:
            raise ValueError(f"{name}: got {size}; it must be at least 1")
