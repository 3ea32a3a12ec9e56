"""The gates and the memory of a cell at every step, by name."""

import re
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple, Unpack

import jax
from jaxtyping import Array

from lstm_jax.cells.cell import Cell
from lstm_jax.engine import programs
from lstm_jax.engine.reads import Gate, Reads, reads_of
from lstm_jax.masking import Masks, Steps, over_time, prepare, unless_idle
from lstm_jax.types import Carry, Params, Sequences

KEPT = "cell"


class NamedReads(NamedTuple):
    """Where a step reads its memory, by name.

    Attributes:
      reads: of the step.
      names: of all places. In a stack "0.f" is f of the first layer.
      gates: the name of each gate of `reads`.
      kept: for each leaf of the carry, the name under which it is read outside the
        gates and passed on by a step that does not count: "cell", or the first gate if
        there is no such place.
      told: for each gate, whether the cell named it itself.
    """

    reads: Reads
    names: tuple[str, ...]
    gates: tuple[str, ...]
    kept: tuple[str, ...]
    told: tuple[bool, ...]


def trace(
    cell: Cell,
    params: Params,
    xs: Sequences,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> dict[str, Array]:
    """Returns the value of every gate at every step, and the memory that leaves it.

        values = lj.trace(lj.LSTM, params, xs)
        values["f"], values["c"]                            (time, *batch, hidden)

    For a cell that names its gates (`Cell.gates`), as all of `lj.CELLS` do, gates are
    given after the activation: for the LSTM i, f, g and o. For other cells they are the
    pre-activations of the gates found in the step, named as in `gradients.path_names`.
    Each leaf of the carry is given as it leaves the step, by the name of its field: h
    and c; "carry" for a bare array, "0", "1", ... for a tuple. In a stack "1.f" and
    "1.c" belong to the second layer. A name that a gate and a field share is the
    field's.

    At a step that does not count the memory is unchanged, and gates are zero. Gates
    that do not read the memory are left out; so are those of a cell with its own
    `edges`, whose values are unknown.

    Args:
      cell: any `Cell`.
      params: what `cell.init` returned.
      xs: (time, *batch, input), floating.
      carry: what enters the first step; `cell.init_carry` by default.
      **masks: lengths, mask, resets, reverse, as for `unroll`.

    Returns:
      By name, (time, *batch, ...), in time order.

    Raises:
      TypeError: an argument has a dtype that is not allowed.
      ValueError: an argument is not allowed.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> values = lj.trace(lj.LSTM, params, jnp.ones((5, 2, 3)))
      >>> list(values)
      ['c', 'f', 'g', 'h', 'i', 'o']
      >>> values["f"].shape
      (5, 2, 4)
    """
    prepare(cell, params, xs, carry, **masks)
    return _trace(prepare(_telling(cell), params, xs, carry, **masks))


@jax.jit
def _trace(steps: Steps) -> dict[str, Array]:
    def run(steps):
        def step(shared, carry, inputs):
            after, gates = steps.step(shared, carry, inputs)
            return after, gates | dict(
                zip(leaf_names(after), jax.tree.leaves(after), strict=True)
            )

        return over_time(steps, step, steps.inputs)[1]

    return unless_idle(steps, run)


# Cached, so that equal cells give one function and are compiled once.
@cache
def _telling(cell: Cell) -> Cell:
    """Returns the cell with the values of its gates as its output."""

    def step(params, carry, x):
        program = programs.trace(cell.step, params, carry, x)
        of_carry, of_x = jax.tree.leaves(carry), jax.tree.leaves(x)
        of_params = program.leaves_of_params(params)
        values = programs.every_value(program, of_params, of_carry, of_x)
        leaves = [programs.read(n, values) for n in program.outputs]
        structure = jax.tree.structure(program.leaves_as[0])
        carry = structure.unflatten(leaves[: structure.num_leaves])
        if cell.edges is not None:
            return carry, {}
        named = _named(cell, reads_of(program), carry)
        found = zip(named.gates, named.told, named.reads.gates, strict=True)
        return carry, {
            name: values[gate.value if told else gate.number]
            for name, told, gate in found
        }

    return replace(cell, step=step, layers=(), over=None, edges=None)


def named_reads(cell: Cell, params: Params, carry: Carry, x: Any) -> NamedReads:
    """Returns where the step of a cell reads its memory; arguments may be abstract.

    Raises:
      ValueError: the cell names another number of gates than its step shows.
    """
    return _named(cell, reads_of(programs.trace(cell.step, params, carry, x)), carry)


def leaf_names(carry: Carry) -> list[str]:
    """Returns the name of every leaf of a carry: "h", "0.h", or "carry" of an array."""
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(carry)]
    named = [jax.tree_util.keystr(p, simple=True, separator=".") for p in paths]
    return [name or "carry" for name in named]


def _named(cell: Cell, reads: Reads, carry: Carry) -> NamedReads:
    fields = leaf_names(carry)
    layers = [_layer_of(field, _layers(cell)) for field in fields]
    names, kept = [], {}
    gate_names: dict[Gate, tuple[str, bool]] = {}
    for layer in dict.fromkeys(layers) or [""]:
        gates = [g for g in reads.gates if layers[g.leaves[-1]] == layer]
        given = [gate for gate in cell.gates if _layer(gate) == layer]
        described = [
            _described(*numbered, fields, layer) for numbered in enumerate(gates)
        ]
        _check_named(cell, given, described)
        apart = not gates or any(layers[at] == layer for at in reads.kept)
        of_layer = [layer + KEPT] * apart + (given or described)
        kept[layer] = of_layer[0]
        names += of_layer
        told = [(name, bool(given)) for name in given or described]
        gate_names |= dict(zip(gates, told, strict=True))
    return NamedReads(
        reads=reads,
        names=tuple(names),
        gates=tuple(gate_names[gate][0] for gate in reads.gates),
        kept=tuple(kept[layer] for layer in layers),
        told=tuple(gate_names[gate][1] for gate in reads.gates),
    )


def _check_named(cell: Cell, given: list[str], found: list[str]) -> None:
    if given and len(given) != len(found):
        raise ValueError(
            f"gates: got {', '.join(given)} of {cell.name!r}; its step shows "
            f"{len(found)} that read the memory ({', '.join(found) or 'none'}): name "
            "these, or give the cell its own edges"
        )


def _described(at: int, gate: Gate, fields: list[str], layer: str) -> str:
    """Returns "h -> sigmoid 0", or "sigmoid 0" if what is read has no name."""
    read = [fields[leaf].removeprefix(layer) for leaf in gate.leaves]
    named = [field for field in read if field != "carry" and not field.isdecimal()]
    arrow = f"{', '.join(named)} -> " if named else ""
    return f"{layer}{arrow}{gate.activation} {at}"


def _layers(cell: Cell) -> list[str]:
    """Returns the prefix of gate names in every layer: "0.", "1."; or ""."""
    if not cell.layers:
        return [_layer(gate) for gate in cell.gates]
    layers = [_layers(layer) or [""] for layer in cell.layers]
    return [f"{at}.{inner}" for at, within in enumerate(layers) for inner in within]


def _layer(gate: str) -> str:
    return re.findall(r"^(?:\d+\.)*", gate)[0]


def _layer_of(field: str, layers: list[str]) -> str:
    """Returns the layer of a leaf: the longest prefix of its path."""
    inside = [layer for layer in layers if f"{field}.".startswith(layer)]
    return max(inside, default="", key=len)
