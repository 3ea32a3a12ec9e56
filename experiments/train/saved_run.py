"""Reads a run of `experiments.train` from its folder: its config and its weights.

Nothing is written or locked, so the run may still be in progress.
"""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import lstm_jax as lj
from experiments.common.errors import ConfigError
from experiments.common.own_data import Learnt, called, learnt, task_of
from experiments.train.config import Config, seeds
from experiments.train.job import cell_of, job_of
from experiments.train.starting import begun, difference
from lstm_jax.training import checkpoints, loop, settings
from lstm_jax.training.checkpoints import CheckpointError

PARAMS = "params/"
CHECKPOINTS = "checkpoints"  # their folder in that of a run
# The fields that decide sizes, sequences or initial weights; all others only say how
# the run was trained.
NEEDED = (
    "task",
    "cell",
    "hidden_size",
    "length",
    "forget_bias",
    "dtype",
    "seed",
    "num_seeds",
)
MARKS = (checkpoints.SUMS, "_CHECKPOINT_METADATA")  # files in a checkpoint's folder


class TrainedRun(NamedTuple):
    """One network of a run, at one of its checkpoints."""

    config: Config  # a checkpoint does not hold its num_steps
    learnt: Learnt  # with the task
    seed: int  # of this network
    step: int  # updates done
    params: loop.ModelParams  # after these updates, in float32
    passed_over: tuple[int, ...]  # steps of newer checkpoints that are not whole
    name: str  # of the run's folder

    @property
    def task(self) -> lj.Task:
        """That it learnt."""
        return self.learnt.task

    @property
    def called(self) -> str:
        """What it learnt, in words."""
        return called(dataclasses.asdict(self.config) | self.learnt.said)

    @property
    def cell(self) -> lj.Cell:
        """Of one direction, or `lj.stack` of the layers, as in `lj.adapters.Loaded`."""
        cell, config = lj.CELLS[self.config.cell], self.config
        several = config.num_layers > 1 and not config.bidirectional
        return lj.stack(*[cell] * config.num_layers) if several else cell

    @property
    def layers(self) -> tuple[Any, ...]:
        """Params of every layer from bottom to top; of two directions `Directions`."""
        cell = self.params.cell
        return cell if self.config.num_layers > 1 else (cell,)


def is_run(path: str) -> bool:
    """Whether a path is a run's folder, its checkpoints/, or one checkpoint."""
    folder, _ = _places(path)
    return len(checkpoints.steps(folder)) > 0


def read_run(path: str, seed: int | None) -> TrainedRun:
    """Returns the newest whole checkpoint of a run, or the one that `path` names.

    Args:
      path: the --out of `experiments.train`, its checkpoints/, or one of those.
      seed: which network; may be None if the run trained only one.

    Raises:
      ConfigError: no checkpoint is whole, the weights do not match the run's config,
        or the run has no such seed.
    """
    folder, named = _places(path)
    step = _step("checkpoint", path)
    saved = _read("checkpoint", path, folder, step)
    config = config_from(path, saved.config)
    chosen = _chosen_seed(path, config, seed)
    # That of best/ is named after the newest, and each of its seeds has its own.
    done = np.broadcast_to(saved.state["step"], config.num_seeds)[chosen - config.seed]
    newer = tuple(n for n in checkpoints.steps(folder) if n > step)
    return TrainedRun(
        config=config,
        learnt=learnt(config),
        seed=chosen,
        step=int(done),
        params=_params(path, config, saved.state, chosen - config.seed),
        passed_over=newer if named is None else (),
        name=folder.parent.name if folder.name == CHECKPOINTS else folder.name,
    )


def newest(flag: str, path: str) -> checkpoints.Saved:
    """Returns the checkpoint that `read_run` would read, whole; errors as there."""
    return _read(flag, path, _places(path)[0], _step(flag, path))


def untrained(run: TrainedRun) -> loop.ModelParams:
    """Returns the weights before training, in float32; of a fork those of its seed."""
    with jax.enable_x64(run.config.dtype == "float64"):
        params = begun(run.config, job_of(run.config))[0].params
    index = run.seed - run.config.seed
    return jax.tree.map(lambda leaf: _in_float32(leaf[index]), params)


def _places(path: str) -> tuple[Path, int | None]:
    """Returns the folder of all checkpoints, and the step if `path` names one."""
    place = Path(path).resolve()
    if (place / CHECKPOINTS).is_dir():
        return place / CHECKPOINTS, None
    if checkpoints.STEP.fullmatch(place.name) and any(
        (place / name).exists() for name in MARKS
    ):
        return place.parent, int(place.name)
    return place, None


def _step(flag: str, path: str) -> int:
    """Returns the step of the newest whole checkpoint, or of the one `path` names."""
    folder, named = _places(path)
    newest = checkpoints.latest(folder)
    step = newest if named is None else named
    if step is None or not checkpoints.is_whole(folder, step):
        raise ConfigError(f"{flag}: {_not_whole(path, folder, newest)}")
    return step


def _not_whole(path: str, folder: Path, newest: int | None) -> str:
    found = checkpoints.steps(folder)
    listed = ", ".join(map(str, found))
    if not found:
        return (
            f"{path!r} holds no checkpoint and no final.npz; it must be "
            "the --out of experiments.train, or one of its checkpoints"
        )
    if newest is None:
        return f"{path!r}: all checkpoints there are damaged: {listed}"
    return (
        f"{path!r} is damaged; it must be whole, as that of step {newest} "
        f"is, the newest such in {str(folder)!r}"
    )


def _read(flag: str, path: str, folder: Path, step: int) -> checkpoints.Saved:
    """Reads a whole checkpoint; refuses one made with other random numbers."""
    try:
        saved = checkpoints.read(folder, step)
    except CheckpointError as error:
        raise ConfigError(f"{flag}: {error}") from error
    found = settings.differences(saved.random, saved.random | settings.random_numbers())
    if found:
        raise ConfigError(
            f"{flag}: {path!r} is of other random numbers: {'; '.join(found)}; it "
            "must be read with those it was trained with"
        )
    return saved


def config_from(path: str, fields: dict[str, Any]) -> Config:
    """Returns the configuration of a saved run; refuses fields that are not one."""
    known = {field.name for field in dataclasses.fields(Config)}
    odd = sorted(fields.keys() - known)
    missing = [name for name in NEEDED if name not in fields]
    if odd or missing:
        found = f"knows {odd[0]!r}" if odd else f"lacks {missing[0]!r}"
        raise ConfigError(
            f"checkpoint: {path!r}: its config {found}; it must be that of a run of "
            "this version's experiments.train"
        )
    # JSON knows no tuples.
    given: dict[str, Any] = {
        n: tuple(v) if isinstance(v, list) else v for n, v in fields.items()
    }
    try:
        return Config(**given)
    except ConfigError as error:
        raise ConfigError(f"checkpoint: {path!r}: in its config, {error}") from error


def _chosen_seed(path: str, config: Config, seed: int | None) -> int:
    trained = seeds(config)
    if seed is None and len(trained) == 1:
        return trained[0]
    if seed is None or seed not in trained:
        raise ConfigError(
            f"of_seed: got {seed}; it must be one of {', '.join(map(str, trained))}, "
            f"the seeds of the run in {path!r}"
        )
    return seed


def _params(
    path: str, config: Config, arrays: dict[str, np.ndarray], index: int
) -> loop.ModelParams:
    """Returns the weights of one seed; refuses another cell's, or another size."""
    found = {
        name.removeprefix(PARAMS): array
        for name, array in arrays.items()
        if name.startswith(PARAMS)
    }
    like = zeros_like(config)
    seeds = (config.num_seeds,) * (config.num_seeds > 1)
    wanted = {
        name: (*seeds, *leaf.shape)
        for name, leaf in checkpoints.named_arrays(like).items()
    }
    shapes = {name: array.shape for name, array in found.items()}
    if shapes != wanted:
        raise ConfigError(
            f"checkpoint: {path!r} says {config.cell}, {config.hidden_size} units, on "
            f"{config.task}, but {difference(shapes, wanted)}"
        )
    leaves = [found[name][index] if seeds else found[name] for name in wanted]
    params = jax.tree.unflatten(jax.tree.structure(like), leaves)
    return jax.tree.map(_in_float32, params)


def zeros_like(config: Config) -> loop.ModelParams:
    """Returns parameters of the run's shapes, all zero."""
    task = task_of(config)
    init = partial(
        loop.init_model,
        cell=cell_of(config),
        input_size=task.input_size,
        output_size=task.output_size,
        hidden_size=config.hidden_size,
    )
    shapes = jax.eval_shape(init, jax.random.key(0))
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)


def _in_float32(leaf: Any) -> jax.Array:
    return jax.numpy.asarray(np.asarray(leaf, np.float32))
