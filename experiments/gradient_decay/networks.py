"""What is watched, and the untrained networks that watch it."""

import jax
import jax.numpy as jnp

import lstm_jax as lj
from experiments.common import gradient_shares, sequences, training
from experiments.common.cli import ConfigError
from experiments.common.gradient_shares import Watched
from experiments.common.variants import variants_of
from experiments.gradient_decay.config import DEFAULT_LAG, Config
from lstm_jax import initializers
from lstm_jax.training import loop


def watched_in(config: Config) -> Watched:
    """Returns test shows, or the sequence that was given."""
    if config.sequence is None:
        lag = config.lag or DEFAULT_LAG
        return gradient_shares.watched_show(
            jax.random.key(config.seed), config.rendering, lag, config.num_examples
        )
    found = sequences.read(config, config.dtype)
    num_steps = len(found.values)
    longest = num_steps - 1
    lag = config.lag or longest
    if lag > longest:
        raise ConfigError(
            f"lag: got {lag}; it must be at most {longest}, for the {num_steps} "
            f"steps of {config.sequence!r}"
        )
    return gradient_shares.watched_sequence(found, lag)


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
