"""Take a trained network elsewhere: to torch, to ONNX Runtime, or as a program.

  python -m experiments.export out/adding --to=model.onnx
  python -m experiments.export model.keras --to=model.safetensors
  python -m experiments.export --checkpoint=out/adding --to=model.stablehlo

The network is a run of `experiments.train`, or weights in any format that
`lj.adapters.load` takes, with their readout where it is found. The end of the name says
what is written; a file of that name is replaced.

  .safetensors   torch's layout: rnn.weight_ih_l0, rnn.weight_hh_l0, rnn.bias_ih_l0, ...
                 and readout.weight, readout.bias, for
                 `torch.nn.ModuleDict({"rnn": torch.nn.LSTM(...),
                 "readout": torch.nn.Linear(...)})`; rnn, lstm, gru, projection_lstm
  .onnx          x, h0, c0 -> y, hn, cn, see `lj.adapters.to_onnx`; rnn, lstm, gru,
                 gru_reset_before
  .stablehlo     for `jax.export.deserialize`, see `lj.adapters.to_stablehlo`; any cell
                 whose memory begins with zeros

All are float32 and time first, (time, batch, input), and show the answer of every step.

Expected: what reads the file gives the numbers of `lj.unroll` to 1e-5.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

import lstm_jax as lj
from experiments.common import array_files, cli
from experiments.common.cli import ConfigError, option
from experiments.train import saved_run
from lstm_jax.adapters import Loaded
from lstm_jax.adapters.modules import library
from lstm_jax.adapters.networks import layers_of, network_of
from lstm_jax.training import disk

NAME = "export"
# What torch.nn computes; weights of others may have the same names and shapes.
OF_TORCH = (lj.RNN, lj.rnn("relu"), lj.LSTM, lj.GRU, lj.cells.PROJECTION_LSTM)
ENDS = (".safetensors", ".onnx", ".stablehlo")
READ_AT_BOTH_ENDS = (
    "no step of y is the answer of this run, which reads where each direction ends: "
    "h of both directions of the last layer (hn[-2] and hn[-1] of ONNX, h_n of torch) "
    "side by side, times readout/w of final.npz or best.npz, plus readout/b"
)
WANTED = ".safetensors, .onnx or .stablehlo"


@dataclass(frozen=True)
class Config(cli.Flags):
    """What to export, and to which file; every field is a flag."""

    file: str | None = option(
        None,
        cli.optional(cli.text()),
        "the --out of experiments.train, or weights in any format that "
        "lj.adapters.load takes; may be given without --file=",
        positional=True,
    )
    checkpoint: str | None = option(
        None,
        cli.optional(cli.text()),
        "the --out of experiments.train, one of its checkpoints, or its final.npz",
    )
    of_seed: int | None = option(
        None,
        cli.optional(cli.seed()),
        "which network, if the run trained several seeds",
    )
    module: str | None = option(
        None,
        cli.optional(cli.text()),
        "which of several modules in the file: the prefix of its keys",
    )
    to: str | None = option(
        None, cli.optional(cli.text()), f"the file to write; it ends in {WANTED}"
    )

    def __post_init__(self) -> None:
        """Checks each field, that there is one network, and what is to be written."""
        super().__post_init__()
        given = [self.file, self.checkpoint]
        if sum(path is not None for path in given) != 1:
            raise ConfigError(
                f"file, checkpoint: got {given}; it must be exactly one, such as "
                "out/adding"
            )
        if self.path.suffix not in ENDS:
            raise ConfigError(f"to: got {self.to!r}; it must end in {WANTED}")
        if self.path.resolve() == Path(self.checkpoint or self.file or "").resolve():
            raise ConfigError(
                f"to: got {self.to!r}, which is what is read; it must be another file"
            )

    @property
    def path(self) -> Path:
        """The file to write."""
        return Path(self.to or "")


class Network(NamedTuple):
    """What is exported."""

    network: Loaded
    input_size: int


def read(config: Config) -> Network:
    """Returns the network that the flags name.

    Raises:
      ConfigError: it can't be read, or a flag does not apply to it.
    """
    name = "file" if config.checkpoint is None else "checkpoint"
    path = getattr(config, name)
    array_files.status(name, path, "weights, or the --out of experiments.train")
    if Path(path).is_dir() and saved_run.is_run(path):
        if config.module is not None:
            raise ConfigError(
                f"module: got {config.module!r}; it must not be given for a run"
            )
        return _of_run(saved_run.read_run(path, config.of_seed))
    if config.of_seed is not None:
        raise ConfigError(
            f"of_seed: got {config.of_seed}; it must not be given without a run"
        )
    final = Path(path) / "final.npz"
    try:
        loaded = lj.adapters.load(final if final.exists() else path, config.module)
    except (ValueError, OSError, ImportError) as error:
        start = "" if str(error).startswith("module: ") else f"{name}: "
        raise ConfigError(f"{start}{error}") from error
    first = layers_of(loaded)[0][1][0]
    return Network(loaded, getattr(first, "cell", first).w_ih.shape[0])


def _of_run(run: saved_run.TrainedRun) -> Network:
    config, params = run.config, run.params
    network = network_of(run.cell, params.cell, params.readout)
    if config.bidirectional and run.task.answers == "last_step":
        network = network._replace(notes=(READ_AT_BOTH_ENDS,))
    return Network(network, run.task.input_size)


def content(exported: Network, end: str) -> bytes:
    """Returns what a file with this end holds.

    Raises:
      ConfigError: it can't hold this network, or a package is not installed.
    """
    network, input_size = exported
    parts = network.cell, network.params
    try:
        if end == ".safetensors":
            return _safetensors(network)
        if end == ".onnx":
            return lj.adapters.to_onnx(*parts, network.readout).SerializeToString()
        return lj.adapters.to_stablehlo(*parts, input_size, network.readout)
    except ImportError as error:
        raise ConfigError(f"to: {error}") from error
    except (ValueError, TypeError) as error:
        raise ConfigError(str(error)) from error


def _safetensors(network: Loaded) -> bytes:
    cells = {cell.step for cell, _ in layers_of(network)}
    if len(cells) > 1 or not cells <= {cell.step for cell in OF_TORCH}:
        raise ValueError(
            f"cell: got {network.cell.name!r}, which torch.nn does not have; it must "
            "be rnn, lstm, gru, projection_lstm or a stack of one; StableHLO takes any "
            "cell"
        )
    arrays = {f"rnn.{k}": a for k, a in lj.to_torch(network.params).items()}
    if network.readout is not None:
        w, b = map(np.asarray, network.readout)
        arrays |= {"readout.weight": np.ascontiguousarray(w.T), "readout.bias": b}
    save = library("safetensors.numpy", "safetensors").save
    return save(arrays, metadata={"cell": network.cell.name})


def write(config: Config) -> None:
    """Reads the network, writes the file, and says what it holds."""
    exported, path = read(config), config.path
    made = content(exported, path.suffix)
    try:
        with disk.folder_if_used(path.parent):
            disk.replace_file(path, made)
    except OSError as error:
        raise ConfigError(
            f"to: can't write {config.to!r} ({error.strerror}); it must be a file in a "
            "folder that can be made and written to"
        ) from error
    network = exported.network
    for note in network.notes:
        print(f"note: {note}")
    layers, sides = network.layers, network.directions
    print(
        f"{network.cell.name}, {layers} layer{'s' * (layers > 1)}"
        f"{' in both directions' * (sides > 1)}, "
        f"x (time, batch, {exported.input_size}), "
        f"{'without a' if network.readout is None else 'with its'} readout, "
        f"in {path.resolve()}"
    )


if __name__ == "__main__":
    cli.begin(Config, write)
