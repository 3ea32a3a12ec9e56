"""Which laws does a product of Jacobians obey, and do the measured curves obey them?

Question: the gradient at lag k is a product of k Jacobians. For four kinds of nets the
rate can be written down beforehand; do the measured curves have it, is the bound of
Pascanu et al. ever violated, and is the slope still right where the norm is 1e-3010?

  python -m experiments.jacobian_laws
  python -m experiments.jacobian_laws --gain=0.99 --lag=1000

What is drawn. Top left, the share of the gradient left against the lag in nets without
input: linear with W = g Q (Q orthogonal), linear with Gaussian W, tanh with Gaussian W,
logistic with Gaussian 4 W (its slope is at most 1/4). Dashed: exp(rate * lag) with the
predicted rate. Top right: 1000 random nets driven by noise, measured rate against the
bound ln(γ σ_max). Bottom left: decades of gradient lost over 10 000 steps in float32,
by `log_gradient_norms`, by a plain gradient, and by the root of its summed squares.
Bottom right: tanh nets without input at several gains, with ln ρ(W), which they follow,
and ln σ_max(W), which only bounds them.

Expected. W = g Q: g^k in every direction, to rounding. Gaussian W: the closed form
||(Wᵀ)^k u|| to rounding, and ln ρ(W) in the end. tanh at g < 1: ln ρ(W), because its
state dies out. Logistic: ln ρ of the Jacobian at its fixed point. The bound: never
violated. At g = 1/2 a norm of 10^-3010 at lag 10 000 with slope ln(1/2) to 1e-6; a
plain float32 norm ends near 1e-38, or near 1e-23 if it is the root of a sum of squares.
For Gaussian W σ_max -> 2 ρ: the bound certifies decay for g < 1/2, though g < 1 is
enough. And norms can grow first: ||[[.9, 5], [0, .9]]^k|| is largest, 19.4, at k = 9.

Row 1 of docs/results.md: `./scripts/reproduce --only=jacobian_laws`.

Sources: Hochreiter (1991), Untersuchungen zu dynamischen neuronalen Netzen; Pascanu,
Mikolov & Bengio (2013), https://arxiv.org/abs/1211.5063; Ginibre (1965),
https://doi.org/10.1063/1.1704292; Trefethen & Embree (2005), Spectra and Pseudospectra.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from experiments.common import cli, memory_limit
from experiments.common.cli import option
from experiments.common.laws import Found, record_of, row
from experiments.common.records import Quantity, Record
from experiments.common.rows import Row
from experiments.criteria.jacobian_laws import checks
from experiments.figures.jacobian_laws import plot
from lstm_jax import initializers, theory
from lstm_jax.gradients.jacobians import step_jacobians
from lstm_jax.theory.transients import kreiss_bound, transient_growth

NAME = "jacobian_laws"
SETTLING_STEPS = 400  # after which a net without input is at rest
SWEPT_GAINS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
JORDAN_BLOCK = np.array([[0.9, 5.0], [0.0, 0.9]])
LONG_GAIN = 0.5
BOUNDED_SIZE, BOUNDED_LAG = 20, 50


class Net(NamedTuple):
    """A kind of recurrent net whose rate is known.

    Attributes:
      label: its name.
      activation: of `lj.rnn`.
      recurrent_init: draws W, which is multiplied by gain * factor.
      factor: makes up for an activation whose slope is below 1.
      law: what predicts the rate.
    """

    label: str
    activation: str
    recurrent_init: str
    factor: int
    law: str


TANH = Net("tanh", "tanh", "gaussian", 1, "ln ρ(W)")
NETS = (
    Net("orthogonal", "linear", "orthogonal", 1, "ln g"),
    Net("linear", "linear", "gaussian", 1, "ln ρ(W)"),
    TANH,
    Net("logistic", "logistic", "gaussian", 4, "ln ρ(J at rest)"),
)


@dataclass(frozen=True)
class Config(cli.Flags):
    """What is measured; every field is a flag."""

    hidden_size: int = option(64, cli.integer(minimum=2), "units of the nets")
    gain: float = option(
        0.9, cli.number(above=0), "g: the spectral radius of W is g, or near g"
    )
    lag: int = option(300, cli.integer(minimum=10), "steps of the curves")
    num_seeds: int = option(5, cli.integer(minimum=1), "nets of each kind")
    num_nets: int = option(
        1000, cli.integer(minimum=4), "random nets compared with the bound"
    )
    long_lag: int = option(
        10_000, cli.integer(minimum=200), "steps of the run in float32"
    )
    seed: int = option(0, cli.seed(), "everything random follows from it")


ROW = Row(
    number="1",
    title="the law",
    source="Hochreiter (1991); Pascanu, Mikolov & Bengio (2013), section 2.1, "
    "https://arxiv.org/abs/1211.5063",
    sizes={
        "smoke": {
            "hidden_size": 8,
            "lag": 30,
            "num_seeds": 2,
            "num_nets": 200,
            "long_lag": 1000,
        },
        "standard": {},
        "paper": {"hidden_size": 256, "num_seeds": 20, "num_nets": 10_000},
    },
    checks=checks,
)


def run(config: Config) -> Record:
    """Measures the five parts and returns the record."""
    parts = {
        "rates of four kinds of nets": _rates,
        "the bound": _bound,
        "float32": _long_run,
        "gains": _sweep,
        "transient growth": _transient,
    }
    arrays = [
        ("num_seeds", "hidden_size", "hidden_size"),
        ("num_seeds", "lag", "hidden_size"),
        ("num_nets", BOUNDED_LAG, BOUNDED_SIZE // len(theory.STEEPEST_SLOPES)),
        ("long_lag", "hidden_size"),
    ]
    memory_limit.check(asdict(config), arrays)
    with jax.enable_x64(True):
        return record_of(NAME, config, parts)


class Curves(NamedTuple):
    """ln ||dL/dh_{T-k}|| of every gain and seed, and the matrices behind it.

    Attributes:
      log_norms: (gain, seed, lag + 1), entry k at lag k; dL/dh_T has norm 1.
      matrices: W of h <- W h, (gain, seed, n, n).
      last_jacobians: of the last step, (gain, seed, n, n).
    """

    log_norms: np.ndarray
    matrices: np.ndarray
    last_jacobians: np.ndarray


def _curves(config: Config, net: Net, gains: Sequence[float]) -> Curves:
    """Measures nets without input once they have come to rest."""
    size = config.hidden_size
    inputs = jnp.zeros((SETTLING_STEPS + config.lag, 1))
    keys = jax.random.split(jax.random.key(config.seed), config.num_seeds)
    initializer = initializers.INITIALIZERS[net.recurrent_init]
    drawn = [initializer(key, (size, size), jnp.float64) for key in keys]
    w_hh = net.factor * jnp.stack(drawn)
    start = jax.random.normal(jax.random.key(config.seed), (config.num_seeds, size))
    found = [
        _at_rest(lj.rnn(net.activation), gain * w_hh, start, inputs) for gain in gains
    ]
    norms, matrices, jacobians = (
        np.stack(leaves) for leaves in zip(*found, strict=True)
    )
    norms = norms[..., SETTLING_STEPS:][..., ::-1]
    return Curves(np.pad(norms, ((0, 0), (0, 0), (1, 0))), matrices, jacobians)


@partial(jax.jit, static_argnums=0)
@partial(jax.vmap, in_axes=(None, 0, 0, None))
def _at_rest(cell: lj.Cell, w_hh: Any, start: Any, inputs: Any) -> tuple[Any, ...]:
    """Returns log-norms in time order, W of h <- W h, and the last Jacobian."""
    size = len(start)
    zeros = jnp.zeros(size)
    params = lj.RNNParams(w_ih=zeros[None], w_hh=w_hh, b=zeros)
    carry = lj.RNNCarry(h=start)
    loss = lambda ys: jnp.sum(ys[-1]) / size**0.5
    norms = lj.log_gradient_norms(cell, params, inputs, loss, carry).h
    rest, _ = lj.unroll(cell, params, inputs[:-1], carry)
    jacobian = step_jacobians(cell, params, inputs[:1], rest)[0]
    return norms, w_hh.T, jacobian


def _fitted_rates(log_norms: np.ndarray) -> np.ndarray:
    """Returns the slope of each curve after its first third, where it is straight."""
    late = log_norms[..., log_norms.shape[-1] // 3 :]
    return np.asarray(lj.decay_rate(jnp.moveaxis(jnp.asarray(late[..., ::-1]), -1, 0)))


def _rates(config: Config) -> Found:
    found = [_curves(config, net, [config.gain]) for net in NETS]
    curves = [Curves(*(leaf[0] for leaf in of_gains)) for of_gains in found]
    shares = np.stack([of.log_norms for of in curves])
    measured = np.stack([_fitted_rates(of.log_norms) for of in curves])
    # All eigenvalues of the first, g Q, have modulus g.
    radii = [theory.spectral_radius_rate(of.last_jacobians) for of in curves[1:]]
    predicted = np.stack([np.full(config.num_seeds, math.log(config.gain)), *radii])
    rows, errors = [], {}
    for k, net in enumerate(NETS):
        what, law = f"{net.label}, g = {config.gain:g}", np.median(predicted[k])
        expected = f"{law:+.4f}: {net.law}"
        rows.append(row(what, "rate, nats per step", _spread(measured[k]), expected))
        if net.activation == "linear":
            errors[net.label] = _closed_form_errors(curves[k])
            error = f"{errors[net.label].max():.1e}"
            rows.append(row(net.label, "error of ||(Wᵀ)^k u||", error, "below 1e-10"))
    axes = ("linear_net", "seed")
    return Found(
        arrays={
            "log_share": Quantity(shares, ("variant", "seed", "lag"), "nats"),
            "rate": Quantity(measured, ("variant", "seed"), "nats/step"),
            "predicted_rate": Quantity(predicted, ("variant", "seed"), "nats/step"),
            "closed_form_error": Quantity(np.stack([*errors.values()]), axes, "1"),
        },
        axes={"variant": [net._asdict() for net in NETS], "linear_net": errors},
        rows=rows,
    )


def _closed_form_errors(curves: Curves) -> np.ndarray:
    """Returns the largest of each net's norms over that of a power of W, minus 1."""
    size, lags = curves.matrices.shape[-1], curves.log_norms.shape[1]
    worst = []
    for w, log_norms in zip(curves.matrices, curves.log_norms, strict=True):
        adjoint, exact = np.ones(size) / size**0.5, []
        for _ in range(lags):
            exact.append(np.log(np.linalg.norm(adjoint)))
            adjoint = w.T @ adjoint
        worst.append(np.abs(np.expm1(log_norms - exact)).max())
    return np.array(worst)


def _bound(config: Config) -> Found:
    """Compares random nets of all activations, driven by noise, with (γ σ_max)^k."""
    names = list(theory.STEEPEST_SLOPES)
    keys = jax.random.split(jax.random.key(config.seed + 1), len(names))
    count = config.num_nets // len(names)
    bounds, rates, violations = [], [], []
    for name, key in zip(names, keys, strict=True):
        log_norms, sigma = _driven_norms(name, key, count)
        bound = np.log(theory.STEEPEST_SLOPES[name] * sigma)
        lags = np.arange(log_norms.shape[1])
        # 1e-9: ample for the rounding of 50 products in float64.
        violations.append((log_norms > lags * bound[:, None] + 1e-9).any(1))
        bounds.append(bound)
        rates.append(log_norms[:, -1] / lags[-1])
    violated, total = int(np.sum(violations)), count * len(names)
    axes = ("activation", "net")
    what, quantity = "the bound (γ σ_max)^k", f"violated, up to lag {BOUNDED_LAG}"
    return Found(
        arrays={
            "bound": Quantity(np.stack(bounds), axes, "nats/step"),
            "bounded_rate": Quantity(np.stack(rates), axes, "nats/step"),
            "bound_violated": Quantity(np.stack(violations), axes, "1"),
        },
        axes={"activation": names},
        rows=[row(what, quantity, f"{violated} of {total} nets", "0")],
        lines=[f"Pascanu's bound was violated by {violated} of {total} random nets."],
    )


def _driven_norms(
    activation: str, key: jax.Array, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns ln ||dL/dh_{T-k}|| / ||dL/dh_T||, (net, lag + 1), and σ_max, (net,)."""
    cell = lj.rnn(activation)

    @jax.jit
    @jax.vmap
    def measure(key):
        key_gain, key_params, key_inputs = jax.random.split(key, 3)
        gain = jax.random.uniform(key_gain, minval=0.1, maxval=3.0)
        params = cell.init(
            key_params,
            BOUNDED_SIZE,
            BOUNDED_SIZE,
            gain=gain / theory.STEEPEST_SLOPES[activation],
            recurrent_init=initializers.gaussian,
            dtype=jnp.float64,
        )
        inputs = jax.random.normal(key_inputs, (BOUNDED_LAG, BOUNDED_SIZE))
        loss = lambda ys: jnp.sum(ys[-1]) / BOUNDED_SIZE**0.5
        return lj.gradient_norms(cell, params, inputs, loss).h, params.w_hh

    norms, w_hh = map(np.asarray, measure(jax.random.split(key, count)))
    sigma = np.linalg.norm(w_hh, 2, axis=(-2, -1))
    with np.errstate(divide="ignore"):  # nets of dead ReLUs leave nothing
        log_norms = np.log(norms[:, ::-1])
    return np.pad(log_norms, ((0, 0), (1, 0))), sigma


def _long_run(config: Config) -> Found:
    """Runs g Q at g = 1/2 in float32, and measures with log-norms and without."""
    cell, size = lj.rnn("linear"), config.hidden_size
    params = cell.init(
        jax.random.key(config.seed), 1, size, gain=LONG_GAIN, dtype=jnp.float32
    )
    inputs = jnp.zeros((config.long_lag, 1), jnp.float32)
    loss = lambda ys: jnp.sum(ys[-1]) / jnp.sqrt(jnp.float32(size))

    @jax.jit
    def measure(params):
        exact = lj.log_gradient_norms(cell, params, inputs, loss).h
        plain = lj.carry_gradients(cell, params, inputs, loss).h
        return exact, lj.decay_rate(exact), plain

    exact, rate, plain = map(np.asarray, measure(params))
    with np.errstate(divide="ignore"):
        whole = 0.5 * np.log(np.sum(plain.astype(np.float64) ** 2, -1))
        squares = 0.5 * np.log(np.sum(plain**2, -1, dtype=np.float32))
    error = float(rate) - math.log(LONG_GAIN)
    lost = -float(exact[0]) / math.log(10)
    what = f"float32, g = 1/2, lag {config.long_lag}"
    last = f"{_last_lag(whole)} (squares: {_last_lag(squares)})"
    near = "near 126 (squares: near 70)"
    return Found(
        arrays={
            "long_log_norm": Quantity(exact[::-1], ("long_lag",), "nats"),
            "long_log_plain": Quantity(whole[::-1], ("long_lag",), "nats"),
            "long_log_root_of_squares": Quantity(squares[::-1], ("long_lag",), "nats"),
        },
        axes={"long_lag": range(1, config.long_lag + 1)},
        rows=[
            row(what, "rate - ln(1/2)", f"{error:+.1e}", "below 1e-6"),
            row("float32, plain norm", "last lag above zero", last, near),
        ],
        lines=[
            f"After {config.long_lag} steps at g = 1/2 a norm of 1e-{lost:.0f} still "
            f"has its slope, to {abs(error):.0e} nats per step; a plain float32 "
            f"gradient is zero from lag {_last_lag(whole) + 1} on."
        ],
    )


def _last_lag(log_norms: np.ndarray) -> int:
    """Returns the largest lag with a norm above zero, from log-norms in time order."""
    return len(log_norms) - int(np.argmax(np.isfinite(log_norms)))


def _sweep(config: Config) -> Found:
    curves = _curves(config, TANH, SWEPT_GAINS)
    found = _fitted_rates(curves.log_norms)
    radius = theory.spectral_radius_rate(curves.matrices)
    norm = np.log(np.linalg.norm(curves.matrices, 2, axis=(-2, -1)))
    certified = sum(bool((row < 0).all()) for row in norm)
    worst = float(np.abs(found - radius).max())
    what = f"tanh, g = {SWEPT_GAINS[0]} to {SWEPT_GAINS[-1]}"
    quantity, expected = "largest |rate - ln ρ(W)|", "0 as the lag grows"
    return Found(
        arrays={
            "gain_rate": Quantity(found, ("gain", "seed"), "nats/step"),
            "ln_spectral_radius": Quantity(radius, ("gain", "seed"), "nats/step"),
            "ln_spectral_norm": Quantity(norm, ("gain", "seed"), "nats/step"),
        },
        axes={"gain": SWEPT_GAINS},
        rows=[row(what, quantity, f"{worst:.4f}", expected)],
        lines=[
            f"All {len(SWEPT_GAINS)} gains below 1 make gradients vanish, at ln ρ(W) "
            f"within {worst:.3f} nats per step; the bound certifies it for {certified}."
        ],
    )


def _transient(config: Config) -> Found:
    del config  # the block is the textbook's
    growth = transient_growth(JORDAN_BLOCK, 100)
    measured = f"{growth.norm:.1f}, {growth.power}"
    expected = f"19.4, 9; Kreiss: at least {kreiss_bound(JORDAN_BLOCK):.1f}"
    what, quantity = "[[.9, 5], [0, .9]]", "largest ||W^k||, and its k"
    return Found(arrays={}, rows=[row(what, quantity, measured, expected)])


def _spread(values: np.ndarray) -> str:
    low, high = values.min(), values.max()
    middle = f"{np.median(values):+.4f}"
    return middle if high - low < 5e-5 else f"{middle} [{low:+.4f}, {high:+.4f}]"


if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
