"""The memory of the bear: what the figure draws beside the networks' curves."""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.common import decay, first_scene, gradient_shares
from experiments.common.records import Quantity
from experiments.common.variants import MATCHED, variants_of
from experiments.gradient_decay import networks
from experiments.gradient_decay.config import DEFAULT_LAG, Config

FAR_LAG = 200  # of the untrained curves


def two_shows(config: Config) -> first_scene.TwoShows | None:
    """Returns the shows whose memories are compared; None without the bear's figure."""
    if not config.shows_the_bear:
        return None
    key, lag = jax.random.key(config.seed), config.lag or DEFAULT_LAG
    return first_scene.two_shows(key, config.rendering, lag)


def shown(shows: first_scene.TwoShows | None) -> dict[str, Quantity]:
    """Returns the show whose scene is exchanged; the last image has no role, NaN."""
    if shows is None:
        return {}
    inputs, roles = np.asarray(shows.inputs), np.append(shows.roles, np.nan)
    return {
        "scene_input": Quantity(inputs, ("time", "scene", "pixel"), "1"),
        "scene_role": Quantity(roles, ("time",), "1"),
    }


class Far(NamedTuple):
    """Curves of untrained networks at FAR_LAG, and the entries of their axes."""

    arrays: dict[str, Quantity]
    axes: dict[str, Any]


def far_curves(config: Config) -> Far:
    """Measures untrained RNNs and LSTMs of either forget bias on shows of FAR_LAG."""
    if not config.shows_the_bear:
        return Far({}, {})
    longer = replace(config, lag=FAR_LAG, forget_bias=(1.0, MATCHED))
    watched = networks.watched_in(longer)
    variants, found = [], []
    for name in ("rnn", "lstm"):
        variants += variants_of(name, longer.biases, FAR_LAG)
        models = networks.initial_models(longer, watched, name)
        cell = networks.cell_of(config, name)
        found.append(gradient_shares.log_norms(cell, models, watched))
    shares = decay.shares(np.concatenate(found))
    shares = shares.reshape(len(variants), config.num_seeds, *shares.shape[1:])
    axes = ("far_variant", "seed", "example", "far_lag")
    return Far(
        {"far_log_share": Quantity(shares, axes, "nats")},
        {"far_variant": [variant.entry for variant in variants]},
    )
