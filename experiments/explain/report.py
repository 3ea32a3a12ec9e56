"""What the record says about a model's memory: table rows and verdict lines."""

import math

import numpy as np

import lstm_jax as lj
from experiments.common import decay, saturation, sequences, wording
from experiments.common.report import INITIAL, TRAINED
from experiments.explain import answer
from experiments.explain.measurements import Measured
from experiments.explain.models import NOISE, Config, Model, Sequences
from experiments.train.saved_run import TrainedRun

HORIZON_FRACTION = 1e-6
FORMATS = ("bfloat16", "float16", "float32")


def table(found: Measured, lag: int) -> list[dict[str, str]]:
    """Returns one row per layer: medians over the sequences, half-lives in steps."""
    rows = []
    for number, log_kept in enumerate(np.asarray(found.log_kept)):
        unit, half_lives = int(np.argmax(log_kept)), np.asarray(lj.half_life(log_kept))
        of_layer = decay.decay_of(found.layer_log_norms[number], HORIZON_FRACTION)
        rows.append(
            {
                "layer": str(number),
                "units": str(len(log_kept)),
                "half-life, median unit": wording.steps(np.median(half_lives)),
                "slowest unit": f"{unit}: {wording.steps(half_lives[unit])}",
                "its gate, nats per step": wording.rate(log_kept[unit], 4),
                "gradient, nats per step": wording.rate(np.median(of_layer.rate), 4),
                "horizon at 1e-6": wording.steps(
                    np.median(of_layer.horizon), f"> {lag}"
                ),
            }
        )
    return rows


def verdict(
    config: Config,
    model: Model,
    read: Sequences,
    stages: dict[str, Measured],
) -> list[str]:
    """Returns the verdict; `stages` has TRAINED and, for a run, INITIAL."""
    found, before = stages[TRAINED], stages.get(INITIAL)
    return [
        "",
        *([] if model.run is None else passed_over(model.run)),
        f"{model_in_words(config, model)}; on {_read_in_words(read)}.",
        *(f"  weights:  {note}" for note in model.notes),
        *_input_lines(read, found),
        *_gate_lines(found),
        *_gradient_lines(found, read.lag),
        *answer.lines(
            found.answer,
            answer.names(read.columns, model.sizes[0]),
            float(np.median(decay.decay_of(found.log_norms, HORIZON_FRACTION).horizon)),
        ),
        *([] if before is None else _untrained_lines(before, read.lag)),
    ]


def model_in_words(config: Config, model: Model) -> str:
    """Describes the model: its path, cell and sizes, and how it was trained."""
    layers = len(model.layers)
    inputs, units, _ = model.sizes
    size = f"{units} units" + (f" in {layers} layers" * (layers > 1))
    path = getattr(config, config.source)
    if model.run is None:
        return f"{path}: {model.cell.name}, {inputs} inputs, {size}"
    of = model.run
    return (
        f"{path}: {model.cell.name}, {size}, after {of.step} updates on "
        f"{of.config.task} of {of.config.length} steps"
    )


def passed_over(run: TrainedRun) -> list[str]:
    """Says which newer checkpoints were not whole, and so not read."""
    return [
        f"The checkpoint of step {step} is not whole, damaged or still being written; "
        f"this is that of step {run.step}."
        for step in run.passed_over
    ]


def _untrained_lines(before: Measured, lag: int) -> list[str]:
    slowest = wording.steps(np.asarray(lj.half_life(before.log_kept)).max())
    share = wording.power(np.median(decay.shares(before.log_norms)[..., -1]))
    return [
        f"  before:   untrained, the slowest unit kept half for {slowest} steps, and "
        f"at lag {lag} {share} was left"
    ]


def _read_in_words(read: Sequences) -> str:
    """Says what was read, and that noise is not what a model was made for."""
    if read.what != NOISE:
        return read.what
    return (
        f"{read.what}: what it keeps of its own data (--sequence=) may differ a "
        "hundredfold"
    )


def _input_lines(read: Sequences, found: Measured) -> list[str]:
    """Says what was read of a given sequence, and how far it saturates the model."""
    if found.saturation is None or read.read is None:
        return []
    saturated = saturation.in_words(*found.saturation, np.asarray(read.inputs))
    return [*sequences.in_words(read.read), *saturated]


def _gate_lines(found: Measured) -> list[str]:
    half_lives = np.asarray(lj.half_life(found.log_kept))
    lines = []
    for number, of_layer in enumerate(half_lives):
        where = f"layer {number}, " if len(half_lives) > 1 else ""
        order = np.argsort(-of_layer, kind="stable")[:3]
        slowest = [f"unit {k} for {wording.steps(of_layer[k])} steps" for k in order]
        middle = wording.steps(np.median(of_layer))
        lines.append(
            f"  gates:    {where}half is kept by {', '.join(slowest)}; by the median "
            f"unit for {middle}"
        )
    return lines


def _gradient_lines(found: Measured, lag: int) -> list[str]:
    of_all = decay.decay_of(found.log_norms, HORIZON_FRACTION, FORMATS)
    horizon, gate = np.median(of_all.horizon), found.log_kept.max()
    if math.isfinite(horizon):
        down = f"it is down to 1e-6 after {horizon:.0f} steps"
    else:
        down = f"it is never down to 1e-6 within {lag} steps"
    left = wording.power(np.median(decay.shares(found.log_norms)[..., -1]))
    rates = [wording.rate(rate, 4) for rate in (np.median(of_all.rate), gate)]
    heard = ", ".join(
        f"{dtype} {wording.steps(np.median(lags), f'> {lag}')}"
        for dtype, lags in of_all.heard.items()
    )
    return [
        f"  gradient: {down}; at lag {lag}, {left} is left; {rates[0]} nats per step, "
        f"the slowest gate alone {rates[1]}",
        f"  numbers:  steps back until a share is rounded away: {heard}",
    ]
