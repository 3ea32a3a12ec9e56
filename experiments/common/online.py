"""On-line training as in 1997: one sequence an update, plain steps, until it is solved.

Many nets side by side; a compiled call takes up to `SEQUENCES_PER_CALL` updates, and
after each the nets that are solved are counted.

Some nets of 1997 get their memory late, once the error of the rest has stopped falling.
Here the readout's weights of the memory are 0 until then, which is the same: nothing
reads the memory, so that no error reaches it.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lstm_jax as lj
from experiments.common import compiling
from experiments.common.progress import Advance
from lstm_jax import readouts
from lstm_jax.cells import shapes
from lstm_jax.initializers import Initializer
from lstm_jax.training import loop, runs
from lstm_jax.training.runs import Recipe

SEQUENCES_PER_CALL = 1000  # one entry of a curve
WATCHED = 100  # sequences over which an error that falls is compared
FALLING = 0.99  # of the error of the sequences before them


class Learned(NamedTuple):
    """Nets that were trained until they were solved, or time was up.

    Attributes:
      params: leaves (net, ...).
      solved_at: (net,), the sequence that met the criterion; inf where none did.
      curve: (net, entry), means of the losses of `SEQUENCES_PER_CALL` sequences each;
        NaN after the end.
      grown_at: (net,), the sequence after which the memory was added, 0 where it was
        there from the start.
    """

    params: loop.ModelParams
    solved_at: np.ndarray
    curve: np.ndarray
    grown_at: np.ndarray


def sgd(learning_rate: float) -> optax.GradientTransformation:
    """Returns the steps of 1997, on errors that are halves of squares.

    There Δw = α f'(net) (target - output) ..., so that a loss without the factor 1/2
    takes α / 2.
    """
    return optax.sgd(learning_rate / 2)


def growing(
    optimizer: optax.GradientTransformation, memories: int, grown: Any
) -> optax.GradientTransformation:
    """Returns the optimizer that leaves the readout of the memory alone until `grown`.

    Args:
      optimizer: of all weights.
      memories: first features of the readout.
      grown: 1, or 0 until then; may be traced.
    """

    def mask(updates, params=None):
        del params
        w = updates.readout.w.at[:memories].multiply(grown)
        return updates._replace(readout=updates.readout._replace(w=w))

    return optax.chain(optimizer, optax.stateless(mask))


def weights_within(bound: float) -> Initializer:
    """Returns weights from U[-bound, bound]."""

    def draw(key, shape, dtype=float):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return draw


def initial_nets(
    keys: jax.Array,
    cell: lj.Cell,
    sizes: tuple[int, int, int],
    bound: float,
    *,
    biased: bool = True,
    **options: Any,
) -> loop.ModelParams:
    """Returns a net for each key, leaves (net, ...), its weights from U[-bound, bound].

    `sizes` are those of inputs, units and outputs; `options` are of `cell.init`. Biases
    are as `cell.init` has them, those of the output units 0 or, not `biased`, absent.
    """
    init, (inputs, hidden, outputs) = weights_within(bound), sizes
    taken = inspect.signature(cell.init).parameters
    inits = {n: init for n in ("input_init", "recurrent_init") if n in taken}

    def one(key):
        key_cell, key_readout = jax.random.split(key)
        cells = cell.init(key_cell, inputs, hidden, **inits, **options)
        shown = shapes.output_size(cell, cells, inputs)
        readout = readouts.init_linear(
            key_readout, shown, outputs, init=init, biased=biased
        )
        return loop.ModelParams(cell=cells, readout=readout)

    return jax.jit(jax.vmap(one), compiler_options=compiling.soon())(keys)


def num_weights(nets: loop.ModelParams) -> int:
    """Returns the weights of one net, biases among them."""
    return sum(leaf.size // len(leaf) for leaf in jax.tree.leaves(nets))


def train(
    nets: loop.ModelParams,
    recipe: Recipe,
    keys: jax.Array,
    *,
    most: int,
    tell: Callable[[int, int], None],
    memories: int = 0,
) -> Learned:
    """Returns the nets after at most `most` sequences each.

    Args:
      nets: leaves (net, ...).
      recipe: of all nets; batch_size 1 is on-line.
      keys: one for each net; its sequences follow from it.
      most: sequences.
      tell: called with sequences and the nets solved, after every call.
      memories: of a net whose memory is added late, the first features of its readout;
        `recipe.optimizer_of` then takes the number `grown`, as in `growing`.
    """
    program = runs.program(
        recipe, most_steps=SEQUENCES_PER_CALL, compiler_options=compiling.soon()
    )
    grown_at = np.full(len(keys), np.inf if memories else 0.0)
    optimizer = recipe.optimizer_of(**_settings(memories, 1.0).hyperparams)
    begin = jax.vmap(partial(loop.begin_training, optimizer=optimizer))
    whole = nets.readout.w[:, :memories]
    bare = _reading(nets, jnp.zeros_like(whole), np.isinf(grown_at))
    states = jax.jit(begin, compiler_options=compiling.soon())(keys, bare)
    losses, done, solved = [], 0, np.zeros(len(keys), bool)
    while done < most and not solved.all():
        watching = not np.isfinite(grown_at).all()
        count = min(WATCHED if watching else SEQUENCES_PER_CALL, most - done)
        grown = jnp.asarray(np.isfinite(grown_at), jnp.float32)
        states, history = program.steps(states, _settings(memories, grown), count)
        losses.append(np.asarray(history.loss)[:, :count])
        done += count
        if watching:
            ripe = np.isinf(grown_at) & _stopped_falling(losses)
            grown_at[ripe] = done
            states = states._replace(params=_reading(states.params, whole, ripe))
        solved = np.asarray(states.solved_at) >= 0
        tell(count, int(solved.sum()))
    solved_at = np.where(solved, np.asarray(states.solved_at), np.inf)
    curve = _curve(np.concatenate(losses, axis=1), most)
    return Learned(states.params, solved_at, curve, grown_at)


def _stopped_falling(losses: list[np.ndarray]) -> np.ndarray:
    """Returns for which nets the last call's error isn't below the one before."""
    if len(losses) < 2:
        return np.zeros(len(losses[-1]), bool)
    return losses[-1].mean(1) >= FALLING * losses[-2].mean(1)


def _settings(memories: int, grown: Any) -> runs.Settings:
    return runs.Settings({"grown": grown} if memories else {})


def _reading(
    nets: loop.ModelParams, weights: jax.Array, which: np.ndarray
) -> loop.ModelParams:
    """Returns the nets, the first rows of the readout being `weights` in `which`."""
    rows = weights.shape[1]
    if rows == 0:
        return nets
    chosen = jnp.where(which[:, None, None], weights, nets.readout.w[:, :rows])
    w = nets.readout.w.at[:, :rows].set(chosen)
    return nets._replace(readout=nets.readout._replace(w=w))


def _curve(losses: np.ndarray, most: int) -> np.ndarray:
    """Returns the means of losses (net, sequence) over each entry's sequences."""
    size = len(ends_of_calls(most)) * SEQUENCES_PER_CALL
    padded = np.full((len(losses), size), np.nan)
    padded[:, : losses.shape[1]] = losses
    return _means(padded.reshape(len(losses), -1, SEQUENCES_PER_CALL))


def _means(losses: np.ndarray) -> np.ndarray:
    """Returns the mean over the last axis of what took place; NaN if nothing did."""
    done = np.isfinite(losses)
    total = np.where(done, losses, 0).sum(-1)
    return np.where(done.any(-1), total / np.maximum(done.sum(-1), 1), np.nan)


def ends_of_calls(most: int) -> list[int]:
    """Returns the sequences done at the end of each call, the axis of a curve."""
    calls = -(-most // SEQUENCES_PER_CALL)
    return [call * SEQUENCES_PER_CALL for call in range(1, calls + 1)]


def teller(advance: Advance, what: str = "nets of 1997") -> Callable[[int, int], None]:
    """Returns the `tell` of `train` that shows the progress, a unit for a sequence."""

    def tell(sequences, solved):
        advance(f"{what}: {solved} solved", sequences)

    return tell


def num_wrong(
    recipe: Recipe, nets: loop.ModelParams, key: jax.Array, num_test: int
) -> np.ndarray:
    """Returns how many of `num_test` sequences each net gets wrong, (net,).

    By `task.correct`; the same sequences for all nets.

    Raises:
      ValueError: the task has no criterion.
    """
    correct = recipe.task.correct
    if correct is None:
        raise ValueError(
            f"task: got {recipe.task.name!r}; it must be one with a criterion"
        )

    def count(nets, key):
        batch = recipe.task.sample_test(key, num_test, recipe.length)

        def of_one(net):
            outputs = loop.predict(recipe.cell, recipe.task, net, batch)
            return (~correct(outputs, batch)).sum()

        return jax.lax.map(of_one, nets)

    counted = jax.jit(count, compiler_options=compiling.soon())(nets, key)
    return np.asarray(counted, float)
