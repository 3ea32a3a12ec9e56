"""What the gates of a model keep, and how far back its gradient reaches."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

import lstm_jax as lj
from experiments.common import decay
from experiments.common.cli import ConfigError
from experiments.common.records import Quantity
from experiments.common.saturation import Saturation, saturation
from experiments.explain.answer import Answer, answer
from experiments.explain.answer import quantities as of_answer
from experiments.explain.models import Config, Model, Sequences
from lstm_jax import readouts
from lstm_jax.gradients.carousel import forget_factors


class Measured(NamedTuple):
    """What is measured on a model; norms are of the gradient, entering each step."""

    log_kept: Float[Array, "layer hidden"]  # mean ln f_t
    log_norms: Float[Array, "time examples"]  # of the whole carry
    layer_log_norms: Float[Array, "layer time examples"]  # of each layer's carry
    answer: Answer
    saturation: Saturation | None  # by --sequence; None without one


def measured(
    config: Config,
    model: Model,
    lag: int,
    layers: tuple[Any, ...],
    readout: readouts.LinearParams | None,
    inputs: Float[Array, "time examples input"],
    counts: Bool[Array, "time examples"] | None,
) -> Measured:
    """Returns what is measured on layers and a readout; can be traced.

    Args:
      config: its num_examples directions are drawn from its seed.
      model: only its cell and sizes; the weights are the next two arguments.
      lag: how many steps to look back; the steps before are a warm-up.
      layers: params, from bottom to top.
      readout: gives the answer; if None, the last layer's output is the answer.
      inputs: with the warm-up.
      counts: False before a sequence begins; None if all begin at the first step.
    """
    key = jax.random.fold_in(jax.random.key(config.seed), 1)
    directions = jax.random.normal(key, (config.num_examples, model.sizes[2]))
    stacked = lj.stack(*(model.cell for _ in layers))
    carry = stacked.init_carry(layers, inputs.shape[1:-1])
    warm_up, measured = inputs[: -lag - 1], inputs[-lag - 1 :]
    if warm_up.shape[0]:
        mask = None if counts is None else counts[: -lag - 1]
        carry, _ = lj.unroll(stacked, layers, warm_up, carry, mask=mask)

    def answered(y):
        return y if readout is None else readouts.linear(readout, y)

    def heard(ys):
        return jnp.sum(answered(ys[-1]) * directions)

    came_from = answer(stacked, layers, measured, answered, carry)
    saturated = None
    if config.sequence is not None:
        saturated = saturation(stacked, layers, inputs)
    log_norms = lj.log_gradient_norms(stacked, layers, measured, heard, carry)
    log_kept = []
    for layer, entering in zip(layers, carry, strict=True):
        kept = forget_factors(model.cell, layer, measured, entering)
        log_kept.append(jnp.mean(jnp.log(kept), axis=(0, 1)))
        _, measured = lj.unroll(model.cell, layer, measured, entering)
    return Measured(
        log_kept=jnp.stack(log_kept),
        log_norms=lj.joint_log_norms(log_norms),
        layer_log_norms=jnp.stack([lj.joint_log_norms(of) for of in log_norms]),
        answer=came_from,
        saturation=saturated,
    )


def check_finite(config: Config, read: Sequences, found: Measured) -> None:
    """Raises `ConfigError` if a measurement is NaN."""
    overflow = decay.overflow(found.log_norms)
    if overflow is None and not np.isnan(found.log_kept).any():
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
    found = jax.tree.map(lambda *of: np.stack(of), *stages.values())
    shares, layer_shares = map(decay.shares, (found.log_norms, found.layer_log_norms))
    curve, units = ("example", "lag"), ("stage", "layer", "unit")
    half_lives = np.asarray(lj.half_life(found.log_kept))
    arrays = {
        "log_share": Quantity(shares, ("stage", *curve), "nats"),
        "layer_log_share": Quantity(layer_shares, ("stage", "layer", *curve), "nats"),
        "mean_log_gate": Quantity(found.log_kept, units, "nats/step"),
        "half_life": Quantity(half_lives, units, "steps"),
    }
    if found.saturation is not None:
        saturated = np.stack(found.saturation, axis=-1)
        arrays["saturation"] = Quantity(saturated, ("stage", "columns"), "1")
    return arrays | of_answer([stage.answer for stage in stages.values()])
