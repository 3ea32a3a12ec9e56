"""train_many: seeds and settings side by side, as one compiled program."""

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Key

from lstm_jax.cells.cell import Cell
from lstm_jax.checks import check_array, check_function, check_type
from lstm_jax.tasks.task import Task
from lstm_jax.training.curricula import Length
from lstm_jax.training.loop import History, TrainState, train
from lstm_jax.training.sharding import SEED, over_runs


def train_many(
    keys: Key[Array, " run"],
    cell: Cell,
    task: Task,
    optimizer_of: Callable[..., optax.GradientTransformation],
    *,
    hyperparams: Mapping[str, Any],
    init_options: Mapping[str, Any] | None = None,
    hidden_size: int,
    num_steps: int,
    batch_size: int,
    length: Length,
    max_length: int | None = None,
    stop_after: int | None = None,
    mesh: Mesh | None = None,
    runs_at_once: int | None = None,
) -> tuple[TrainState, History]:
    """Trains many models in one program: `train`, over keys and settings.

    Of `hyperparams` and `init_options`, an array has the runs as its first axis, one
    entry for each; anything else (a number, a tuple, a dtype, a function) goes to all
    runs. A list might mean either and is refused.

        rates = jnp.tile(jnp.array([1e-3, 3e-3]), 5)           # two rates, five seeds
        keys = jnp.repeat(jax.random.split(key, 5), 2)
        states, histories = train_many(
            keys, cell, task, optax.adam, hyperparams={"learning_rate": rates}, ...)
        states.diverged_at.reshape(5, 2), histories.loss.reshape(5, 2, num_steps)

    A run that diverges is marked and frozen; the others do not notice. Over a mesh,
    every device trains runs of its own, and none waits for another:

        mesh = sharding.mesh_of("seed:2")       # jax.config: jax_num_cpu_devices = 2
        train_many(..., mesh=mesh, runs_at_once=1)

    What is fastest where: an accelerator has room for all runs at once, the default. On
    CPU devices runs one after the other on each device, the devices side by side, are
    fastest: eight updates of eight runs (adding, T = 200, B = 32, H = 128; two cores)
    took 422 ms all at once on one device and 324 ms one after the other; on two
    devices, one per core, 293 and 199 ms.

    Args:
      keys: one per run.
      cell: of all runs.
      task: of all runs.
      optimizer_of: `(**hyperparams) -> optax.GradientTransformation`, called with the
        traced numbers of one run.
      hyperparams: what `optimizer_of` takes.
      init_options: keyword options of `cell.init`.
      hidden_size: units of the cell.
      num_steps: updates.
      batch_size: sequences per update and run.
      length: as in `train`.
      max_length: as in `train`.
      stop_after: as in `train`.
      mesh: whose devices along "seed" (`sharding.mesh_of`) get equal parts of the runs;
        one device if not given.
      runs_at_once: runs that one device trains side by side, by `jax.vmap`; the others
        follow. All of its own if not given; 1 is one after the other.

    Returns:
      State and history with leaves (run, ...); over a mesh, the runs are cut over it.

    Raises:
      ValueError: `keys` is not one key per run, an array does not have one entry per
        run, a setting is a list, the runs can't be cut into equal parts, the mesh has
        devices that would get none, or as in `train`.
    """
    check_function("optimizer_of", optimizer_of, "(**hyperparams) -> optimizer")
    check_type("hyperparams", hyperparams, Mapping, "a mapping of settings")
    check_type("init_options", init_options, Mapping | None, "a mapping of options")
    num_runs = _num_runs(keys)
    _check_parts(num_runs, mesh, runs_at_once)
    options = {"hyperparams": hyperparams, "init_options": init_options or {}}
    per_run, shared = _split(options, num_runs)

    def one(key, per_run):
        merged = {name: shared[name] | per_run[name] for name in shared}
        return train(
            key,
            cell,
            task,
            optimizer_of(**merged["hyperparams"]),
            hidden_size=hidden_size,
            num_steps=num_steps,
            batch_size=batch_size,
            length=length,
            max_length=max_length,
            init_options=merged["init_options"],
            stop_after=stop_after,
        )

    return over_runs(one, mesh=mesh, at_once=runs_at_once)(keys, per_run)


def _num_runs(keys: Array) -> int:
    check_array("keys", keys, "an array of one key per run")
    if keys.ndim != 1:
        raise ValueError(
            f"keys: shape is {keys.shape}; it must be (run,), one key per run, as "
            "jax.random.split(key, n) makes them"
        )
    return keys.shape[0]


def _check_parts(num_runs: int, mesh: Mesh | None, runs_at_once: Any) -> None:
    sizes = {SEED: 1} if mesh is None else dict(mesh.shape)
    if mesh is not None and sizes.get(SEED) != mesh.size:
        raise ValueError(
            f"mesh: got {sizes}; it must have all devices along {SEED!r}, where the "
            "runs are cut"
        )
    if num_runs % sizes[SEED]:
        raise ValueError(
            f"keys: got {num_runs}; it must be a multiple of {sizes[SEED]}, the "
            f"devices along the mesh's {SEED!r}"
        )
    own = num_runs // sizes[SEED]
    if runs_at_once is not None and not _divides(runs_at_once, own):
        raise ValueError(
            f"runs_at_once: got {runs_at_once!r}; it must be a whole number that "
            f"divides {own}, the runs of a device"
        )


def _divides(part: Any, whole: int) -> bool:
    return isinstance(part, Integral) and int(part) >= 1 and whole % int(part) == 0


def _split(
    options: Mapping[str, Mapping[str, Any]], num_runs: int
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Returns what differs between runs, and what they share, both by argument."""
    per_run: dict[str, dict[str, Any]] = {}
    shared: dict[str, dict[str, Any]] = {}
    for argument, given in options.items():
        _check_no_list(argument, given)
        arrays = {name for name, value in given.items() if _is_array(value)}
        for name in sorted(arrays):
            if given[name].shape[0] != num_runs:
                raise ValueError(
                    f"{argument}[{name!r}]: its first axis is {given[name].shape[0]}; "
                    f"it must be {num_runs}, one entry per key"
                )
        per_run[argument] = {name: given[name] for name in arrays}
        shared[argument] = {n: v for n, v in given.items() if n not in arrays}
    return per_run, shared


def _check_no_list(argument: str, given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if isinstance(value, list):
            raise ValueError(
                f"{argument}[{name!r}]: got the list {value}; it must be an array with "
                "one entry per key, as jnp.array(...), or a value for all runs"
            )


def _is_array(value: Any) -> bool:
    return isinstance(value, jax.Array | np.ndarray) and value.ndim > 0
