"""What number does the decay curve have?

Question: the log-norm of the last step's gradient falls or rises along a straight line
over the lag. Is the slope the largest Lyapunov exponent of the run, and does theory
predict that exponent? (All the other exponents: `spectrum_law` and `orthogonality`.)

  python -m experiments.lyapunov
  python -m experiments.lyapunov --hidden_size=128 --gains=0.5,2

What is drawn. Nets h_t = tanh(W h_{t-1}), W_ij ~ N(0, g²/N), without input: largest
exponent (dots) and slope of the log-norm of dL/dh (crosses) against the gain, with ln g
below g = 1 and mean-field theory above.

Expected. g < 1: λ_1 = ln ρ(W) of this very W, |slope - ln ρ(W)| at most .01 on average
for g = .5, .7, .8. g > 1: mean field gives .0652, .1547, .3103 at g = 1.5, 2, 3 for
N -> infinity; seed averages within .02. Near g = 1 a finite net may be periodic.

Row 4 of docs/results.md, `./scripts/reproduce --only=lyapunov`: gains to 10; published
of N = 4096 are .0649, .3096, .5312, .7494, .8551 at g = 1.5, 3, 5, 8, 10. Smaller nets
have less, at g = 10 .820 on average for N = 256 and .839 for N = 512. Untrained nets on
adding: a linear orthogonal one keeps its gradient, an LSTM loses it.

Sources: Clark (2026), https://arxiv.org/abs/2610.12426; Molgedey, Schuchhardt &
Schuster (1992), https://doi.org/10.1103/PhysRevLett.69.3717; Arjovsky, Shah & Bengio
(2016), https://arxiv.org/abs/1511.06464.
"""

from dataclasses import asdict, dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from experiments.common import cli, compiling, memory_limit, random_nets, wording
from experiments.common.cli import option
from experiments.common.laws import Found, record_of, row
from experiments.common.records import Quantity, Record
from experiments.common.rows import Row
from experiments.criteria.lyapunov import checks
from experiments.figures.lyapunov import plot
from lstm_jax import theory
from lstm_jax.gradients.lyapunov import lyapunov_exponents

NAME = "lyapunov"
GAIN = cli.list_of(cli.number(above=0))
PUBLISHED_GAINS = (0.5, 0.7, 0.8, 0.9, 1.1, 1.3, 1.5, 2.0, 3.0, 5.0, 8.0, 10.0)


@dataclass(frozen=True)
class Config(cli.Flags):
    """What is measured; every field is a flag."""

    hidden_size: int = option(
        256, cli.integer(minimum=2), "units of the nets with one exponent measured"
    )
    gains: tuple[float, ...] = option(
        (0.5, 0.7, 0.8, 0.9, 1.1, 1.3, 1.5, 2.0, 3.0, 5.0), GAIN, "g of these nets"
    )
    num_seeds: int = option(8, cli.integer(minimum=1), "nets per gain")
    num_steps: int = option(1000, cli.integer(minimum=20), "steps measured")
    burn_in: int = option(200, cli.integer(minimum=0), "steps before that")
    seed: int = option(0, cli.seed(), "everything random follows from it")


ROW = Row(
    number="4",
    title="the decay curve has a number",
    source="Clark (2026), https://arxiv.org/abs/2610.12426, its data at N = 4096; "
    "Arjovsky, Shah & Bengio (2016), figure 4, https://arxiv.org/abs/1511.06464",
    sizes={
        "smoke": {
            "hidden_size": 64,
            "gains": (0.5, 0.9, 3.0),
            "num_seeds": 2,
            "num_steps": 200,
            "burn_in": 100,
        },
        # With N = 256 the means at g = 8 and 10 are 0.03 below their limits.
        "standard": {"gains": PUBLISHED_GAINS, "hidden_size": 512},
        "paper": {"gains": PUBLISHED_GAINS, "hidden_size": 1024},
    },
    checks=checks,
)


def run(config: Config) -> Record:
    """Measures both parts and returns the record."""
    parts = {
        f"largest exponents, N = {config.hidden_size}": _largest,
        f"driven nets, N = {config.hidden_size}": _driven,
    }
    arrays = [
        ("num_seeds", "hidden_size", "hidden_size"),
        ("num_steps", "hidden_size"),
        ("burn_in", 2),  # a key each
    ]
    memory_limit.check(asdict(config), arrays, itemsize=8)
    with jax.enable_x64(True), random_nets.one_thread():
        return record_of(NAME, config, parts)


def _largest(config: Config) -> Found:
    """Measures λ_1 and the slope of the gradient on the same runs."""
    size, burn_in = config.hidden_size, config.burn_in
    inputs = jnp.zeros((burn_in + config.num_steps, 1))

    def measure(key, gain):
        params, start = random_nets.net(lj.RNN, key, size, gain)
        (largest,) = lyapunov_exponents(
            lj.RNN, params, inputs, 1, burn_in=burn_in, carry=start
        )
        loss = lambda ys: jnp.sum(ys[-1])
        norms = lj.log_gradient_norms(lj.RNN, params, inputs, loss, start).h
        return largest, lj.decay_rate(norms[burn_in:]), params.w_hh

    exponents, slopes, w_hh = random_nets.side_by_side(
        measure, config.seed, config.num_seeds, config.gains
    )
    radii = theory.spectral_radius_rate(w_hh)
    columns = config.gains, wording.told_apart(config.gains), exponents, slopes, radii
    rows = [_largest_row(*found) for found in zip(*columns, strict=True)]
    apart = np.abs(slopes - exponents).mean()
    return Found(
        arrays={
            "largest_exponent": Quantity(exponents, ("gain", "seed"), "nats/step"),
            "gradient_rate": Quantity(slopes, ("gain", "seed"), "nats/step"),
            "ln_spectral_radius": Quantity(radii, ("gain", "seed"), "nats/step"),
        },
        axes={"gain": config.gains},
        rows=rows,
        lines=[
            "The slope of ln ||dL/dh|| is the largest Lyapunov exponent of the run: "
            f"{apart:.4f} nats per step apart, on average over {slopes.size} nets.",
        ],
    )


def _largest_row(
    gain: float,
    text: str,
    exponents: np.ndarray,
    slopes: np.ndarray,
    radii: np.ndarray,
) -> dict[str, str]:
    if gain < 1:
        apart = np.abs(slopes - radii).mean()
        law = f"ln ρ(W) {radii.mean():+.4f}; {apart:.4f} apart"
    else:
        law = f"mean field {float(theory.mean_field_exponent(gain)):+.4f}"
    return row(
        f"g = {text}, {exponents.size} nets",
        "slope; λ_1, nats per step",
        f"{slopes.mean():+.4f}; {exponents.mean():+.4f} ± {_error(exponents):.4f}",
        law,
    )


def _error(values: np.ndarray) -> float:
    """Returns the standard error of a mean over seeds."""
    return float(values.std(ddof=1) / values.size**0.5) if values.size > 1 else np.nan


def _driven(config: Config) -> Found:
    """Measures the slopes of other untrained nets, driven by the adding problem."""
    size, key = config.hidden_size, jax.random.fold_in(jax.random.key(config.seed), 2)
    batch = lj.TASKS["adding"].sample(key, config.num_seeds, config.num_steps)
    inputs = jnp.asarray(batch.inputs, jnp.float64)
    keys = jax.random.split(jax.random.key(config.seed), config.num_seeds)

    def slope(cell, params, inputs):
        loss = lambda ys: jnp.sum(ys[-1])
        return lj.decay_rate(lj.log_gradient_norms(cell, params, inputs, loss).h)

    rates = {}
    for name, cell in {"orthogonal": lj.rnn("linear"), "lstm": lj.LSTM}.items():
        nets = [cell.init(key, 2, size, dtype=jnp.float64) for key in keys]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *nets)
        of_seeds = jax.jit(
            jax.vmap(partial(slope, cell), in_axes=(0, 1)),
            compiler_options=compiling.soon(),
        )
        rates[name] = np.asarray(of_seeds(stacked, inputs))
    quantity = Quantity(np.stack([*rates.values()]), ("driven", "seed"), "nats/step")
    return Found({"driven_rate": quantity}, {"driven": rates})


if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
