"""Opens files of weights; the format is told from what the file begins with."""

import contextlib
import json
import stat
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lstm_jax import files
from lstm_jax.adapters.loading import keras_files, onnx_files, plug_ins
from lstm_jax.adapters.loading.source import Source, by_path, source_of
from lstm_jax.adapters.modules import library

WANTED = (
    "a file of weights, .safetensors, .pt, .pth, .h5, .keras, .onnx, .npz, .msgpack, "
    ".json or .nam, or a folder of Orbax"
)
PICKLE = b"\x80"  # begins a file of torch before 1.6, which was no zip file
# What a damaged file made its reader raise.
UNREADABLE = (*files.UNREADABLE, OSError, IndexError, AttributeError)


def read(path: str) -> Source:
    """Returns what a file of weights holds.

    Raises:
      OSError: there is none, or it can't be opened.
      ImportError: its format needs a package that is not installed.
      ValueError: it is of another kind, damaged, or a pickle that needs code.
    """
    place, what = Path(path), repr(path)
    if stat.S_ISDIR(files.status(path, WANTED).st_mode):
        return _guarded(what, "a folder of Orbax", lambda: _orbax(what, place))
    size = files.check_regular(path, WANTED)
    with contextlib.suppress(*UNREADABLE), zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    files.check_fits(path, size)
    with place.open("rb") as file:
        start = file.read(16)
    kind, open_it = _kind_of(what, place, start)
    return _guarded(what, kind, open_it)


def _kind_of(what: str, place: Path, start: bytes) -> tuple[str, Callable[[], Source]]:
    """Returns the format in words, and what reads the file."""
    path, suffix = str(place), place.suffix.lower()
    if start.startswith(b"\x89HDF"):
        return "a .h5 file", lambda: keras_files.of_h5(what, path)
    if start.startswith(b"PK"):
        return _kind_of_zip(what, path)
    if suffix == ".safetensors" or start[5:9] == b"\0\0\0{":
        return "a .safetensors file", lambda: _safetensors(what, path)
    if start.lstrip()[:1] == b"{":
        text = lambda: json.loads(place.read_text())
        return "JSON of weights", lambda: plug_ins.read(what, text())
    if suffix == ".onnx":
        return "an .onnx file", lambda: onnx_files.read(what, path)
    if suffix == ".msgpack":
        return "a .msgpack file of Flax", lambda: _msgpack(what, place)
    if suffix in (".pt", ".pth", ".bin") and start.startswith(PICKLE):
        return "a file of torch", lambda: _torch(what, path)
    raise ValueError(f"{what} begins with {start[:8]!r}; it must be {WANTED}")


def _kind_of_zip(what: str, path: str) -> tuple[str, Callable[[], Source]]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(f"{what} is a damaged zip file; it must be whole") from error
    if "config.json" in names:
        return "a .keras file", lambda: keras_files.of_keras(what, path)
    if any(name.endswith("data.pkl") for name in names):
        return "a file of torch", lambda: _torch(what, path)
    return "a .npz file of numbers", lambda: _npz(what, path)


def _guarded(what: str, kind: str, open_it: Callable[[], Source]) -> Source:
    """Reads a file; what its reader raises becomes one line."""
    try:
        return open_it()
    except UNREADABLE as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise ValueError(f"{what} can't be read as {kind}: {lines[0]}") from error


def _safetensors(what: str, path: str) -> Source:
    safetensors = library("safetensors", "safetensors")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return source_of(what, {key: file.get_tensor(key) for key in file.keys()})
    except safetensors.SafetensorError as error:
        raise ValueError(str(error)) from error


def _torch(what: str, path: str) -> Source:
    torch = library("torch", "torch")
    import pickle

    try:
        # torch warns of a newer pickle that it may not follow; if not, it raises.
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            "it needs code to be unpickled; it must be a state dict, as "
            "torch.save(module.state_dict(), path) writes it"
        ) from error
    return source_of(what, tensors_of(stored))


def tensors_of(stored: Any) -> dict[str, np.ndarray]:
    """Returns the tensors in nested mappings as arrays, by key."""
    found = {}
    for path, leaf in by_path(dict(stored)).items():
        if hasattr(leaf, "detach"):
            leaf = leaf.detach().cpu()
            wide = leaf.double() if str(leaf.dtype) == "torch.float64" else leaf.float()
            found[path] = wide.numpy() if leaf.is_floating_point() else leaf.numpy()
    return found


def _npz(what: str, path: str) -> Source:
    with np.load(path, allow_pickle=False) as stored:
        return source_of(what, {key: stored[key] for key in stored.files})


def _msgpack(what: str, place: Path) -> Source:
    serialization = library("flax.serialization", "flax")
    return source_of(what, by_path(serialization.msgpack_restore(place.read_bytes())))


def _orbax(what: str, place: Path) -> Source:
    checkpoint = library("orbax.checkpoint", "orbax-checkpoint")
    with checkpoint.PyTreeCheckpointer() as checkpointer:
        shapes = checkpointer.metadata(place.absolute()).item_metadata
        if shapes is None:
            raise ValueError("it holds no checkpoint")
        # As arrays of NumPy: the devices that wrote them need not be here.
        as_numpy = checkpoint.RestoreArgs(restore_type=np.ndarray)
        stored = checkpointer.restore(
            place.absolute(), restore_args=jax.tree.map(lambda _: as_numpy, shapes.tree)
        )
    return source_of(what, {k: np.asarray(leaf) for k, leaf in by_path(stored).items()})
