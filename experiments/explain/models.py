"""The model that `experiments.explain` measures, and the sequences it reads."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from experiments.common import array_files, memory_limit, sequences
from experiments.common.cli import ConfigError
from experiments.common.sequences import Read
from experiments.explain import network, weights_file
from experiments.explain.config import DEFAULT_LAG, Config
from experiments.explain.network import Network, Weights
from experiments.train import saved_run
from experiments.train.saved_run import TrainedRun
from lstm_jax import readouts

CHECKPOINT = "the --out of experiments.train, or one of its checkpoints"
NOISE = "white noise of unit variance"


class Model(NamedTuple):
    """The model to explain; without a readout its last output is the answer."""

    network: Network
    params: Weights  # in float32
    readout: readouts.LinearParams | None
    sizes: tuple[int, int, int]  # (input, hidden, answer)
    run: TrainedRun | None  # the run that trained it; None for weights alone
    name: str  # of the file, or of the run's folder
    notes: tuple[str, ...] = ()  # what was assumed of weights


class Sequences(NamedTuple):
    """What the model reads; every sequence ends at the last step."""

    inputs: Float[Array, "time examples input"]  # with the warm-up
    counts: Bool[Array, "time examples"] | None  # see `measurements.measured`
    lag: int  # how many steps to look back
    what: str  # in words
    read: Read | None = None  # the user's own sequence
    columns: tuple[str, ...] | None = None  # names of the inputs, where there are any


def read_model(config: Config) -> Model:
    """Returns the model that the flags name.

    Raises:
      ConfigError: it can't be read, or a flag does not apply to it.
    """
    path = _run_of(config)
    if path is not None:
        if config.module is not None:
            raise ConfigError(
                f"module: got {config.module!r}; it must not be given for a run, which "
                "has one network"
            )
        return _of_run(path, saved_run.read_run(path, config.of_seed))
    if config.of_seed is not None:
        raise ConfigError(
            f"of_seed: got {config.of_seed}; it must not be given without a run of "
            "several seeds"
        )
    return _of_weights(config)


def _run_of(config: Config) -> str | None:
    """Returns the folder to read checkpoints of; None if there are weights to read."""
    path = config.checkpoint or config.file or ""
    if config.checkpoint is not None:
        array_files.status("checkpoint", path, CHECKPOINT)
        if Path(path).is_dir() and not (Path(path) / "final.npz").exists():
            return path
    return path if Path(path).is_dir() and saved_run.is_run(path) else None


def _of_weights(config: Config) -> Model:
    name = config.source
    path = getattr(config, name)
    final = Path(path) / "final.npz"
    inside = str(final) if name == "checkpoint" and Path(path).is_dir() else path
    found = weights_file.read(name, inside, config.module)
    title = Path(path).absolute().name
    sizes = network.sizes(found.network, found.params)
    return Model(*found[:2], None, sizes, None, title, found.notes)


def _of_run(path: str, run: TrainedRun) -> Model:
    cell, task = run.cell, run.task
    weights_file.check_finite("checkpoint", path, run.params)
    blocks, params = network.of(cell, run.params.cell)
    return Model(
        network=blocks,
        params=params,
        readout=run.params.readout,
        sizes=(task.input_size, run.config.hidden_size, task.output_size),
        run=run,
        name=run.name,
    )


def sequences_of(config: Config, model: Model) -> Sequences:
    """Returns the given sequence, or sequences of the run's task, or noise.

    Raises:
      ConfigError: the sequence can't be read, does not fit the model, or is too short.
    """
    if config.sequence is not None:
        return _given(config, model)
    if model.run is not None:
        return _of_task(config, model, model.run)
    lag = config.lag or DEFAULT_LAG
    steps = 1 + lag * (1 if network.reads_whole(model.network) else 2)
    inputs, units, _ = model.sizes
    read = (2, "lag", "num_examples")
    sizes = {"lag": lag, "num_examples": config.num_examples}
    memory_limit.check(sizes, [(*read, inputs), (*read, units)])
    shape = (steps, config.num_examples, inputs)
    drawn = jax.random.normal(jax.random.key(config.seed), shape)
    return Sequences(jax.block_until_ready(drawn), None, lag, NOISE)


def _given(config: Config, model: Model) -> Sequences:
    input_size, hidden_size, _ = model.sizes
    found = sequences.read(config)
    num_steps, several, width = found.values.shape
    if width != input_size:
        raise ConfigError(
            f"sequence: {config.sequence!r} has {width} features per step, "
            f"{', '.join(map(repr, found.columns))}; it must have {input_size}, for "
            "these weights: --columns=NAME,... takes some"
        )
    what = repr(config.sequence)
    lag = _checked_lag(config, num_steps, what, model.network)
    largest = ("num_examples", num_steps, max(input_size, hidden_size))
    memory_limit.check({"num_examples": config.num_examples}, [largest])
    of_example = np.arange(config.num_examples) % several  # in turn
    if several > config.num_examples:
        what = f"the first {config.num_examples} of {several} sequences of {what}"
    inputs = found.values[:, of_example].astype(np.float32)
    return Sequences(jnp.asarray(inputs), None, lag, what, found, found.columns)


def _of_task(config: Config, model: Model, run: TrainedRun) -> Sequences:
    """Returns test sequences of the task, shifted to end at the same step."""
    task, length = run.task, run.config.length
    largest = ("num_examples", length, max(task.input_size, run.config.hidden_size))
    memory_limit.check({"num_examples": config.num_examples}, [largest])
    sample = jax.jit(task.sample_test, static_argnums=(1, 2))
    batch = sample(jax.random.key(config.seed), config.num_examples, length)
    lengths = np.asarray(batch.lengths)
    before = length - lengths
    steps = np.arange(length)[:, None]
    moved = np.take_along_axis(
        np.asarray(batch.inputs), ((steps - before) % length)[..., None], axis=0
    )
    what = f"{config.num_examples} sequences of {run.called}"
    if before.any() and network.reads_whole(model.network):
        raise ConfigError(
            f"file: the sequences of {run.called} end at different steps, and the run "
            "reads them from both ends; it must be given a --sequence"
        )
    lag = _checked_lag(config, int(lengths.min()), what, model.network)
    counts = jnp.asarray(steps >= before) if before.any() else None
    names = run.learnt.inputs
    return Sequences(jnp.asarray(moved), counts, lag, what, columns=names)


def _checked_lag(config: Config, num_steps: int, of: str, read_by: Network = ()) -> int:
    longest = num_steps - 1
    lag = config.lag or longest
    if not 2 <= lag <= longest:
        raise ConfigError(
            f"lag: got {lag}; it must be in [2, {longest}], for the {num_steps} "
            f"steps of {of}"
        )
    if lag < longest and network.reads_whole(read_by):
        raise ConfigError(
            f"lag: got {lag}; it must not be given with {of}, which a bidirectional "
            f"layer reads whole, {num_steps} steps"
        )
    return lag
