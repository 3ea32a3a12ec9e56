"""Readers of a user's files: the arrays, or one line, whatever the file is."""

import io
import json
import os
import random
import signal
import struct
import zipfile
from typing import Any

import jax
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

import lstm_jax as lj
from experiments import explain
from experiments.common import sequences
from experiments.common.cli import ConfigError
from experiments.explain import weights_file
from experiments.explain.models import Config, read_model
from lstm_jax import files
from lstm_jax.training.checkpoints import named_arrays


def read_sequence(path):
    return sequences.read(explain.Config(weights="w.npz", sequence=path))


READERS = {
    "npy": read_sequence,
    "npz": lambda path: weights_file.read("file", path, None),
    "safetensors": lambda path: weights_file.read("file", path, None),
}
CELL = named_arrays({"cell": lj.LSTM.init(jax.random.key(0), 2, 3)})
TENSORS = {
    "weight_ih_l0": np.ones((12, 2), np.float32),
    "weight_hh_l0": np.ones((12, 3), np.float32),
}


def npy(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npy_of(header: str, body: bytes = bytes(48), version: int = 1) -> bytes:
    """A .npy file whose header says anything."""
    length = struct.pack("<H" if version == 1 else "<I", len(header) + 1)
    return b"\x93NUMPY" + bytes([version, 0]) + length + f"{header}\n".encode() + body


def npz(members, method=zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def tensors_of(header, body: bytes = b"") -> bytes:
    """A .safetensors file whose header says anything."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def with_headers(archive: bytes, offsets: tuple[int, int], value: int) -> bytes:
    """The archive with a byte in its central and its local headers replaced."""
    changed = bytearray(archive)
    for mark, offset in zip((b"PK\x01\x02", b"PK\x03\x04"), offsets, strict=True):
        at = changed.find(mark)
        while at >= 0:
            changed[at + offset] = value
            at = changed.find(mark, at + 1)
    return bytes(changed)


def claiming(shape, descr: Any = "<f8", **options) -> bytes:
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}}}"
    return npy_of(text, **options)


def one_tensor(key, dtype="F32", shape=(1,), size=4) -> bytes:
    entry = {"dtype": dtype, "shape": list(shape), "data_offsets": [0, size]}
    return tensors_of({key: entry}, bytes(min(size, 4096)))


ARCHIVE = npz({f"{name}.npy": npy(array) for name, array in CELL.items()})
ODD = {
    "8 GB that are not there": ("npy", claiming((2**30,))),
    "more than can be addressed": ("npy", claiming((2**40, 2**40))),
    "a shape of bools": ("npy", claiming((True, 3))),
    "a negative shape": ("npy", claiming((-3,))),
    "no shape": ("npy", claiming("None")),
    "objects": ("npy", claiming((2,), "|O")),
    "dates": ("npy", claiming((2,), "<M8[s]")),
    "fields with an escape code": ("npy", claiming((2,), [("a\x1b[31m", "<f8")])),
    "brackets without end": ("npy", npy_of("(" * 5000)),
    "an unknown version": ("npy", claiming((3,), version=4)),
    "a header that is cut": ("npy", npy(np.ones(3))[:40]),
    "data that are cut": ("npy", npy(np.ones(9))[:-8]),
    "an archive": ("npy", ARCHIVE),
    "beyond float64": ("npy", npy(np.array([1, np.longdouble("1e4000")]))),
    "an array": ("npz", npy(np.ones(3))),
    "text": ("npz", npz({"cell/w_hh.npy": b"hello"})),
    "8 GB in a member": ("npz", npz({"w_hh.npy": claiming((2**31,), "<f4")})),
    "encryption": ("npz", with_headers(ARCHIVE, (8, 6), 1)),
    "an unknown compression": ("npz", with_headers(ARCHIVE, (10, 8), 99)),
    "names with escape codes": ("npz", npz({"x\n\x1b[31m/w_hh.npy": npy(np.ones(3))})),
    "a layer ²": ("npz", npz({"²/w_hh.npy": npy(np.ones((3, 12)))})),
    "8 GB of header": ("safetensors", struct.pack("<Q", 2**33)),
    "8 GB of tensor": (
        "safetensors",
        one_tensor("weight_hh_l0", shape=(2**31,), size=2**33),
    ),
    "brackets": ("safetensors", struct.pack("<Q", 9999) + b"[" * 9999),
    "FP8": ("safetensors", one_tensor("weight_hh_l0", "F8_E4M3", (4,))),
    "FP4": ("safetensors", one_tensor("weight_hh_l0", "F4", (8,))),
    "bools": ("safetensors", one_tensor("weight_hh_l0", "BOOL", (4,))),
    "keys with escape codes": ("safetensors", one_tensor("x\n\x1b[31m.weight_hh_l0")),
    "a key without end": ("safetensors", one_tensor("x" * 100_000)),
}


def refusal(path):
    with pytest.raises(ConfigError) as caught:
        READERS[path.suffix[1:]](str(path))
    return str(caught.value)


def assert_one_line(message):
    assert message.isprintable()
    assert len(message) < 1100


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_refused_in_one_line(tmp_path, name):
    suffix, content = ODD[name]
    path = tmp_path / f"odd.{suffix}"
    path.write_bytes(content)
    message = refusal(path)
    assert_one_line(message)
    assert "odd." in message


@pytest.fixture
def no_waiting():
    """A reader that hangs is interrupted."""

    def interrupt(*_):
        raise TimeoutError

    former = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, former)


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("suffix", [*READERS, "csv"])
def test_a_pipe_a_device_and_a_folder_are_no_files(tmp_path, suffix):
    read = READERS.get(suffix, read_sequence)
    pipe, device, folder = (tmp_path / f"{n}.{suffix}" for n in ("p", "d", "f"))
    os.mkfifo(pipe)
    device.symlink_to("/dev/null")
    folder.mkdir()
    for path in (pipe, device, *[folder] * (suffix in ("npy", "csv"))):
        with pytest.raises(ConfigError, match="is not a regular file; it must be"):
            read(str(path))
    loop = tmp_path / f"loop.{suffix}"
    loop.symlink_to(loop)
    for path in (loop, tmp_path / f"{'x' * 300}.{suffix}"):
        with pytest.raises(ConfigError, match="can't be read"):
            read(str(path))
    with pytest.raises(ConfigError, match="can't be read"):
        read_model(Config(checkpoint="x" * 300))


def test_what_would_fill_the_memory_is_refused_before_it_is_read(tmp_path):
    size = files.memory()
    for path in (tmp_path / "large.npy", tmp_path / "large.safetensors"):
        with path.open("wb") as file:
            file.truncate(size)  # a hole: it takes no room on disk
        assert f"holds {files.in_words(size)}; it must be at most" in refusal(path)
    members = {f"{k}.npy": npy(np.zeros(3)) for k in range(size // 2**33 + 2)}
    packed = bytearray(npz(members, zipfile.ZIP_DEFLATED))
    at = packed.find(b"PK\x01\x02")
    while at >= 0:
        packed[at + 24 : at + 28] = b"\xfe\xff\xff\xff"  # 4 GiB, once unpacked
        at = packed.find(b"PK\x01\x02", at + 1)
    (tmp_path / "packed.npz").write_bytes(packed)
    assert "it must be at most" in refusal(tmp_path / "packed.npz")


GOOD = {
    "npy": [
        npy(np.random.default_rng(0).normal(size=(9, 2))),
        npy(np.arange(10)),
        npy(np.asfortranarray(np.ones((5, 3), np.float32))),
        npy(np.array([1, 2.5], ">f8")),
        npy(np.array([1, 2], np.float16)),
    ],
    "npz": [
        npz({f"{name}.npy": npy(array) for name, array in CELL.items()}, method)
        for method in (
            *(zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED),
            *(zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA),
        )
    ],
    "safetensors": [
        safetensors.numpy.save({key: t.astype(dtype) for key, t in TENSORS.items()})
        for dtype in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)
    ],
}
TOKENS = (
    *(b"<f8", b"<f4", b"|O", b">f2", b"<U9", b"|V8", b"F32", b"BF16", b"F8_E4M3"),
    *(b"I64", b"(9, 2)", b"[12,3]", b"99999999999", b"-1", b"True", b"None", b"1e9"),
    *(b"w_hh", b"w_ih", b"weight_hh_l0", b"weight_ih_l0", b"\x1b[31m", b"\n", b"'"),
)


def damaged(content: bytes, draw: random.Random) -> bytes:
    """The file with some bits, bytes, words and fields of its headers changed."""
    for _ in range(draw.choice((1, 1, 2, 4))):
        at = draw.randrange(max(1, min(len(content), draw.choice((40, 128, 9999)))))
        found = [token for token in TOKENS if token in content]
        headers = [at for at in range(len(content)) if content.startswith(b"PK", at)]
        kind = draw.randrange(6)
        if kind == 0:
            content = content[:at]
        elif kind == 1:
            content = content[:at] + draw.randbytes(1) + content[at + 1 :]
        elif kind == 2:
            content = content[:at] + content[at + draw.choice((1, 8, 100)) :]
        elif kind == 3 and found:
            content = content.replace(draw.choice(found), draw.choice(TOKENS), 1)
        elif kind == 4 and headers:
            at = draw.choice(headers) + draw.randrange(4, 30)
            content = content[:at] + draw.randbytes(2) + content[at + 2 :]
        else:
            size = draw.choice((0, 2**20, 2**33, 2**63))
            content = struct.pack("<Q", size) + content[8:]
    return content


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("suffix", READERS)
def test_a_good_file_is_read_and_a_damaged_one_read_or_refused(tmp_path, suffix):
    path = tmp_path / f"mine.{suffix}"
    for content in GOOD[suffix]:
        path.write_bytes(content)
        READERS[suffix](str(path))
    draw, refused = random.Random(2026), 0
    for _ in range(200):
        path.write_bytes(damaged(draw.choice(GOOD[suffix]), draw))
        try:
            READERS[suffix](str(path))
        except ConfigError as error:
            refused += 1
            assert_one_line(str(error))
    assert refused > 50
