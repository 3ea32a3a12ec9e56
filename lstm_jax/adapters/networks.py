"""A network as its users hold it, cell, params and readout, as `load` returns one."""

from lstm_jax.adapters.loading import Loaded
from lstm_jax.cells.cell import Cell, check_cell
from lstm_jax.cells.stochastic import without_noise
from lstm_jax.cells.wrappers.directions import Directions
from lstm_jax.checks import check_type
from lstm_jax.readouts import LinearParams
from lstm_jax.types import Params


def network_of(cell: Cell, params: Params, readout: LinearParams | None) -> Loaded:
    """Returns the network, to be run without noise, as in evaluation."""
    check_cell("cell", cell)
    wanted = "LinearParams(w, b), or None"
    check_type("readout", readout, LinearParams | None, wanted)
    layered = type(params) is tuple and any(isinstance(p, Directions) for p in params)
    one = params[0] if layered else params
    directions = 2 if isinstance(one, Directions) else 1
    layers = len(params) if layered else max(1, len(cell.layers))
    return Loaded(without_noise(cell), params, layers, directions, readout, ())


def layers_of(network: Loaded) -> list[tuple[Cell, tuple[Params, ...]]]:
    """Returns every layer's cell and its params, one entry per direction."""
    cell, params = network.cell, network.params
    if network.directions == 2:
        several = params if network.layers > 1 else (params,)
        return [(cell, tuple(sides)) for sides in several]
    if not cell.layers:
        return [(cell, (params,))]
    return [(one, (of,)) for one, of in zip(cell.layers, params, strict=True)]
