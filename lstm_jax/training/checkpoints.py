"""Checkpoints: a training state on disk, whole or not at all.

    save(folder, step, state, config=config, history=history)
    found = restore(folder, state, config=config)
    found.state, found.history, found.damaged

Each is a folder named by its step. Orbax writes its arrays, and `sums` lists every
file in SHA256SUMS. A folder without SHA256SUMS is no checkpoint.

What a killed process leaves, by what it was at:

* writing: `.unfinished-...`, in which Orbax writes and the sums are added; all of it is
  on the disk (fsync) before one rename makes it a checkpoint;
* after the rename: one checkpoint more than are to stay;
* deleting the oldest: `.unfinished-...`, for it loses its name first.

So there is a whole checkpoint from the first rename on, and the next `save` tidies up.
One process at a time writes to a folder.
"""

import importlib.util
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

if importlib.util.find_spec("orbax") is None:
    raise ModuleNotFoundError(
        "lstm_jax.training.checkpoints needs Orbax: pip install 'lstm_jax[checkpoints]'"
    )

import orbax.checkpoint as ocp

from lstm_jax.training import disk, sums
from lstm_jax.training.loop import TrainState
from lstm_jax.training.settings import differences, plain, random_numbers
from lstm_jax.training.sums import SUMS

STATE, HISTORY = "state", "history"
STEP = re.compile(r"0|[1-9][0-9]{0,17}")
KNOWN = ("config", "random", "made")  # what is said about the arrays
FILE_OVERHEAD = 1 << 16  # bytes: indices and metadata of one checkpoint


class CheckpointError(RuntimeError):
    """A checkpoint that can't be written or read; its message is one line."""


class Saved(NamedTuple):
    """A checkpoint as it lies on the disk.

    Attributes:
      config: what decides the run.
      random: what decides its random numbers beside the key's bits.
      made: what it was made with, see `save`.
      state: leaf by path, as `named_arrays` gives it.
      history: as it was saved, by name.
    """

    config: dict[str, Any]
    random: dict[str, Any]
    made: dict[str, Any]
    state: dict[str, np.ndarray]
    history: dict[str, np.ndarray]


class Restored(NamedTuple):
    """What was read.

    Attributes:
      step: updates done.
      state: of the training.
      history: as it was saved, by name.
      made: what the checkpoint was made with, see `save`.
      damaged: newer checkpoints, by step, that were not whole and were passed over.
    """

    step: int
    state: TrainState
    history: dict[str, np.ndarray]
    made: dict[str, Any]
    damaged: tuple[int, ...]


def save(
    folder: Path | str,
    step: int,
    state: TrainState,
    *,
    config: Mapping[str, Any],
    history: Mapping[str, np.ndarray],
    made: Mapping[str, Any] | None = None,
    keep: int = 3,
) -> None:
    """Writes the checkpoint of a step; returns once it is on disk.

    One of several processes does this, with arrays that it holds as a whole; how many
    there are leaves no trace in what is written.

    Args:
      folder: of all checkpoints of the run; made where it is missing.
      step: the name of the checkpoint, beyond those that are there.
      state: what training goes on from; its leaves may have any leading axes, and are
        whole on this process, see `sharding.gather`.
      config: what decides the run, as JSON knows it, and NumPy's numbers; `restore`
        compares it.
      history: what was found up to here.
      made: what the run was made with, likewise; `restore` returns it.
      keep: how many checkpoints stay, the newest ones.

    Raises:
      ValueError: `step` is not beyond those that are there, or `keep` is below 1.
      TypeError: `config` or `made` holds what JSON does not know.
      CheckpointError: it can't be written, as on a full disk; older ones stay whole.
    """
    folder = Path(folder)
    _check_step(folder, step, keep)
    arrays = {
        **{f"{STATE}/{name}": leaf for name, leaf in named_arrays(state).items()},
        **{f"{HISTORY}/{name}": np.asarray(v) for name, v in history.items()},
    }
    about = {"config": config, "random": _random_of(state), "made": made or {}}
    about = {name: plain(values) for name, values in about.items()}
    try:
        disk.make_folder(folder)
        disk.tidy(folder)
        _reserve(folder, sum(leaf.nbytes for leaf in arrays.values()) + FILE_OVERHEAD)
        with disk.unfinished(folder) as staging:
            staging.mkdir()
            _write(staging / str(step), arrays, about)
            sums.write(staging / str(step))
            _clear(folder / str(step))
            disk.commit(staging / str(step), folder / str(step))
    # Orbax tells of a disk that fills up meanwhile by ValueError.
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"the checkpoint of step {step} could not be written to {folder} "
            f"({_reason(error)}); {_newest(folder)}; put that right and resume"
        ) from error
    _delete_oldest(folder, keep)


def latest(folder: Path | str) -> int | None:
    """Returns the step of the newest checkpoint that is whole; or None."""
    return next(
        (step for step in reversed(steps(folder)) if is_whole(folder, step)), None
    )


def steps(folder: Path | str) -> list[int]:
    """Returns the steps of all checkpoints, ascending, damaged ones too."""
    return sorted(
        int(file.parent.name)
        for file in Path(folder).glob(f"*/{SUMS}")
        if STEP.fullmatch(file.parent.name)
    )


def restore(
    folder: Path | str, like: TrainState, *, config: Mapping[str, Any]
) -> Restored | None:
    """Returns the newest checkpoint that is whole; None where there never was one.

    Args:
      folder: of all checkpoints of the run.
      like: a state of the same structure, shapes and dtypes, such as the first one.
      config: of this run, which must be that of the checkpoint.

    Raises:
      ValueError: the checkpoint is that of another configuration, of other random
        numbers or of another state; says what differs.
      CheckpointError: there are checkpoints, and all are damaged, or the newest whole
        one is not of this version.
    """
    folder = Path(folder)
    found, step = steps(folder), latest(folder)
    if not found:
        return None
    if step is None:
        raise CheckpointError(
            f"all checkpoints in {folder} are damaged: "
            f"{', '.join(map(str, found))}; start again in another folder"
        )
    saved = read(folder, step)
    place = f"the checkpoint of step {step} in {folder}"
    _refuse(place, "of another configuration", differences(saved.config, config))
    _refuse(
        place, "of other random numbers", differences(saved.random, _random_of(like))
    )
    here = {name: leaf for name, leaf in named_arrays(like).items() if leaf.size}
    _refuse(
        place, "of another state", differences(_types(saved.state), _types(here)), 1
    )
    return Restored(
        step=step,
        state=with_arrays(like, saved.state),
        history=saved.history,
        made=saved.made,
        damaged=tuple(newer for newer in found if newer > step),
    )


def read(folder: Path | str, step: int) -> Saved:
    """Returns what a checkpoint holds, which should be whole.

    Raises:
      CheckpointError: it is not one that this version writes.
    """
    place = (Path(folder) / str(step)).resolve()
    try:
        with _checkpointer() as checkpointer:
            # The type of these fields is Orbax's own mapping.
            about: Any = checkpointer.metadata(place)
            tree = about.item_metadata.tree
            as_numpy = jax.tree.map(
                lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree
            )
            found = checkpointer.restore(
                place, args=ocp.args.PyTreeRestore(restore_args=as_numpy)
            )
        known = {name: dict(about.custom_metadata[name]) for name in KNOWN}
    # What Orbax raises, and its parts, where they are not what they should be.
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{place} can't be read ({type(error).__name__}: {_reason(error)}); it "
            "must be a checkpoint of this version"
        ) from error
    state, history = (_below(name, found) for name in (STATE, HISTORY))
    return Saved(**known, state=state, history=history)


def clean(folder: Path | str, *, damaged: tuple[int, ...] = (), keep: int = 3) -> None:
    """Leaves a folder as a `save` does that nothing disturbed.

    Args:
      folder: of all checkpoints of a run.
      damaged: those that are deleted, so that their steps can be saved anew.
      keep: how many of the others stay, the newest ones.
    """
    folder = Path(folder)
    disk.tidy(folder)
    for step in damaged:
        disk.remove(folder / str(step))
    _delete_oldest(folder, keep)


def is_whole(folder: Path | str, step: int) -> bool:
    """Whether every file of a checkpoint is what was written."""
    return sums.hold(Path(folder) / str(step))


def named_arrays(tree: Any) -> dict[str, np.ndarray]:
    """Returns every leaf as a NumPy array by its path, "cell/w_ih"; keys as their data.

    Paths are those of `jax.tree_util.keystr`, with slashes.
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {_name(path): np.asarray(_without_key_type(leaf)) for path, leaf in leaves}


def with_arrays(like: TrainState, arrays: Mapping[str, np.ndarray]) -> TrainState:
    """Returns a state made of what `named_arrays` gave, with the structure of `like`.

    Leaves without elements may be missing.
    """

    def leaf_of(path, leaf):
        if leaf.size == 0:
            return leaf
        stored = jnp.asarray(arrays[_name(path)])
        if _is_key(leaf):
            return jax.random.wrap_key_data(stored, impl=jax.random.key_impl(leaf))
        return stored

    return jax.tree_util.tree_map_with_path(leaf_of, like)


def _below(folder: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(f"{folder}/"): array
        for name, array in arrays.items()
        if name.startswith(f"{folder}/")
    }


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(
        leaf.dtype, jax.dtypes.prng_key
    )


def _without_key_type(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _types(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Returns what `differences` compares: "float32[2, 8]" by name."""
    return {name: f"{a.dtype}{list(a.shape)}" for name, a in arrays.items()}


def _random_of(state: TrainState) -> dict[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(state)
    keys = {
        _name(path): str(jax.random.key_impl(leaf))
        for path, leaf in leaves
        if _is_key(leaf)
    }
    return {**random_numbers(), **keys}


def _check_step(folder: Path, step: int, keep: int) -> None:
    if step < 0:
        raise ValueError(f"step: got {step}; it must be at least 0")
    newest = max(steps(folder), default=-1)
    if step <= newest:
        raise ValueError(
            f"step: got {step}; it must be above {newest}, that of the newest "
            f"checkpoint in {folder}"
        )
    if keep < 1:
        raise ValueError(f"keep: got {keep}; it must be at least 1")


def _refuse(place: str, what: str, found: list[str], most: int | None = None) -> None:
    """Raises ValueError where something differs, naming the first ones."""
    rest = f"; {len(found) - most} more differ" if most and found[most:] else ""
    if found:
        raise ValueError(f"{place} is that {what}: {'; '.join(found[:most])}{rest}")


def _write(
    place: Path, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> None:
    # Orbax refuses arrays without elements.
    filled = {name: leaf for name, leaf in arrays.items() if leaf.size}
    with _checkpointer() as checkpointer:
        checkpointer.save(
            place.resolve(),
            args=ocp.args.PyTreeSave(filled),
            custom_metadata=dict(about),
        )


def _checkpointer() -> ocp.Checkpointer:
    # Of several processes one writes whole arrays; Orbax must not wait for the others.
    alone = ocp.options.MultiprocessingOptions(
        primary_host=jax.process_index(),
        active_processes={jax.process_index()},
        barrier_sync_key_prefix="alone",
    )
    return ocp.Checkpointer(
        ocp.PyTreeCheckpointHandler(multiprocessing_options=alone),
        multiprocessing_options=alone,
    )


def _delete_oldest(folder: Path, keep: int) -> None:
    for step in steps(folder)[:-keep]:
        try:
            disk.remove(folder / str(step))
        except OSError as error:
            raise CheckpointError(
                f"the checkpoint of step {step} could not be deleted from {folder} "
                f"({_reason(error)}); {_newest(folder)}; put that right and resume"
            ) from error


def _clear(place: Path) -> None:
    """Deletes what stands in the place of a checkpoint and is none."""
    if os.path.lexists(place):
        disk.remove(place)


def _reserve(folder: Path, num_bytes: int) -> None:
    """Raises OSError where there is no room, before Orbax writes half of it."""
    with tempfile.TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, num_bytes)


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or (str(error).splitlines() or ["?"])[0]


def _newest(folder: Path) -> str:
    step = latest(folder)
    return (
        "there is none before it" if step is None else f"that of step {step} is whole"
    )
