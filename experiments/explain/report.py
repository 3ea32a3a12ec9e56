"""What the record says about a model's memory: table rows and verdict lines."""

import math

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

import lstm_jax as lj
from experiments.common import decay, saturation, sequences, wording
from experiments.common.report import INITIAL, TRAINED
from experiments.explain import answer, network, paths
from experiments.explain.measurements import HORIZON_FRACTION, Measured
from experiments.explain.models import NOISE, Config, Model, Sequences
from experiments.explain.network import Network
from experiments.train.saved_run import TrainedRun

FORMATS = ("bfloat16", "float16", "float32")


def table(model: Model, found: Measured, lag: int) -> list[dict[str, str]]:
    """Returns one row per layer: medians over the sequences, half-lives in steps."""
    rows = []
    for number, name in enumerate(network.names(model.network)):
        of_layer = decay.decay_of(found.layer_log_norms[number], HORIZON_FRACTION)
        rows.append(
            {
                "layer": str(name),
                **_kept_in_words(np.asarray(found.log_kept[number])),
                "gradient, nats per step": wording.rate(np.median(of_layer.rate), 4),
                "horizon at 1e-6": wording.steps(
                    np.median(of_layer.horizon), f"> {lag}"
                ),
            }
        )
    return rows


def _kept_in_words(log_kept: np.ndarray) -> dict[str, str]:
    if not len(log_kept):
        names = ("units", "half-life, median unit", "slowest unit")
        return dict.fromkeys((*names, "its gate, nats per step"), "-")
    unit, half_lives = int(np.argmax(log_kept)), np.asarray(lj.half_life(log_kept))
    return {
        "units": str(len(log_kept)),
        "half-life, median unit": wording.steps(np.median(half_lives)),
        "slowest unit": f"{unit}: {wording.steps(half_lives[unit])}",
        "its gate, nats per step": wording.rate(log_kept[unit], 4),
    }


def verdict(
    config: Config,
    model: Model,
    read: Sequences,
    stages: dict[str, Measured],
    path_shares: paths.Shares,
) -> list[str]:
    """Returns the verdict; `stages` has TRAINED and, for a run, INITIAL."""
    found, before = stages[TRAINED], stages.get(INITIAL)
    return [
        "",
        *([] if model.run is None else passed_over(model.run)),
        f"{model_in_words(config, model)}; on {_read_in_words(read)}.",
        *(f"  weights:  {note}" for note in model.notes),
        *_input_lines(read, found),
        *_gate_lines(model, found),
        *_end_lines(model),
        *_gradient_lines(found, read.lag),
        *paths.lines(model, path_shares, found),
        *answer.lines(
            found.answer,
            answer.names(read.columns, model.sizes[0]),
            float(np.median(decay.decay_of(found.log_norms, HORIZON_FRACTION).horizon)),
            ends=network.reads_whole(model.network),
        ),
        *_spread_lines(read, found),
        *([] if before is None else _untrained_lines(before, read.lag)),
    ]


def model_in_words(config: Config, model: Model) -> str:
    """Describes the model: its path, cell and sizes, and how it was trained."""
    inputs, units, _ = model.sizes
    cells = dict.fromkeys(c.name for block in model.network for c in block.cells)
    size = f"{units} units" + _layers_in_words(model.network)
    what = f"{getattr(config, config.source)}: {' and '.join(cells)}"
    if model.run is None:
        return f"{what}, {inputs} inputs, {size}"
    of = model.run
    return (
        f"{what}, {size}, after {of.step} updates on {of.called}, "
        f"{of.config.length} steps"
    )


def _layers_in_words(of: Network) -> str:
    layers = sum(1 if block.both else len(block.cells) for block in of)
    ways = ", in both directions" * network.reads_whole(of)
    return f" in {layers} layers" * (layers > 1) + ways


def passed_over(run: TrainedRun) -> list[str]:
    """Says which newer checkpoints were not whole, and so not read."""
    return [
        f"The checkpoint of step {step} is not whole, damaged or still being written; "
        f"this is that of step {run.step}."
        for step in run.passed_over
    ]


def _untrained_lines(before: Measured, lag: int) -> list[str]:
    share = wording.power(np.median(decay.shares(before.log_norms)[..., -1]))
    gates = np.concatenate(before.log_kept)
    slowest = wording.steps(np.asarray(lj.half_life(gates)).max()) if len(gates) else ""
    kept = f"the slowest unit kept half for {slowest} steps, and " * len(gates[:1])
    return [f"  before:   untrained, {kept}at lag {lag} {share} was left"]


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


def _gate_lines(model: Model, found: Measured) -> list[str]:
    lines, wheres = [], network.called(network.names(model.network))
    cells = [cell for block in model.network for cell in block.cells]
    for where, cell, log_kept in zip(wheres, cells, found.log_kept, strict=True):
        where += ", " * bool(where)
        lines.append(f"  gates:    {where}{_half_lives_in_words(cell, log_kept)}")
    return lines


def _half_lives_in_words(cell: lj.Cell, log_kept: ArrayLike) -> str:
    half_lives = np.asarray(lj.half_life(jnp.asarray(log_kept)))
    if not len(half_lives):
        return f"{cell.name} has no forget gate: only recurrent weights keep anything"
    order = np.argsort(-half_lives, kind="stable")[:3]
    slowest = [f"unit {k} for {wording.steps(half_lives[k])} steps" for k in order]
    middle = wording.steps(np.median(half_lives))
    return f"half is kept by {', '.join(slowest)}; by the median unit for {middle}"


def _end_lines(model: Model) -> list[str]:
    """Says what "last" means where a direction ends at the first step."""
    if not network.reads_whole(model.network):
        return []
    own = ", in each layer from its own end" * (len(model.network) > 1)
    return [
        "  ends:     each direction is asked where it has read all, the backward one "
        f"at the first step; lags count from there{own}"
    ]


def _spread_lines(read: Sequences, found: Measured) -> list[str]:
    """Says how far several sequences differ, by the middle half of them."""
    if read.read is None or read.read.values.shape[1] == 1:
        return []
    several = found.log_norms.shape[1]
    shares = np.quantile(decay.shares(found.log_norms)[..., -1], (0.25, 0.75))
    left = " to ".join(wording.power(share) for share in shares)
    steps = " to ".join(f"{of:.0f}" for of in answer.half_reach(found.answer))
    return [
        f"  spread:   in the middle half of {several} measurements {left} is left, and "
        f"half of the answer comes from the last {steps} steps"
    ]


def _gradient_lines(found: Measured, lag: int) -> list[str]:
    of_all = decay.decay_of(found.log_norms, HORIZON_FRACTION, FORMATS)
    horizon = np.median(of_all.horizon)
    if math.isfinite(horizon):
        down = f"it is down to 1e-6 after {horizon:.0f} steps"
    else:
        down = f"it is never down to 1e-6 within {lag} steps"
    left = wording.power(np.median(decay.shares(found.log_norms)[..., -1]))
    rate = wording.rate(np.median(of_all.rate), 4)
    gates = np.concatenate(found.log_kept)
    alone = ""
    if len(gates):
        alone = f", the slowest gate alone {wording.rate(gates.max(), 4)}"
    heard = ", ".join(
        f"{dtype} {wording.steps(np.median(lags), f'> {lag}')}"
        for dtype, lags in of_all.heard.items()
    )
    return [
        f"  gradient: {down}; at lag {lag}, {left} is left; {rate} nats per step"
        f"{alone}",
        f"  numbers:  steps back until a share is rounded away: {heard}",
    ]
