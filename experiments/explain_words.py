"""What is said about a model's memory: table rows and verdict lines."""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

import lstm_jax as lj
from experiments.explained_memory import Measured
from experiments.explained_models import Config, Model, Sequences
from experiments.trained_run import TrainedRun

HORIZON_FRACTION = 1e-6
FORMATS = ("bfloat16", "float16", "float32")


def table(found: Measured, lag: int) -> list[dict[str, str]]:
    """Returns a row per layer: medians over the sequences, half-lives in steps."""
    rows = []
    for number, log_kept in enumerate(found.log_kept):
        half_lives = lj.half_life(log_kept)
        unit, log_norms = int(jnp.argmax(log_kept)), found.layer_log_norms[number]
        rate = float(np.median(lj.decay_rate(log_norms)))
        horizon = float(np.median(lj.horizon(log_norms, HORIZON_FRACTION)))
        rows.append(
            {
                "layer": str(number),
                "units": str(len(log_kept)),
                "half-life, median unit": steps(float(jnp.median(half_lives))),
                "slowest unit": f"{unit}: {steps(float(half_lives[unit]))}",
                "its gate, nats per step": f"{float(log_kept[unit]):+.4f}",
                "gradient, nats per step": f"{rate:+.4f}",
                "horizon at 1e-6": steps(horizon, lag),
            }
        )
    return rows


def verdict(
    config: Config,
    model: Model,
    read: Sequences,
    found: Measured,
    arrays: dict[str, np.ndarray],
) -> list[str]:
    """Returns the lines for the reader.

    Args:
      config: what was asked.
      model: what was measured.
      read: by the model.
      found: by the measurement.
      arrays: of the record; of a run they hold what it began with.
    """
    return [
        "",
        *([] if model.run is None else _passed_over(model.run)),
        f"{model_in_words(config, model)}; on {read.what}.",
        *_gate_lines(found),
        *_gradient_lines(found, read.lag),
        *([] if model.run is None else _untrained_lines(arrays, read.lag)),
    ]


def model_in_words(config: Config, model: Model) -> str:
    """Returns what is explained: where it is, cell, sizes, and how it was trained."""
    layers = len(model.layers)
    inputs, units, _ = model.sizes
    size = f"{units} units" + (f" in {layers} layers" * (layers > 1))
    if model.run is None:
        path = config.torch or config.weights or config.checkpoint
        return f"{path}: {model.cell.name}, {inputs} inputs, {size}"
    of = model.run
    return (
        f"{config.checkpoint}: {model.cell.name}, {size}, after {of.step} updates on "
        f"{of.config.task} of {of.config.length} steps"
    )


def _passed_over(run: TrainedRun) -> list[str]:
    return [
        f"The checkpoint of step {step} is not whole, damaged or still being written; "
        f"this is that of step {run.step}."
        for step in run.passed_over
    ]


def _untrained_lines(arrays: dict[str, np.ndarray], lag: int) -> list[str]:
    slowest = float(arrays["untrained/layers/half_life"].max())
    share = float(np.median(arrays["untrained/log_share"][-1]))
    return [
        f"  before:   untrained, the slowest unit kept half for {steps(slowest)} "
        f"steps, and at lag {lag} {_power(share)} was left"
    ]


def _gate_lines(found: Measured) -> list[str]:
    half_lives = np.asarray(lj.half_life(found.log_kept))
    lines = []
    for number, of_layer in enumerate(half_lives):
        where = f"layer {number}, " if len(half_lives) > 1 else ""
        order = np.argsort(-of_layer, kind="stable")[:3]
        slowest = [f"unit {k} for {steps(float(of_layer[k]))} steps" for k in order]
        middle = steps(float(np.median(of_layer)))
        lines.append(
            f"  gates:    {where}half is kept by {', '.join(slowest)}; by the median "
            f"unit for {middle}"
        )
    return lines


def _gradient_lines(found: Measured, lag: int) -> list[str]:
    shares = np.asarray(lj.log_shares(found.log_norms))
    rate = float(np.median(lj.decay_rate(found.log_norms)))
    horizon = float(np.median(lj.horizon(found.log_norms, HORIZON_FRACTION)))
    if math.isfinite(horizon):
        down = f"it is down to 1e-6 after {horizon:.0f} steps"
    else:
        down = f"it is never down to 1e-6 within {lag} steps"
    heard = ", ".join(
        f"{name} {_heard(found.log_norms, name, lag)}" for name in FORMATS
    )
    gate = float(found.log_kept.max())
    return [
        f"  gradient: {down}; at lag {lag}, {_power(float(np.median(shares[0])))} is "
        f"left; {rate:+.4f} nats per step, the slowest gate alone {gate:+.4f}",
        f"  numbers:  steps back until a share is rounded away: {heard}",
    ]


def _heard(log_norms: Array, dtype: str, lag: int) -> str:
    return steps(float(np.median(lj.rounding_lag(log_norms, dtype))), lag)


def steps(value: float, longest: int | None = None) -> str:
    """Returns a number of steps in words; `longest` is how far it was looked."""
    if math.isfinite(value):
        return f"{value:.0f}" if value >= 100 else f"{value:.1f}"
    return "all" if longest is None else f"> {longest}"


def _power(log_share: float) -> str:
    """Returns exp(log_share) in words that do not underflow."""
    if not math.isfinite(log_share):
        return "nothing"
    if -2 <= log_share / math.log(10) < 2:
        return f"{math.exp(log_share):.2g}"
    exponent = math.floor(log_share / math.log(10))
    return f"{math.exp(log_share - exponent * math.log(10)):.1f}e{exponent:+03d}"
