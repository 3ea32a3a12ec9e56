"""Reads your own LSTM or GRU weights from a file.

.safetensors  the state dict of a torch module, keys [prefix.]weight_hh_l0 and so on
.npz          parameters by their path, [cell/][0/]w_hh, as `experiments.train` and
              `lstm_jax.training.checkpoints.named_arrays` write them
"""

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from experiments.common import array_files
from experiments.common.cli import ConfigError

TORCH_KEY = re.compile(r"(?:(?P<module>.+)\.)?(?:weight|bias)_(?:ih|hh|hr)_l.*")
CELLS = {lj.LSTMParams: lj.LSTM, lj.GRUParams: lj.GRU}
FIELDS = {frozenset(kind._fields): kind for kind in CELLS}
SAFETENSORS = (
    "a .safetensors file, as safetensors.torch.save_file(module.state_dict(), path) "
    "writes it"
)
NPZ = "a .npz file of numbers, as experiments.train writes final.npz"
REAL = ("F16", "BF16", "F32", "F64")  # dtypes as .safetensors names them
GATES = {lj.LSTMParams: 4, lj.GRUParams: 3}


class Weights(NamedTuple):
    """An LSTM or GRU: its cell, and its params in float32 from bottom to top."""

    cell: lj.Cell
    layers: tuple[lj.LSTMParams | lj.GRUParams, ...]

    @property
    def input_size(self) -> int:
        """Features of one input."""
        return self.layers[0].w_ih.shape[0]

    @property
    def hidden_size(self) -> int:
        """Units of every layer."""
        return self.layers[0].w_hh.shape[0]


def read_torch(path: str, module: str | None, direction: str) -> Weights:
    """Returns the weights of a `torch.nn.LSTM` or `GRU` in a .safetensors file.

    Args:
      path: of the file.
      module: prefix of the keys; may be None if there is only one module.
      direction: of a bidirectional layer, "forward" or "backward".

    Raises:
      ConfigError: the file can't be read, or holds something else.
    """
    arrays = _read_safetensors(path)
    modules = {key: _module_of(key) for key in arrays}
    chosen = _chosen(path, module, modules.values())
    state_dict = {
        key.removeprefix(f"{chosen}."): array
        for key, array in arrays.items()
        if modules[key] == chosen
    }
    try:
        with np.errstate(over="ignore"):  # of summed biases; `check_finite` refuses it
            params = lj.from_torch(state_dict)
    except ValueError as error:
        raise ConfigError(f"torch: {path!r}: {error}") from error
    layers = params if type(params) is tuple else (params,)
    return _checked("torch", path, _one_way(path, layers, direction))


def read_npz(path: str, module: str | None, name: str = "weights") -> Weights:
    """Returns the weights of one of this library's LSTMs or GRUs, from a .npz file.

    Args:
      path: of the file.
      module: prefix of the paths of all layers; may be None if there is only one cell.
      name: of the flag, for error messages.

    Raises:
      ConfigError: the file can't be read, or holds something else.
    """
    arrays = array_files.read_npz(name, path, NPZ)
    by_parent: dict[str, dict[str, np.ndarray]] = {}
    for key, array in arrays.items():
        parent, _, field = key.rpartition("/")
        by_parent.setdefault(parent, {})[field] = array
    cells = {parent: of for parent, of in by_parent.items() if "w_hh" in of}
    if not cells:
        raise ConfigError(
            f"{name}: {path!r} holds {_listed(arrays)}; it must hold an LSTM or a GRU, "
            "paths [cell/]w_hh and so on"
        )
    stacks = {parent: re.sub(r"(^|/)\d+$", "", parent) for parent in cells}
    chosen = _chosen(path, module, stacks.values())
    parents = sorted(
        (parent for parent in cells if stacks[parent] == chosen), key=_layer_number
    )
    layers = [_layer(name, path, parent, cells[parent]) for parent in parents]
    return _checked(name, path, layers)


def _module_of(key: str) -> str:
    match = TORCH_KEY.fullmatch(key)
    return (match["module"] if match else None) or ""


def _layer_number(parent: str) -> int:
    last = parent.rpartition("/")[2]
    return int(last) if last.isdecimal() else 0


def _read_safetensors(path: str) -> dict[str, np.ndarray]:
    """Returns what looks like recurrent weights, in float32."""
    try:
        import safetensors
    except ImportError as error:
        raise ConfigError(
            "torch: reading .safetensors files needs the package safetensors, which "
            "is not installed"
        ) from error
    if Path(path).suffix != ".safetensors":
        raise ConfigError(f"torch: got {path!r}; it must be {SAFETENSORS}")
    array_files.check_fits(
        "torch", path, array_files.check_regular("torch", path, SAFETENSORS)
    )
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            keys = list(file.keys())
            found = {k: _tensor(path, file, k) for k in keys if TORCH_KEY.fullmatch(k)}
    except OSError as error:
        raise array_files.unreadable("torch", path, error, SAFETENSORS) from error
    except safetensors.SafetensorError as error:
        found = "is not a .safetensors file"
        raise array_files.refusal("torch", path, found, SAFETENSORS) from error
    if not found:
        raise ConfigError(
            f"torch: {path!r} holds {_listed(keys)}; it must hold the weights of a "
            "torch.nn.LSTM or GRU, keys [module.]weight_hh_l0 and so on"
        )
    return found


def _tensor(path: str, file: Any, key: str) -> np.ndarray:
    """Returns a tensor of an open .safetensors file in float32."""
    dtype = file.get_slice(key).get_dtype()
    if dtype not in REAL:
        raise ConfigError(
            f"torch: {path!r} holds {key!r} as {dtype}; it must be {', '.join(REAL)}"
        )
    return _in_float32("torch", path, key, file.get_tensor(key))


def _in_float32(name: str, path: str, key: str, array: np.ndarray) -> np.ndarray:
    """Returns real weights in float32; refuses what is not finite there."""
    odd = array[array_files.beyond(array, "float32")]
    if odd.size:
        raise ConfigError(
            f"{name}: {path!r} holds {key!r} with {float(odd[0]):g}; weights must be "
            "finite in float32"
        )
    return array.astype(np.float32)


def _listed(names: Iterable[str]) -> str:
    """Lists the first few names."""
    names = list(names)
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return (", ".join(names[:4]) or "nothing") + more


def _chosen(path: str, module: str | None, modules: Iterable[str]) -> str:
    found = list(dict.fromkeys(modules))
    if module is None and len(found) == 1:
        return found[0]
    if module not in found:
        raise ConfigError(
            f"module: got {module!r}; it must be one of those in {path!r}: "
            f"{', '.join(map(repr, found))}"
        )
    return module


def _one_way(path: str, layers: tuple, direction: str) -> list:
    """Returns the layers of one direction."""
    both = isinstance(layers[0], lj.adapters.Directions)
    if both and len(layers) > 1:
        raise ConfigError(
            f"torch: {path!r} holds {len(layers)} bidirectional layers, in which every "
            "output sees both ends; it must be one, or layers of one direction"
        )
    if not both and direction == "backward":
        raise ConfigError(
            "direction: got 'backward'; it must be forward, the only direction in "
            f"{path!r}"
        )
    return [getattr(layer, direction) if both else layer for layer in layers]


def _layer(
    name: str, path: str, parent: str, fields: Mapping[str, np.ndarray]
) -> lj.LSTMParams | lj.GRUParams:
    kind = FIELDS.get(frozenset(fields))
    width, at = np.shape(fields["w_hh"])[:1], f"{parent}/" if parent else ""
    shapes = {}
    if kind is not None and width:
        gates, inputs = GATES[kind] * width[0], np.shape(fields["w_ih"])[:1]
        shapes = {"w_ih": (*inputs, gates), "w_hh": (*width, gates), "b": (gates,)}
        shapes |= {"b_hn": width} if kind is lj.GRUParams else {}
    if kind is None or {field: np.shape(fields[field]) for field in fields} != shapes:
        found = ", ".join(f"{at}{f} {np.shape(fields[f])}" for f in sorted(fields))
        raise ConfigError(
            f"{name}: {path!r} holds {found}; it must be an LSTM, w_ih (input, 4 * "
            "hidden), w_hh (hidden, 4 * hidden), b, or a GRU, with 3 and b_hn (hidden,)"
        )
    odd = [array.dtype.name for array in fields.values() if array.dtype.kind != "f"]
    if odd:
        raise ConfigError(f"{name}: {path!r} holds {odd[0]}; it must be real numbers")
    found = {f: _in_float32(name, path, f"{at}{f}", a) for f, a in fields.items()}
    return kind(**{field: jnp.asarray(array) for field, array in found.items()})


def _checked(name: str, path: str, layers: list) -> Weights:
    """Refuses other cells, layers that do not fit, and weights that are not finite."""
    kinds = {type(layer) for layer in layers}
    if len(kinds) > 1 or not kinds <= CELLS.keys():
        names = sorted(kind.__name__.removesuffix("Params") for kind in kinds)
        found = ", ".join(names)
        raise ConfigError(
            f"{name}: {path!r} holds {found}; it must be an LSTM or a GRU, the same "
            "in all layers"
        )
    for below, layer in pairwise(layers):
        wanted = (below.w_hh.shape[0], below.w_ih.shape[1])
        if layer.w_ih.shape != wanted:
            raise ConfigError(
                f"{name}: {path!r} has w_ih {layer.w_ih.shape} in an upper layer; it "
                f"must be {wanted} to fit the layer below"
            )
    check_finite(name, path, layers)
    return Weights(CELLS[kinds.pop()], tuple(layers))


def check_finite(name: str, path: str, weights: Any) -> None:
    """Raises `ConfigError` if a weight, or a sum of two biases, is not finite."""
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(weights)):
        raise ConfigError(
            f"{name}: {path!r} holds weights that are NaN or infinite in float32; they "
            "must be finite"
        )
