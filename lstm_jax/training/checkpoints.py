"""Checkpoints: a training state on disk, whole or not at all.

    save(folder, step, state, config=config, history=history)
    found = restore(folder, state, config=config)
    found.state, found.history, found.damaged

Each is a folder named by its step. Orbax writes its arrays, and `checksums` lists every
file in SHA256SUMS. A folder without SHA256SUMS is not a checkpoint.

What a killed process leaves behind:

* while writing: `.unfinished-...`, where Orbax writes and the sums are added; all of it
  is on the disk (fsync) before one rename makes it a checkpoint;
* after the rename: one checkpoint too many;
* while deleting the oldest: `.unfinished-...`, because it is renamed first.

So there is a whole checkpoint from the first rename on, and the next `save` tidies up.
Only one process at a time may write to a folder.
"""

import importlib.util
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

if importlib.util.find_spec("orbax") is None:
    raise ModuleNotFoundError(
        "lstm_jax.training.checkpoints needs Orbax: pip install 'lstm_jax[checkpoints]'"
    )

import orbax.checkpoint as ocp

from lstm_jax.checks import check_whole
from lstm_jax.inputs import is_key
from lstm_jax.training import checksums, disk
from lstm_jax.training.checksums import SUMS
from lstm_jax.training.loop import TrainState
from lstm_jax.training.settings import differences, plain, random_numbers

STATE, HISTORY = "state", "history"
STEP = re.compile(r"0|[1-9][0-9]{0,17}")
KNOWN = ("config", "random", "made")  # stored beside the arrays
FILE_OVERHEAD = 1 << 16  # bytes: indices and metadata of one checkpoint


class CheckpointError(RuntimeError):
    """A checkpoint that can't be written or read; its message is one line."""


class Saved(NamedTuple):
    """A checkpoint as it is on the disk.

    Attributes:
      config: the settings of the run.
      random: the settings that its random numbers depend on, besides the key.
      made: what it was made with, see `save`.
      state: leaves by path, as `named_arrays` gives them.
      history: arrays by name, as saved.
    """

    config: dict[str, Any]
    random: dict[str, Any]
    made: dict[str, Any]
    state: dict[str, np.ndarray]
    history: dict[str, np.ndarray]


class Restored(NamedTuple):
    """A checkpoint as a state to go on from.

    Attributes:
      step: updates done.
      state: the training state.
      history: arrays by name, as saved.
      made: what the checkpoint was made with, see `save`.
      damaged: steps of newer checkpoints that were damaged and passed over.
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
    """Writes the checkpoint of a step; returns once it is on the disk.

    Of several processes one does this, and their number has no effect on what is
    written.

    Args:
      folder: of all checkpoints of the run; made if it is missing.
      step: the name of the checkpoint, larger than those in the folder.
      state: what training goes on from; leaves may have any leading axes, and must be
        whole on this process, see `sharding.gather`.
      config: the settings of the run, as JSON or NumPy values; `restore` compares them.
      history: the results so far.
      made: what the run was made with, likewise; `restore` returns it.
      keep: how many of the newest checkpoints stay.

    Raises:
      ValueError: `step` is not larger than those in the folder, or `keep` is below 1.
      TypeError: `config` or `made` holds something that JSON can't store.
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
            checksums.write(staging / str(step))
            if os.path.lexists(folder / str(step)):  # without sums: not a checkpoint
                disk.remove(folder / str(step))
            disk.commit(staging / str(step), folder / str(step))
    # Orbax raises ValueError when the disk fills up.
    except (OSError, ValueError) as error:
        raise _failed(f"step {step} could not be written to", folder, error) from error
    _delete_oldest(folder, keep)


def latest(folder: Path | str) -> int | None:
    """Returns the step of the newest whole checkpoint, or None."""
    whole = (step for step in reversed(steps(folder)) if is_whole(folder, step))
    return next(whole, None)


def steps(folder: Path | str) -> list[int]:
    """Returns the steps of all checkpoints, even damaged ones, in ascending order."""
    return sorted(
        int(file.parent.name)
        for file in Path(folder).glob(f"*/{SUMS}")
        if STEP.fullmatch(file.parent.name)
    )


def restore(
    folder: Path | str, like: TrainState, *, config: Mapping[str, Any]
) -> Restored | None:
    """Returns the newest whole checkpoint, or None if the folder has none at all.

    Args:
      folder: of all checkpoints of the run.
      like: a state of the same structure, shapes and dtypes, such as the first one.
      config: of this run; it must equal that of the checkpoint.

    Raises:
      ValueError: the checkpoint has another configuration, other random numbers or
        another state; the message says what differs.
      CheckpointError: all checkpoints are damaged, or the newest whole one is not of
        this version.
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
    """Returns the contents of a whole checkpoint.

    Raises:
      CheckpointError: this version did not write it.
    """
    place = (Path(folder) / str(step)).resolve()
    try:
        with _checkpointer() as checkpointer:
            about: Any = checkpointer.metadata(place)
            tree = about.item_metadata.tree
            as_numpy = jax.tree.map(
                lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree
            )
            found = checkpointer.restore(
                place, args=ocp.args.PyTreeRestore(restore_args=as_numpy)
            )
        known = {name: dict(about.custom_metadata[name]) for name in KNOWN}
    # What Orbax and the lookups raise on a checkpoint of another version.
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{place} can't be read ({type(error).__name__}: {_reason(error)}); it "
            "must be a checkpoint of this version"
        ) from error
    state, history = (_below(name, found) for name in (STATE, HISTORY))
    return Saved(**known, state=state, history=history)


def clean(folder: Path | str, *, damaged: tuple[int, ...] = (), keep: int = 3) -> None:
    """Leaves a folder as an undisturbed `save` does.

    The steps in `damaged` are deleted, so that they can be saved again; of the others
    the newest `keep` stay.
    """
    folder = Path(folder)
    disk.tidy(folder)
    for step in damaged:
        disk.remove(folder / str(step))
    _delete_oldest(folder, keep)


def is_whole(folder: Path | str, step: int) -> bool:
    """Whether every file of a checkpoint is as it was written."""
    return checksums.hold(Path(folder) / str(step))


def named_arrays(tree: Any) -> dict[str, np.ndarray]:
    """Returns the leaves as NumPy arrays by path, "cell/w_ih"; keys as their data."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {_name(path): np.asarray(_without_key_type(leaf)) for path, leaf in leaves}


def with_arrays(like: TrainState, arrays: Mapping[str, np.ndarray]) -> TrainState:
    """Inverts `named_arrays`, given the structure; empty leaves may be missing."""

    def leaf_of(path, leaf):
        if leaf.size == 0:
            return leaf
        stored = jax.device_put(arrays[_name(path)])
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


def _without_key_type(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and is_key(leaf)


def _types(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Returns the type of each array, "float32[2, 8]", by name."""
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
    check_whole("step", step, 0)
    check_whole("keep", keep, 1)
    newest = max(steps(folder), default=-1)
    if step <= newest:
        raise ValueError(
            f"step: got {step}; it must be above {newest}, that of the newest "
            f"checkpoint in {folder}"
        )


def _refuse(place: str, what: str, found: list[str], most: int | None = None) -> None:
    """Refuses a checkpoint that differs, naming the first differences."""
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
    # One of several processes writes; Orbax must not wait for the others.
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
            what = f"step {step} could not be deleted from"
            raise _failed(what, folder, error) from error


def _reserve(folder: Path, num_bytes: int) -> None:
    """Raises OSError if there is no room, before Orbax writes half of it."""
    with tempfile.TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, num_bytes)


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or (str(error).splitlines() or ["?"])[0]


def _failed(what: str, folder: Path, error: BaseException) -> CheckpointError:
    """Returns the error of a checkpoint, which names the newest whole one."""
    step = latest(folder)
    newest = "there is none before it"
    if step is not None:
        newest = f"that of step {step} is whole"
    return CheckpointError(
        f"the checkpoint of {what} {folder} ({_reason(error)}); {newest}; put that "
        "right and resume"
    )
