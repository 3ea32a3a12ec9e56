"""--init: a run that begins with weights from a file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from experiments.common import array_files
from experiments.common.cli import ConfigError
from experiments.train.config import Config
from experiments.train.job import Job
from lstm_jax import files
from lstm_jax.training import loop
from lstm_jax.training.checkpoints import named_arrays

MARK = "#sha256="  # behind the path: what the file must hold
CELL, READOUT = "cell/", "readout/"
WANTED = "a file of weights of a recurrent network, or the --out of a finished run"
Arrays = dict[str, np.ndarray]


def pinned(config: Config) -> Config:
    """Returns the configuration with the sum of the file that --init names.

    Raises:
      ConfigError: the file can't be read, or is not the one that the sum is of.
    """
    if config.init is None:
        return config
    path, _, told = config.init.partition(MARK)
    place = _file_of(path)
    try:
        found = array_files.sha256(place)
    except OSError as error:
        raise ConfigError(
            f"init: can't read {path!r} ({error.strerror}); it must be {WANTED}"
        ) from error
    if told not in ("", found):
        raise ConfigError(
            f"init: {path!r} has changed, its sha256 is {found[:8]}... and was "
            f"{told[:8]}...; it must be the file that the run began with"
        )
    return replace(config, init=f"{Path(path).resolve()}{MARK}{found}")


def begun(config: Config, job: Job) -> tuple[loop.TrainState, list[str]]:
    """Returns the state before the first update, and what is to say of it.

    Raises:
      ConfigError: the weights of --init don't fit the flags, or `pinned`.
    """
    state = job.initial()
    if config.init is None:
        return state, []
    pinned(config)  # refuses a file that has changed since
    path = config.init.partition(MARK)[0]
    params, notes = _weights(config, path, state.params)
    best = state.best and state.best._replace(params=params)
    return state._replace(params=params, best=best), notes


def _file_of(path: str) -> Path:
    """Returns the file itself; of a run's folder its last weights."""
    place = Path(path)
    return place / "final.npz" if place.is_dir() else place


def _weights(
    config: Config, path: str, fresh: loop.ModelParams
) -> tuple[loop.ModelParams, list[str]]:
    """Returns the weights of a file for every run, with a new readout if it has none.

    `fresh` are those of new runs, leaves (run, ...).
    """
    wanted = {name: leaf.shape[1:] for name, leaf in named_arrays(fresh).items()}
    found, notes = _read(config, path)
    found_shapes = {name: np.shape(array) for name, array in found.items()}
    for name in wanted:
        if name.startswith(READOUT) and found_shapes.get(name) != wanted[name]:
            had = found_shapes.get(READOUT + "w", "none")
            notes = [
                *notes,
                f"init: the readout is new, for that of {path!r} is {had}.",
            ]
            wanted = {n: s for n, s in wanted.items() if not n.startswith(READOUT)}
            break
    kept = {name: array for name, array in found.items() if name in wanted}
    shapes = {name: found_shapes[name] for name in kept}
    shapes |= {n: s for n, s in found_shapes.items() if n.startswith(CELL)}
    if shapes != wanted:
        raise ConfigError(
            f"init: {path!r} is no {config.cell} of {config.hidden_size} units for "
            f"{config.task}: {difference(shapes, wanted)}"
        )

    def of_all_runs(place, leaf):
        name = jax.tree_util.keystr(place, simple=True, separator="/")
        if name not in kept:
            return leaf
        return jnp.broadcast_to(jnp.asarray(kept[name], leaf.dtype), leaf.shape)

    return jax.tree_util.tree_map_with_path(of_all_runs, fresh), notes


def difference(found: dict[str, tuple], wanted: dict[str, tuple]) -> str:
    """Says which weights are the first to differ."""
    name = next(
        name
        for name in sorted({*found, *wanted})
        if found.get(name) != wanted.get(name)
    )
    if name not in found:
        return f"{name} {wanted[name]} is missing"
    if name not in wanted:
        return f"holds {name} {found[name]}, which such a network does not have"
    return f"{name} is {found[name]} and must be {wanted[name]}"


def _read(config: Config, path: str) -> tuple[Arrays, list[str]]:
    """Returns the arrays by their names in this library, and notes."""
    place = str(_file_of(path))
    try:
        if place.endswith(".npz"):
            own = files.read_npz(place, WANTED)
            if READOUT + "w" in own:
                return own, []
        loaded = lj.adapters.load(place)
    except (ValueError, OSError, ImportError) as error:
        raise ConfigError(f"init: {error}") from error
    _check_kind(config, path, loaded)
    params: Any = {"cell": loaded.params}
    if loaded.readout is not None:
        params["readout"] = loaded.readout
    return named_arrays(params), [f"init: {note}" for note in loaded.notes]


def _check_kind(config: Config, path: str, loaded: lj.adapters.Loaded) -> None:
    """Refuses another cell, or other layers and directions than the flags say."""
    cell = loaded.cell.layers[0] if loaded.cell.layers else loaded.cell
    for name, found, wanted in (
        ("cell", cell.name, lj.CELLS[config.cell].name),
        ("num_layers", loaded.layers, config.num_layers),
        ("bidirectional", loaded.directions == 2, config.bidirectional),
    ):
        if found != wanted:
            raise ConfigError(
                f"{name}: got {wanted!r}; it must be {found!r}, for the weights in "
                f"{path!r}"
            )
