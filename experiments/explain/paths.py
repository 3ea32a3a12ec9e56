"""Through which gate the gradient goes back at every step."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import lstm_jax as lj
from experiments.common import compiling, decay
from experiments.common.records import Quantity
from experiments.explain import measurements, network
from experiments.explain.measurements import HORIZON_FRACTION, Asked, Measured
from experiments.explain.models import Config, Model, Sequences

KEPT = "cell"  # the path of `lj.gradients.path_names` through no gate

Shares = Float[Array, "path time examples"]


def shares(config: Config, model: Model, read: Sequences) -> Shares:
    """Returns the share of every path in the gradient of its own layer.

    The paths of one layer add up to 1 at every step, those that work against the
    others being negative.
    """
    # Compiling takes nearly all of the time.
    of = partial(measurements.asked, config, model, read.lag)
    found = jax.jit(
        lambda *given: _shares(of(*given)), compiler_options=compiling.soon()
    )
    return found(model.params, model.readout, read.inputs, read.counts)


def _shares(asked: Asked) -> Shares:
    found = []
    for run, heard in zip(asked.runs, asked.heard, strict=True):
        cell = run.block.cell
        of_block = lj.gradients.path_shares(cell, run.params, run.xs, heard, run.carry)
        for number in range(len(run.block.cells)):
            own = [of_block[k] for k in of_block if k.startswith(f"{number}.")]
            found.append(jnp.stack(own) / sum(own))
    return jnp.concatenate(found)


def quantities(found: Shares) -> dict[str, Quantity]:
    """Returns the arrays of a record, of the trained network."""
    axes = ("path", "example", "lag")
    return {"path_share": Quantity(decay.by_lag(found), axes, "1")}


def names(model: Model) -> list[str]:
    """Returns what the paths are called: "f", or "layer 1 f" of several layers."""
    return [
        f"{where} {path}".strip()
        for where, paths in zip(
            network.called(network.names(model.network)), _of(model), strict=True
        )
        for path in paths
    ]


def lines(model: Model, shares: Shares, found: Measured) -> list[str]:
    """Says through which gates a step of the gradient goes, above the horizon."""
    told, first, wheres = [], 0, network.called(network.names(model.network))
    for number, (where, paths) in enumerate(zip(wheres, _of(model), strict=True)):
        own = np.asarray(shares)[first : first + len(paths)]
        first += len(paths)
        log_norms = np.asarray(found.layer_log_norms)[number]
        heard = log_norms > log_norms[-1] + math.log(HORIZON_FRACTION)
        if len(paths) > 1 and heard.any():
            start = f"{where}, " if where else ""
            told.append(f"  through:  {start}{_in_words(paths, own[:, heard])}")
    return told


def _in_words(paths: tuple[str, ...], shares: np.ndarray) -> str:
    means = shares.mean(axis=-1)
    order = np.argsort(-means, kind="stable")
    called = ["the memory that is kept" if name == KEPT else name for name in paths]
    return ", ".join(f"{called[k]} {means[k]:z.0%}" for k in order)


def _of(model: Model) -> tuple[tuple[str, ...], ...]:
    return network.paths(model.network, model.params)
