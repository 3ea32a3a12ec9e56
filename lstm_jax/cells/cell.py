"""Cell: the contract of every recurrent cell, written down once.

A cell is three pure functions. Anything that keeps this contract runs in `unroll`, is
measured by the gradient laboratory and is trained by `train`:

    cell = Cell(name="leaky", init=init, init_carry=init_carry, step=step)

Where hyperparameters live: wiring (which activation, which input a gate reads) is
static and comes from cached factories, `rnn(activation="relu")`; numbers that a study
sweeps (forget_bias, gain) are keyword options of `init` and may be traced, so they
`vmap`.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.checks import (
    check_array,
    check_floating,
    check_function,
    check_key,
    check_number,
    check_type,
    check_whole,
)
from lstm_jax.descriptions import (
    Description,
    call_of,
    file_of,
    text_of,
    told_by,
)
from lstm_jax.factories import reduced
from lstm_jax.initializers import Initializer
from lstm_jax.types import Input, PRNGKey, Scalar

INITIALIZER = "(key, shape, dtype) -> array, such as lj.initializers.orthogonal"


class InputAxes(NamedTuple):
    """How many axes of an input belong to one element, after time and batch.

    Attributes:
      structure: of the inputs, with one number per leaf; None if one serves all.
      axes: the numbers; empty for the default: 1, or 0 for a leaf of integers.
    """

    structure: Any
    axes: tuple[int, ...]

    def of(self, x: Any) -> list[int]:
        """Returns the number of every leaf of x.

        Raises:
          ValueError: x has another structure.
        """
        leaves, structure = jax.tree.flatten(x)
        if not self.axes:
            return [int(jnp.issubdtype(leaf.dtype, jnp.inexact)) for leaf in leaves]
        if self.structure is None:
            return [*self.axes] * len(leaves)
        if structure != self.structure:
            raise ValueError(f"xs: got {structure}; input_axes has {self.structure}")
        return [*self.axes]


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
      input_axes: None where x is one floating array (*batch, input); else what x may
        be, see `from_function`.
      layers: the cells of a stack, from the bottom to the top, each with its entry of
        params and carry; empty for most.
      over: `(run, params, xs, carry) -> (carry, ys)`, what `unroll` does with a whole
        sequence: for a cell of cells, by `run(cell, params, xs, carry, reverse=False)`
        of each, where that is faster than step by step, or where there is no step, as
        in `bidirectional`; None for most, whose step is scanned.
      directions: of every layer, 1, or 2 where the second half of its features comes
        from reading the sequence backwards.
      gates: names of the gates that read the memory, in the order of their weights: by
        leaf of params, then by column. `trace` and the gradient paths use them; without
        them gates are called "sigmoid 0" and so on.
      edges: `(params, copies, x) -> (carry, y)`, the step in which gate k reads the
        carry `copies[k]` and the rest reads `copies["cell"]`, for a step that shows
        fewer gates than it has; None for most, whose gates are found in the step.
        Ignored in a cell inside another.
      memory: the field of the carry that is kept, each unit times its own forget
        factor; None for a cell without one.
      family: cells of one family share a colour in figures; grey if empty.
      transition: `(params, x) -> (A, u)` of a cell whose carry moves to A carry + u,
        with A and u of x alone, A one of `lj.cells.Diagonal`, `Rotation`, `Reflections`
        and `Dense`, and u in the structure of the carry; None for most.
    """

    name: str
    init: Callable
    init_carry: Callable
    step: Callable
    input_axes: InputAxes | None = None
    layers: "tuple[Cell, ...]" = ()
    over: Callable | None = None
    directions: tuple[int, ...] = (1,)
    gates: tuple[str, ...] = ()
    edges: Callable | None = None
    memory: str | None = None
    family: str = ""
    transition: Callable | None = None

    def __post_init__(self) -> None:
        """Checks the fields."""
        check_type("name", self.name, str, "a string")
        check_function("init", self.init, "(key, input_size, hidden_size) -> params")
        check_function("init_carry", self.init_carry, "(params, batch_shape) -> carry")
        check_function("step", self.step, "(params, carry, x) -> (carry, y)")
        _check_gates(self.gates)
        if self.edges is not None:
            check_function("edges", self.edges, "(params, copies, x) -> (carry, y)")
        if self.memory is not None:
            check_type("memory", self.memory, str, "a string, a field of the carry")
        check_type("family", self.family, str, "a string")
        if self.transition is not None:
            check_function("transition", self.transition, "(params, x) -> (A, u)")

    def __repr__(self) -> str:
        """Returns the name, and what the cell says of itself."""
        gates = [f"gates {', '.join(self.gates)}"] if self.gates else []
        memory = [f"memory {self.memory}"] if self.memory else []
        return f"<Cell {'; '.join([repr(self.name), *gates, *memory])}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the calls that made the functions; equal after."""
        return reduced(self)


def _description(cell: Cell) -> str:
    """Returns what its file says: the equations, and the options of `init`."""
    own = sys.modules.get(f"lstm_jax.cells.{cell.name}")
    if own is None or getattr(own, cell.name.upper(), None) != cell:
        own = file_of(cell.step)
    step = told_by(cell.step) if own is file_of(cell.step) else None
    parts = [text_of(own, step), call_of("init", cell.init), text_of(cell.init)]
    return "\n\n".join(filter(None, parts))


Cell.__doc__ = Description(Cell.__doc__, _description)  # pyright: ignore


def _check_gates(gates: Any) -> None:
    """Refuses anything but a tuple of distinct names, none of them "cell"."""
    wanted = "a tuple of strings, such as ('i', 'f', 'g', 'o')"
    check_type("gates", gates, tuple, wanted)
    for gate in gates:
        check_type("gates", gate, str, wanted)
    if len({*gates, "cell"}) <= len(gates):
        raise ValueError(
            f"gates: got {gates}; they must differ, and 'cell' names what is kept"
        )


def check_cell(name: str, cell: Any) -> None:
    """Refuses anything but a cell, such as a name or another library's cell."""
    check_type(
        name,
        cell,
        Cell,
        "an lj.Cell, such as lj.LSTM or lj.CELLS['lstm'], or what lj.from_linen, "
        "from_nnx, from_haiku, from_equinox or from_function returns",
    )


def check_input(x: Input, input_size: int) -> None:
    """Refuses inputs whose width is not that of the weights."""
    check_array("x", x, "an array (*batch, input)")
    if x.shape[-1] != input_size:
        raise ValueError(
            f"x: the last axis is {x.shape[-1]}; these params were made with "
            f"input_size={input_size}"
        )


def check_init(
    key: Any,
    input_size: Any,
    hidden_size: Any,
    dtype: Any,
    gain: Any = 1.0,
    input_init: Any = initializers.glorot,
    recurrent_init: Any = initializers.orthogonal,
) -> None:
    """Checks the arguments that every `init` has."""
    check_key("key", key)
    check_whole("input_size", input_size, 1)
    check_whole("hidden_size", hidden_size, 1)
    check_floating("dtype", dtype)
    check_number("gain", gain)
    check_function("input_init", input_init, INITIALIZER)
    check_function("recurrent_init", recurrent_init, INITIALIZER)


class GateWeights(NamedTuple):
    """Input and recurrent weights of a cell's gates, side by side."""

    w_ih: Float[Array, "input gates"]
    w_hh: Float[Array, "hidden gates"]


def gate_weights(
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    num_gates: int,
    gain: Scalar,
    input_init: Initializer,
    recurrent_init: Initializer,
    dtype: Any,
) -> GateWeights:
    """Returns initial weights of `num_gates` gates, each gate drawn independently.

    Other arguments and errors as for `lstm_jax.cells.lstm.init`.
    """
    check_init(key, input_size, hidden_size, dtype, gain, input_init, recurrent_init)
    key_ih, key_hh = jax.random.split(key)
    in_shape, rec_shape = (input_size, hidden_size), (hidden_size, hidden_size)
    w_hh = initializers.per_gate(recurrent_init, key_hh, rec_shape, num_gates, dtype)
    return GateWeights(
        w_ih=initializers.per_gate(input_init, key_ih, in_shape, num_gates, dtype),
        w_hh=w_hh * jnp.asarray(gain, dtype),
    )
