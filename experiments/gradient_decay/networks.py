"""What is watched, and the untrained networks that watch it."""

import jax
import jax.numpy as jnp

import lstm_jax as lj
from experiments.common import gradient_shares, own_data, sequences, training
from experiments.common.cli import ConfigError
from experiments.common.gradient_shares import Watched
from experiments.common.variants import variants_of
from experiments.gradient_decay.config import DEFAULT_LAG, Config
from lstm_jax import initializers
from lstm_jax.training import loop


def watched_in(config: Config) -> Watched:
    """Returns test shows, windows of the data, or the sequence that was given."""
    if config.data is not None:
        return _windows(config)
    if config.sequence is None:
        lag = config.lag or DEFAULT_LAG
        return gradient_shares.watched_show(
            jax.random.key(config.seed), config.rendering, lag, config.num_examples
        )
    found = sequences.read(config, config.dtype)
    num_steps = len(found.values)
    lag = _lag(config, num_steps, f"steps of {config.sequence!r}")
    return gradient_shares.watched_sequence(found, lag)


def task_of(config: Config) -> lj.Task:
    """Returns what networks are trained on, the show or the user's own table."""
    if config.data is not None:
        return own_data.task_of(config)
    return lj.tasks.nature_show(config.rendering)


def _windows(config: Config) -> Watched:
    """Returns windows of the test, whose own prediction is differentiated."""
    task, steps = task_of(config), config.window or 0
    if steps < 2:
        raise ConfigError(
            f"window: got {steps}; it must be at least 2, for a gradient to go back"
        )
    key = jax.random.key(config.seed)
    batch = gradient_shares.sampled(task.sample_test, key, config.num_examples, steps)
    return Watched(task, batch.inputs, None, _lag(config, steps, "steps of a window"))


def _lag(config: Config, num_steps: int, of: str) -> int:
    longest = num_steps - 1
    lag = config.lag or longest
    if not 1 <= lag <= longest:
        raise ConfigError(
            f"lag: got {lag}; it must be in [1, {longest}], for the {num_steps} {of}"
        )
    return lag


def cell_of(config: Config, name: str) -> lj.Cell:
    """Returns a cell by its name; the RNN has the activation that was asked for."""
    return lj.rnn(config.activation) if name == "rnn" else lj.CELLS[name]


def initial_models(config: Config, watched: Watched, name: str) -> loop.ModelParams:
    """Returns untrained networks, leaves (variant * seed, ...)."""
    key = jax.random.fold_in(jax.random.key(config.seed), list(lj.CELLS).index(name))
    num_answers = 1 if watched.task is None else watched.task.output_size
    return training.initial_models(
        variants_of(name, config.biases, watched.lag),
        jax.random.split(key, config.num_seeds),
        cell_of(config, name),
        (watched.inputs.shape[-1], config.hidden_size, num_answers),
        gain=config.gain,
        recurrent_init=initializers.INITIALIZERS[config.recurrent_init],
        dtype=jnp.dtype(config.dtype),
    )
