"""Networks at init with a memory of M steps, as functions of what sets it.

`by(cell, place)` is the cell whose params are (θ, the others): `place` puts θ where it
belongs. E[(dh/dλ)²] of white inputs grows as M³, M = 1/(1 - |λ|) (`lj.theory`), and f
is the λ of a gate. Derived here from that, for long memories:

* θ is |λ|, a factor on W, or a number of W, if M is above the number of units: M³.
* θ is ν or a bias, λ = exp(-exp ν), f = σ(b): about ± ln M, |dλ/dθ| = 1/M, and so M.
* θ is the phase of λ: M³ as by |λ|; ν and the phase are apart.
* The input is multiplied by γ = sqrt(1 - |λ|²), as in an LRU: over M. By 1 - z, as in a
  GRU: over M².
* An LSTM's i and g read the same x, so what it writes has a mean, c is about M times
  that mean, and so is dc/d ln M: M².
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import lstm_jax as lj

INPUTS = 1  # the white input is one number a step
LINEAR = lj.rnn("linear")


class Net(NamedTuple):
    """A network beside the parameter that sets its memory.

    Attributes:
      label: of the network.
      cell: its params are (θ, the others), its output is the memory.
      make: (key, units, decay) -> (θ, the others), with λ or f = decay.
      parameter: what θ is called.
      power: of M in E[(dh/dθ)²], as derived above; None where nothing is.
    """

    label: str
    cell: lj.Cell
    make: Callable[[Any, int, Any], tuple[Any, Any]]
    parameter: str
    power: int | None


def by(cell: lj.Cell, place: Callable, shown: str | None = None) -> lj.Cell:
    """Returns the cell as a function of θ; `shown` names a leaf of the carry."""

    def init_carry(params, batch_shape=()):
        return cell.init_carry(place(*params), batch_shape)

    def step(params, carry, x):
        carry, y = cell.step(place(*params), carry, x)
        return carry, y if shown is None else getattr(carry, shown)

    return lj.Cell(name=cell.name, init=cell.init, init_carry=init_carry, step=step)


def _initial(cell: lj.Cell, key: Any, units: int, **options: Any) -> Any:
    return cell.init(key, INPUTS, units, dtype=jnp.float64, **options)


def _rotation(key: Any, units: int, decay: Any) -> tuple[Any, Any]:
    """Returns λ, and an orthogonal W that it multiplies."""
    return jnp.asarray(decay, jnp.float64), _initial(LINEAR, key, units)


def _rotation_itself(key: Any, units: int, decay: Any) -> tuple[Any, Any]:
    factor, params = _rotation(key, units, decay)
    return factor * params.w_hh, params


def _lru(field: str, normalised: bool = True) -> Callable:
    """Returns the make of an LRU by a field of its params; all |λ| are the same."""

    def make(key, units, decay):
        params = _initial(lj.cells.LRU, key, units, r_min=decay, r_max=decay)
        if not normalised:
            params = params._replace(gamma_log=jnp.zeros(units))
        return getattr(params, field), params

    return make


def _gated(cell: lj.Cell, **options: Any) -> Callable:
    """Returns the make of a cell whose gate keeps σ(b) = decay where x says nothing."""

    def make(key, units, decay):
        bias = jnp.full(units, jnp.log(decay) - jnp.log1p(-decay))
        return bias, _initial(cell, key, units, forget_bias=bias, **options)

    return make


def _quarter(number: int, sign: int = 1) -> Callable:
    """Returns the place of a gate's bias: the gate of that number, or its negative."""

    def place(bias, params):
        first = number * bias.shape[0]
        stacked = jax.lax.dynamic_update_slice(params.b, sign * bias, (first,))
        return params._replace(b=stacked)

    return place


_SCALED = by(LINEAR, lambda scale, params: params._replace(w_hh=scale * params.w_hh))
_WEIGHED = by(LINEAR, lambda w_hh, params: params._replace(w_hh=w_hh))
_TURNED = by(lj.cells.LRU, lambda theta, params: params._replace(theta_log=theta))
_FADED = by(lj.cells.LRU, lambda nu, params: params._replace(nu_log=nu))
_LSTM = by(lj.LSTM, _quarter(1), shown="c")

NETS = {
    "orthogonal": Net("orthogonal", _SCALED, _rotation, "λ", 3),
    "orthogonal_w_hh": Net("orthogonal", _WEIGHED, _rotation_itself, "W", 3),
    "lru_without_gamma": Net(
        "LRU without γ", _FADED, _lru("nu_log", normalised=False), "ν", 1
    ),
    "lru": Net("LRU", _FADED, _lru("nu_log"), "ν", 0),
    "lru_phase": Net("LRU", _TURNED, _lru("theta_log"), "θ", 2),
    "min_gru": Net(
        "minGRU",
        by(lj.cells.MIN_GRU, _quarter(0, sign=-1)),
        _gated(lj.cells.MIN_GRU),
        "b",
        -1,
    ),
    "gru": Net("GRU", by(lj.GRU, _quarter(1)), _gated(lj.GRU), "b", -1),
    "lstm_without_w_hh": Net(
        "LSTM without W_hh", _LSTM, _gated(lj.LSTM, gain=0.0), "b", 2
    ),
    "lstm": Net("LSTM", _LSTM, _gated(lj.LSTM), "b", None),
}


def label_of(name: str) -> str:
    """Returns "GRU by b"."""
    return f"{NETS[name].label} by {NETS[name].parameter}"
