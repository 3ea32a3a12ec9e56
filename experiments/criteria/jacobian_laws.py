"""When `experiments.jacobian_laws` shows the laws of products of Jacobians."""

import math

import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from experiments.common.records import Record, take
from experiments.common.rows import Check


def checks(record: Record) -> list[Check]:
    """Returns the criteria: exact at every size."""
    return [_bound(record), _logistic(record), _closed_form(record), _slope(record)]


def _bound(record: Record) -> Check:
    violated = take(record, "bound_violated")
    return Check(
        "driven random nets with ||dL/dh|| above (γ σ_max)^k ||dL/dh_T||",
        "none can (section 2.1)",
        f"{violated.sum():.0f} of {violated.size}",
        not violated.any(),
    )


def _logistic(record: Record) -> Check:
    names = list(record.axes["activation"])
    here = names.index("logistic")
    bound, rate = take(record, "bound")[here], take(record, "bounded_rate")[here]
    certified = bound < 0
    return Check(
        "logistic nets with σ_max < 4 whose gradient decays",
        "all: σ_max < 1/γ is sufficient, γ = 1/4 (section 2.1)",
        f"{(rate[certified] < 0).sum()} of {certified.sum()}",
        bool(certified.any() and (rate[certified] < 0).all()),
    )


def _closed_form(record: Record) -> Check:
    error = take(record, "closed_form_error")
    return Check(
        "relative error of ||(Wᵀ)^k u||, linear and orthogonal, at most 1e-10",
        "",
        f"{error.max():.1e}, {error.size} nets, lag {record.config['lag']}",
        bool(error.max() <= 1e-10),
    )


def _slope(record: Record) -> Check:
    # Lags follow one another in the record, and steps in the library.
    in_time_order = jnp.asarray(take(record, "long_log_norm")[::-1])
    error = float(lj.decay_rate(in_time_order)) - math.log(0.5)
    lost = -float(take(record, "long_log_norm")[-1]) / math.log(10)
    return Check(
        "rate at gain 0.5 in float32 minus ln 0.5, at most 1e-6 nats per step",
        "",
        f"{error:+.1e}, down to 1e-{lost:.0f} at lag {record.config['long_lag']}",
        bool(np.abs(error) <= 1e-6),
    )
