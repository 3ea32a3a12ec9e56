"""What the gates of a model keep, and how far back its gradient reaches."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

import lstm_jax as lj
from experiments.common import decay
from experiments.common.cli import ConfigError
from experiments.common.records import Quantity
from experiments.common.saturation import Saturation, saturation
from experiments.explain import network
from experiments.explain.answer import Answer, answer
from experiments.explain.answer import quantities as of_answer
from experiments.explain.models import Config, Model, Sequences
from experiments.explain.network import Run, Weights
from lstm_jax import readouts
from lstm_jax.gradients.carousel import forget_factors

HORIZON_FRACTION = 1e-6

Kept = Float[Array, " hidden"]


class Measured(NamedTuple):
    """What is measured on a model; norms are of the gradient, entering each step.

    A layer is one direction of it, and its steps are in its own time. In a network that
    reads a sequence whole an output hears every step of the layers below from both
    sides, so there a layer is asked for its own last output.
    """

    log_kept: tuple[Kept, ...]  # mean ln f_t, by layer; empty without a memory
    log_norms: Float[Array, "time examples"]  # of the whole carry, of the last block
    layer_log_norms: Float[Array, "layer time examples"]  # of each layer's carry
    answer: Answer
    saturation: Saturation | None  # by --sequence; None without one


class Asked(NamedTuple):
    """A network at work: the runs of its blocks, and what each is asked for."""

    runs: list[Run]
    heard: list[Callable[[Array], Array]]  # `outputs -> number`, one a run
    answered: Callable[[Array], Array]  # `last output -> answer`


def asked(
    config: Config,
    model: Model,
    lag: int,
    params: Weights,
    readout: readouts.LinearParams | None,
    inputs: Float[Array, "time examples input"],
    counts: Bool[Array, "time examples"] | None,
) -> Asked:
    """Returns a network of these params on these inputs; can be traced.

    Args:
      config: the directions, one an example, are drawn from its seed.
      model: only its network; the weights are the next two arguments.
      lag: how many steps to look back; the steps before are a warm-up, of which a
        network that reads a sequence whole has none.
      params: of the network.
      readout: gives the answer; if None, the last layer's output is the answer.
      inputs: with the warm-up.
      counts: False before a sequence begins; None if all begin at the first step.
    """
    first = model.network[0]
    xs = network.entering(first, inputs)
    carry = first.cell.init_carry(params[0], inputs.shape[1:-1])
    if xs.shape[0] > lag + 1:
        mask = None if counts is None else counts[: -lag - 1]
        warm_up, xs = xs[: -lag - 1], xs[-lag - 1 :]
        carry, _ = lj.unroll(first.cell, params[0], warm_up, carry, mask=mask)

    def answered(y):
        return y if readout is None else readouts.linear(readout, y)

    runs = network.runs(model.network, params, xs, carry)
    reads = [_itself] * (len(runs) - 1) + [answered]
    return Asked(runs, [partial(_heard, config, read) for read in reads], answered)


def measured(
    config: Config,
    model: Model,
    lag: int,
    params: Weights,
    readout: readouts.LinearParams | None,
    inputs: Float[Array, "time examples input"],
    counts: Bool[Array, "time examples"] | None,
) -> Measured:
    """Returns what is measured; can be traced. Arguments as for `asked`."""
    runs, heard, answered = asked(config, model, lag, params, readout, inputs, counts)
    log_norms = [_log_norms(*one) for one in zip(runs, heard, strict=True)]
    window, saturated = inputs[-lag - 1 :], None
    if config.sequence is not None:
        first = model.network[0]
        xs = network.entering(first, inputs)
        saturated = saturation(first.cell, params[0], xs)
    return Measured(
        log_kept=tuple(of_cell for run in runs for of_cell in _log_kept(run)),
        log_norms=lj.joint_log_norms(tuple(log_norms[-1])),
        layer_log_norms=jnp.concatenate(log_norms),
        answer=answer(model.network, params, window, answered, runs[0].carry),
        saturation=saturated,
    )


def _heard(
    config: Config, read: Callable[[Array], Array], ys: Float[Array, "time examples y"]
) -> Float[Array, ""]:
    """Returns the last outputs as they are read, each along a random direction."""
    last = read(ys[-1])
    key = jax.random.fold_in(jax.random.key(config.seed), 1)
    return jnp.sum(last * jax.random.normal(key, last.shape))


def _itself(y: Array) -> Array:
    return y


def _log_norms(
    run: Run, heard: Callable[[Array], Array]
) -> Float[Array, "layer time examples"]:
    """Returns ln of the norm of the gradient on the carry of every cell of a block."""
    norms = lj.log_gradient_norms(run.block.cell, run.params, run.xs, heard, run.carry)
    return jnp.stack([lj.joint_log_norms(of_cell) for of_cell in norms])


def _log_kept(run: Run) -> list[Kept]:
    """Returns the mean ln f_t of every unit, for every cell of a block."""
    found = []
    read = zip(run.params, network.inputs_of(run), run.carry, strict=True)
    for cell, one in zip(run.block.cells, read, strict=True):
        if cell.memory is None:
            found.append(jnp.zeros(0))
            continue
        found.append(jnp.mean(jnp.log(forget_factors(cell, *one)), axis=(0, 1)))
    return found


def check_finite(config: Config, read: Sequences, found: Measured) -> None:
    """Raises `ConfigError` if a measurement is NaN."""
    overflow = decay.overflow(found.log_norms)
    if overflow is None and not any(np.isnan(of).any() for of in found.log_kept):
        return
    where = "at every lag" if overflow is None else overflow
    name = "sequence" if config.sequence else config.source
    largest = float(jnp.abs(read.inputs).max())
    raise ConfigError(
        f"{name}: {getattr(config, name)!r}: the model overflows float32 {where}, on "
        f"inputs of up to {largest:.2g}; weights and inputs must be small enough to be "
        "multiplied"
    )


def quantities(stages: dict[str, Measured]) -> dict[str, Quantity]:
    """Returns the arrays of a record: shares by lag, gates and half-lives by unit."""
    found = list(stages.values())
    log_norms = np.stack([stage.log_norms for stage in found])
    of_layers = np.stack([stage.layer_log_norms for stage in found])
    axes = ("example", "lag")
    arrays = {
        "log_share": Quantity(decay.shares(log_norms), ("stage", *axes), "nats"),
        "layer_log_share": Quantity(
            decay.shares(of_layers), ("stage", "layer", *axes), "nats"
        ),
    }
    log_kept = np.stack([_by_unit(stage.log_kept) for stage in found])
    if log_kept.shape[-1]:
        units = ("stage", "layer", "unit")
        half_lives = np.asarray(lj.half_life(log_kept))
        arrays["mean_log_gate"] = Quantity(log_kept, units, "nats/step")
        arrays["half_life"] = Quantity(half_lives, units, "steps")
    saturated = [stage.saturation for stage in found if stage.saturation is not None]
    if saturated:
        values = np.array(saturated)
        arrays["saturation"] = Quantity(values, ("stage", "columns"), "1")
    return arrays | of_answer([stage.answer for stage in found])


def _by_unit(log_kept: tuple[Kept, ...]) -> Float[np.ndarray, "layer unit"]:
    """Returns one row per layer, NaN behind the units of a smaller one."""
    table = np.full((len(log_kept), max(map(len, log_kept))), np.nan, np.float32)
    for row, of_layer in zip(table, log_kept, strict=True):
        row[: len(of_layer)] = of_layer
    return table
