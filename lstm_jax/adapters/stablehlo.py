"""A whole network as a program in StableHLO."""

import jax
import jax.numpy as jnp
from jax import export

from lstm_jax import readouts
from lstm_jax.adapters.loading import Loaded, run
from lstm_jax.adapters.loading.source import by_path
from lstm_jax.adapters.networks import layers_of, network_of
from lstm_jax.cells.cell import Cell
from lstm_jax.cells.wrappers.directions import Directions
from lstm_jax.checks import check_whole
from lstm_jax.readouts import LinearParams
from lstm_jax.types import Carry, Params, Shape

PLATFORMS = ("cpu", "cuda", "tpu")


def to_stablehlo(
    cell: Cell, params: Params, input_size: int, readout: LinearParams | None = None
) -> bytes:
    """Returns a network as a serialised program, for a process without this library.

        from jax import export
        program = export.deserialize(content)
        y, memory = program.call(x, memory)

    x is (time, batch, input) and y (time, batch, output), of every step; time and batch
    may have any size from 1. memory is a dictionary of arrays, by their path in the
    carry, {"h": (batch, hidden), "c": ...}: zeros where a sequence begins, and what the
    last call returned where it goes on. `program.in_avals` has their shapes and dtypes,
    `program.mlir_module()` the program as text. It runs on CPU, CUDA and TPU. Weights
    are constants in it, and it can't be differentiated.

    Args:
      cell: any that reads one array; one that draws random numbers runs without noise.
      params: of that cell; `Directions` of two, or a tuple of them over layers, for a
        network that reads in both directions.
      input_size: features of x.
      readout: makes y of the outputs; None if y are the outputs.

    Raises:
      TypeError: an argument is of another kind.
      ValueError: the cell reads something else than one array, or its memory does not
        begin with zeros.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> content = lj.adapters.to_stablehlo(lj.LSTM, params, input_size=3)
      >>> program = jax.export.deserialize(content)
      >>> memory = {"h": jnp.zeros((2, 4)), "c": jnp.zeros((2, 4))}
      >>> program.call(jnp.ones((5, 2, 3)), memory)[0].shape
      (5, 2, 4)
    """
    check_whole("input_size", input_size, 1)
    network = network_of(cell, params, readout)
    if network.cell.input_axes is not None:
        raise ValueError(
            f"cell: got {cell.name!r}, which does not read (batch, input); it must"
        )
    if any(map(jnp.any, jax.tree.leaves(_empty(network, ())))):
        raise ValueError(
            f"cell: the memory of {cell.name!r} begins with learned values; it must "
            "begin with zeros, as all who run the program will take it to"
        )
    dtype = jax.tree.leaves(params)[0].dtype
    time, batch = export.symbolic_shape(
        "time, batch", constraints=("time >= 1", "batch >= 1")
    )
    empty = jax.eval_shape(lambda: _empty(network, (batch,)))
    structure = jax.tree.structure(empty)

    def program(x, memory):
        carry = structure.unflatten([memory[name] for name in by_path(empty)])
        carry, ys = run(network, x, carry)
        y = ys if readout is None else readouts.linear(readout, ys)
        return y, by_path(carry)

    x = jax.ShapeDtypeStruct((time, batch, input_size), dtype)
    exported = export.export(jax.jit(program), platforms=PLATFORMS)(x, by_path(empty))
    return bytes(exported.serialize())


def _empty(network: Loaded, batch_shape: Shape) -> Carry:
    """Returns the carry of `run` that enters the first step."""
    if network.directions == 1:
        return network.cell.init_carry(network.params, batch_shape)
    layers = tuple(
        Directions(*(cell.init_carry(side, batch_shape) for side in sides))
        for cell, sides in layers_of(network)
    )
    return layers if network.layers > 1 else layers[0]
