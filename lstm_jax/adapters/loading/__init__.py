"""load: the recurrent network in a file or an object, whoever wrote it."""

from os import PathLike, fspath
from typing import Any, NamedTuple

import numpy as np
from jax.typing import ArrayLike

from lstm_jax.adapters.loading import cudnn, formats, objects, readout
from lstm_jax.adapters.loading.flax_layout import FLAX
from lstm_jax.adapters.loading.haiku_layout import HAIKU
from lstm_jax.adapters.loading.keras_layout import KERAS
from lstm_jax.adapters.loading.layouts import Candidate, Module, candidates
from lstm_jax.adapters.loading.onnx_files import ONNX
from lstm_jax.adapters.loading.own_layout import OWN
from lstm_jax.adapters.loading.plug_ins import NAM
from lstm_jax.adapters.loading.source import Source, listed, path_of
from lstm_jax.adapters.loading.torch_layout import TORCH
from lstm_jax.adapters.loading.weights import real
from lstm_jax.cells import Directions, bidirectional, stack
from lstm_jax.cells.cell import Cell
from lstm_jax.checks import check_type
from lstm_jax.readouts import LinearParams
from lstm_jax.types import Carry, Outputs, Params, Sequences
from lstm_jax.unrolling import unroll

LAYOUTS = (*TORCH, *KERAS, *FLAX, *HAIKU, *ONNX, *NAM, *OWN)


class Loaded(NamedTuple):
    """A recurrent network that was loaded; `run` runs it.

    Attributes:
      cell: of its one layer, or `lj.stack` of its layers; of one layer and direction if
        it has two directions.
      params: of that cell; with two directions `Directions`, or a tuple of them over
        layers.
      layers: how many.
      directions: 1 or 2.
      readout: the linear layer that reads its outputs, if there is exactly one.
      notes: what was assumed or found, in words.
    """

    cell: Cell
    params: Params
    layers: int
    directions: int
    readout: LinearParams | None
    notes: tuple[str, ...]


def load(source: Any, module: str | None = None) -> Loaded:
    """Returns the recurrent network in a file or an object.

        loaded = lj.adapters.load("model.safetensors")
        carry, ys = lj.adapters.run(loaded, xs)

    Files: .safetensors, .pt and .pth of torch, .h5 and .keras of Keras 2 and 3,
    .msgpack and Orbax folders of Flax, .onnx, .npz, .nam and other JSON of audio
    plug-ins. The format is told from the file, the framework from the names of its
    weights. Nothing is unpickled. Objects: a module of torch, Keras, flax.nnx or
    Equinox, and mappings of arrays: a state dict, Flax or Haiku params. Weights of half
    precision become float32; float64 stays where JAX has it.

    Args:
      source: the path, or the object.
      module: which recurrent module, by the path of its weights, as "decoder.rnn"; may
        be None if there is only one.

    Raises:
      OSError: there is no such file, or it can't be opened.
      ImportError: the package that reads the format is not installed.
      TypeError: the object is of another kind.
      ValueError: the file is of another kind, holds no recurrent module or several, or
        weights that do not fit one another.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> state_dict = lj.to_torch(params)  # or module.state_dict() of a torch.nn.LSTM
      >>> loaded = lj.adapters.load({f"rnn.{k}": v for k, v in state_dict.items()})
      >>> loaded.cell, loaded.layers, loaded.directions
      (<Cell 'lstm'; gates i, f, g, o; memory c>, 1, 1)
    """
    if module is not None:
        check_type("module", module, str, "the path of one module")
    is_path = isinstance(source, str | PathLike)
    found = formats.read(fspath(source)) if is_path else objects.read(source)
    modules = candidates(found, LAYOUTS)
    name = _chosen(found, modules, module)
    one = _read(found, name, modules[name])
    first, *more = one.layers
    directions = 2 if isinstance(first, Directions) else 1
    several = directions == 1 and bool(more)
    head, says = readout.find(found, modules, directions * _width(one))
    return Loaded(
        cell=stack(*[one.cell] * len(one.layers)) if several else one.cell,
        params=one.layers if more else first,
        layers=len(one.layers),
        directions=directions,
        readout=head,
        notes=(*found.notes, *one.notes, says),
    )


def load_cudnn(weights: Any, **sizes: Any) -> Loaded:
    """Returns the LSTM in a flat array of cuDNN, as `jax.experimental.rnn` keeps it.

    Args:
      weights: (number,), all matrices before all biases.
      **sizes: input_size, hidden_size, num_layers (1) and bidirectional (False), of
        which the array says nothing.

    Raises:
      ValueError: a size is below 1, or the array has another length.

    Example:
      >>> flat = jnp.zeros(4 * 4 * (3 + 4 + 2))
      >>> loaded = lj.adapters.load_cudnn(flat, input_size=3, hidden_size=4)
      >>> loaded.params.w_ih.shape
      (3, 16)
    """
    return load(cudnn.state_dict_of(weights, **sizes))


def run(
    loaded: Loaded,
    xs: Sequences,
    carry: Carry | None = None,
    *,
    lengths: ArrayLike | None = None,
) -> tuple[Carry, Outputs]:
    """Runs a loaded network over sequences: all its layers, in both directions.

    Args:
      loaded: what `load` returns.
      xs: (time, *batch, input).
      carry: what enters the first steps: that of the cell, or with two directions
        `Directions` of two, a tuple over layers if there are several.
      lengths: (*batch,) integers, as for `unroll`.

    Returns:
      The carry that leaves the last steps, and ys (time, *batch, output) of the last
      layer, the forward direction's first, without the readout; errors as for `unroll`.

    Example:
      >>> loaded = lj.adapters.load(lj.RNN.init(jax.random.key(0), 3, 4)._asdict())
      >>> lj.adapters.run(loaded, jnp.ones((5, 2, 3)))[1].shape
      (5, 2, 4)
    """
    check_type("loaded", loaded, Loaded, "what lj.adapters.load returns")
    return unroll(_network(loaded), loaded.params, xs, carry, lengths=lengths)


def _network(loaded: Loaded) -> Cell:
    if loaded.directions == 1:
        return loaded.cell
    layer = bidirectional(loaded.cell)
    return layer if loaded.layers == 1 else stack(*[layer] * loaded.layers)


def _chosen(found: Source, modules: dict[str, Candidate], module: str | None) -> str:
    if not modules:
        raise ValueError(
            f"{found.what} holds {listed(found.arrays)}; it must hold a recurrent "
            "module, such as weight_ih_l0 and weight_hh_l0 of torch"
        )
    if module is None and len(modules) == 1:
        return next(iter(modules))
    wanted = None if module is None else path_of(module)
    if wanted not in modules:
        names = ", ".join(map(repr, modules))
        raise ValueError(
            f"module: got {module!r}; it must be one of those in {found.what}: {names}"
        )
    return wanted


def _read(found: Source, name: str, one: Candidate) -> Module:
    fields = {
        field: real(found.what, f"{name}/{field}" if name else field, array)
        for field, array in one.fields.items()
    }
    try:
        return one._replace(fields=fields).read()
    except ValueError as error:
        where = f", module {name!r}" if name else ""
        raise ValueError(f"{found.what}{where}: {error}") from error


def _width(one: Module) -> int:
    """Returns the features that one direction of the last layer shows."""
    last = one.layers[-1]
    last = last.forward if isinstance(last, Directions) else last
    return np.shape(getattr(last, "cell", last).w_hh)[0]
