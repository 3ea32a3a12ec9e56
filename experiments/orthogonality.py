"""What keeps a gradient: an orthogonal matrix, or exponents that are pushed to zero?

Question: are all Lyapunov exponents right where they are known exactly; does a net
whose matrix stays orthogonal copy over 100 steps, where a tanh RNN stays at chance; and
does descending the exponents' squares make the Jacobian of a whole run well
conditioned?

  python -m experiments.orthogonality
  python -m experiments.orthogonality --delay=200 --hidden_size=64

Sources.
  Newman (1986), https://doi.org/10.1007/BF01464284: the exponents of products of fresh
  Gaussian matrices. Engelken, Wolf & Abbott (2023),
  https://doi.org/10.1103/PhysRevResearch.5.043044, abstract: the attractor's dimension
  rises near the onset of chaos and falls far from it. Clark (2026),
  https://arxiv.org/abs/2610.12426, data at N = 4096: D/N .2872 and .1903, g = 3, 8.
  Arjovsky, Shah & Bengio (2016), https://arxiv.org/abs/1511.06464, copy, T = 100: a
  tanh RNN at .171 after 10^6 sequences, where chance is .1733 (read off a figure of the
  draft in their code's repository, amarshah/complex_RNN); the orthogonal net here is
  the real one of Lezcano-Casado & Martínez-Rubio (2019),
  https://arxiv.org/abs/1901.08428.
  Engelken (2023), https://arxiv.org/abs/2312.17306: flossing controls the norm of the
  gradient and the condition number of the long-term Jacobian; no number is taken.

Settings.
  fresh matrices  64 x 64, N(0, 1/N), 2000 steps, float64.
  dimensions      h_t = tanh(W h_{t-1}), in discrete time, N = 100, g = 3 and 8, 1000
                  steps after 200.
  copy            `lj.tasks.COPY_MEMORY`, T = 100, batches of 20, RMSProp at .001, decay
                  .9, from an accumulator of .001, without its ε, and every gradient
                  clipped to ±1, as Arjovsky et al. train their RNN: of 80 tanh units,
                  Glorot uniform, a trained h_0. The same for `exp_rnn` of 128 units (as
                  many as their uRNN has), but that W_hh learns at a tenth of the rate
                  and W_ih is N(0, 2 / input), as in Lezcano-Casado's code. The paper
                  trains for 50 000 updates, we for --num_updates.
  flossing        as in `RainerEngelken/GradientFlossing`: 80 tanh units,
                  W_hh N(0, 1/N), W_ih N(0, 1), b U[0, .1], inputs of one fresh sequence
                  of 55 random bits an update, from the state after 100 steps without
                  any; mean λ² of the first 75 exponents; Adam at .001 for all weights,
                  500 updates. Ours: float64, the first 15 steps not counted (theirs:
                  16), a QR every fifth step in training, every step where exponents
                  are reported, and the norm of the gradient clipped at .03, as theirs
                  is in training the task and not in flossing.

The condition number is σ_1 / σ_75 of dh_55/dh_0, of the directions that are flossed;
the other five are left alone, and the table has σ_1 / σ_80 too.

Expected. Every exponent of fresh matrices within 5 standard errors, rms z in [.6, 1.5];
Σ λ_i = mean ln|det J| to 1e-8 (where det J isn't 0); D/N at g = 3 at least .04 above
that at g = 8 in every seed; `exp_rnn` at most .1 of chance in 3 of 5 seeds, and the
tanh RNN at least .95 of it, in each tenth of the updates and at the end; the mean |λ_i|
of the first ten below .02 within 500 updates and the condition number lowered by 10 at
least, in every net.

Found: 11 minutes on one busy core. All of it: copy at .0003 of chance (exp_rnn, 5 of 5
seeds) and 1.003 (tanh RNN); D/N .269 at g = 3 and .177 at g = 8; z-scores of fresh
matrices with rms 1.01, 2.2 at most; the mean |λ| of the first ten from .39 to .004,
below .02 after 150 to 200 updates. σ_1/σ_75 of 55 steps falls from e^133 to e^9; that
of all 80 directions rises, e^207 to e^248, as five are left alone.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from experiments.common import (
    cli,
    copy_nets,
    flossed_nets,
    memory_limit,
    random_nets,
    wording,
)
from experiments.common.cli import ConfigError, option
from experiments.common.laws import Found, record_of, row
from experiments.common.records import Quantity, Record
from experiments.common.rows import Row, mean, verdict_lines
from experiments.criteria.orthogonality import COPIES, STAYS, checks
from experiments.figures.orthogonality import plot
from lstm_jax import initializers, theory
from lstm_jax.cells import skew_exp
from lstm_jax.gradients.lyapunov import kaplan_yorke_dimension, lyapunov_spectrum

NAME = "orthogonality"
KAIMING = jax.nn.initializers.variance_scaling(2.0, "fan_in", "normal")
SLOWER = 0.1  # of the learning rate: that of W_hh of an exp_rnn


@dataclass(frozen=True)
class Config(cli.Flags):
    """What is measured; every field is a flag."""

    matrix_size: int = option(64, cli.integer(minimum=1), "N of the fresh matrices")
    num_matrices: int = option(2000, cli.integer(minimum=20), "matrices multiplied")
    spectrum_size: int = option(100, cli.integer(minimum=2), "N of the chaotic nets")
    spectrum_gains: tuple[float, ...] = option(
        (3.0, 8.0), cli.list_of(cli.number(above=0)), "g of these nets, the lower first"
    )
    spectrum_seeds: int = option(4, cli.integer(minimum=1), "nets per gain")
    spectrum_steps: int = option(1000, cli.integer(minimum=20), "steps measured")
    burn_in: int = option(200, cli.integer(minimum=0), "steps before that")
    delay: int = option(100, cli.integer(minimum=1), "T of the copy task")
    hidden_size: int = option(128, cli.integer(minimum=2), "units of the exp_rnn")
    rnn_size: int = option(80, cli.integer(minimum=1), "units of the tanh RNN")
    num_seeds: int = option(5, cli.integer(minimum=1), "networks of each, on copy")
    num_updates: int = option(1500, cli.integer(minimum=10), "updates on copy")
    batch_size: int = option(20, cli.integer(minimum=1), "sequences per update")
    learning_rate: float = option(1e-3, cli.number(above=0), "for RMSProp")
    floss_size: int = option(80, cli.integer(minimum=2), "units of the flossed nets")
    floss_exponents: int = option(75, cli.integer(minimum=1), "exponents flossed")
    floss_length: int = option(55, cli.integer(minimum=20), "steps flossed")
    floss_updates: int = option(500, cli.integer(minimum=1), "updates of flossing")
    floss_rate: float = option(1e-3, cli.number(above=0), "for Adam")
    floss_seeds: int = option(3, cli.integer(minimum=1), "flossed nets")
    log_interval: int = option(50, cli.integer(minimum=1), "updates between measures")
    seed: int = option(0, cli.seed(), "everything random follows from it")

    def __post_init__(self) -> None:
        """Checks each field, and what must fit together."""
        super().__post_init__()
        if self.matrix_size > 256:
            raise ConfigError(
                f"matrix_size: got {self.matrix_size}; it must be at most 256, since "
                "the matrices of all steps are held in memory"
            )
        if self.floss_exponents > self.floss_size:
            raise ConfigError(
                f"floss_exponents: got {self.floss_exponents}; it must be at most "
                f"floss_size = {self.floss_size}"
            )
        if self.floss_length % flossed_nets.QR_EVERY:
            raise ConfigError(
                f"floss_length: got {self.floss_length}; it must be a multiple of "
                f"{flossed_nets.QR_EVERY}, the steps between two QR factorisations"
            )


def run(config: Config) -> Record:
    """Measures the four parts and returns the record."""
    arrays = [
        ("num_matrices", "matrix_size", "matrix_size"),
        ("spectrum_seeds", "spectrum_size", "spectrum_size"),
        ("spectrum_steps", "spectrum_size"),
        ("burn_in", 2),  # a key each
        ("num_seeds", "hidden_size", "hidden_size"),
        ("num_seeds", "rnn_size", "rnn_size"),
        ("num_seeds", "num_updates"),
        ("delay", "batch_size", "hidden_size"),
        ("floss_seeds", "floss_size", "floss_size"),
        ("floss_seeds", "floss_updates"),
        ("floss_length", "floss_size", "floss_exponents"),
    ]
    memory_limit.check(asdict(config), arrays, itemsize=8)
    parts = {
        f"fresh matrices, N = {config.matrix_size}": _in_float64(_fresh_matrices),
        f"dimensions, N = {config.spectrum_size}": _in_float64(_dimensions),
        f"flossing, {config.floss_updates} updates": _in_float64(_flossing),
        f"copy, T = {config.delay}": _copying,
    }
    record = record_of(NAME, config, parts)
    held = verdict_lines(checks(record))
    return record._replace(verdict=["", *held])


def _in_float64(part: Callable[[Config], Found]) -> Callable[[Config], Found]:
    def measured(config: Config) -> Found:
        with jax.enable_x64(True), random_nets.one_thread():
            return part(config)

    return measured


# -- Spectra -------------------------------------------------------------------------


def _fresh_matrices(config: Config) -> Found:
    """Multiplies matrices that are drawn anew at every step."""
    size, steps = config.matrix_size, config.num_matrices
    key = jax.random.fold_in(jax.random.key(config.seed), 1)
    matrices = jax.random.normal(key, (steps, size**2)) / size**0.5
    cell = lj.Cell(
        name="fresh_matrix",
        init=lambda *_: (),
        init_carry=lambda params, batch_shape=(): jnp.ones((*batch_shape, size)),
        step=lambda params, h, x: (x.reshape(size, size) @ h, h),
    )
    found = jax.jit(lambda xs: lyapunov_spectrum(cell, (), xs))(matrices)
    found = jax.tree.map(np.asarray, found)
    expected = theory.gaussian_product_exponents(size)
    z = (found.exponents - expected) / theory.gaussian_product_stderr(size, steps)
    apart = np.abs(found.exponents.sum() - found.mean_log_det)
    rms, worst = float(np.sqrt((z**2).mean())), float(np.abs(z).max())
    ends = [f"{of[0]:+.5f}; {of[-1]:+.5f}" for of in (found.exponents, expected)]
    axes = ("fresh_rank",)
    return Found(
        arrays={
            "fresh_exponent": Quantity(found.exponents, axes, "nats/step"),
            "fresh_z": Quantity(z, axes, "1"),
            "fresh_sum_rule": Quantity(apart, (), "nats/step"),
        },
        rows=[
            row(f"fresh matrices, N = {size}", "largest λ; smallest λ", *ends),
            row("", "z-scores: rms; largest", f"{rms:.2f}; {worst:.2f}", "1; below 5"),
            row("", "Σ λ - mean ln|det J|", f"{apart:.1e}", "below 1e-8"),
        ],
    )


def _dimensions(config: Config) -> Found:
    size, gains = config.spectrum_size, config.spectrum_gains
    found = random_nets.spectra(
        lj.RNN,
        size,
        gains,
        seed=config.seed,
        num_seeds=config.spectrum_seeds,
        num_steps=config.spectrum_steps,
        burn_in=config.burn_in,
    )
    dimensions = np.asarray(kaplan_yorke_dimension(jnp.asarray(found.exponents))) / size
    apart = np.abs(found.exponents.sum(-1) - found.mean_log_det)
    # det J is 0 in float64 where a sum is beyond 19.
    apart = np.where(np.isfinite(apart), apart, np.nan)
    nets = ("spectrum_gain", "spectrum_seed")
    rows = [
        row(
            f"N = {size}, g = {text}",
            "D/N",
            mean(of_gain, ".3f"),
            f"{float(theory.mean_field_dimension(gain)):.3f} for N -> infinity",
        )
        for gain, text, of_gain in zip(
            gains, wording.told_apart(gains), dimensions, strict=True
        )
    ]
    return Found(
        arrays={
            "exponent": Quantity(found.exponents, (*nets, "rank"), "nats/step"),
            "dimension": Quantity(dimensions, nets, "1"),
            "sum_rule": Quantity(apart, nets, "nats/step"),
        },
        axes={"spectrum_gain": gains},
        rows=rows,
    )


# -- Copy ----------------------------------------------------------------------------


def _copying(config: Config) -> Found:
    """Trains both networks of every seed, one after the other."""
    nets = {
        COPIES: (lj.cells.EXP_RNN, config.hidden_size, SLOWER, {"input_init": KAIMING}),
        STAYS: (
            *(lj.learned_carry(lj.RNN), config.rnn_size, 1.0),
            {"recurrent_init": initializers.glorot},
        ),
    }
    trained = {name: copy_nets.trained(config, *net) for name, net in nets.items()}
    losses = np.stack([loss for _, loss, _ in trained.values()])
    tested = np.stack([test for _, _, test in trained.values()])
    turns = jax.jit(jax.vmap(skew_exp))(trained[COPIES][0].cell.w_hh)
    apart = np.abs(np.asarray(turns @ turns.mT) - np.eye(config.hidden_size))
    floor, axes = copy_nets.TASK.floor(copy_nets.length_of(config)), ("network", "seed")
    rows = [
        row(
            f"{name}, T = {config.delay}",
            "loss on fresh sequences",
            mean(of_name, ".5f"),
            f"chance {floor:.5f}",
        )
        for name, of_name in zip(nets, tested, strict=True)
    ]
    rows.append(row(COPIES, "max |Q Qᵀ - I|, trained", f"{apart.max():.0e}", "0"))
    return Found(
        arrays={
            "copy_loss": Quantity(losses, (*axes, "update"), "nats"),
            "copy_test_loss": Quantity(tested, axes, "nats"),
            "copy_floor": Quantity(np.asarray(floor), (), "nats"),
            "orthogonality_error": Quantity(apart.max((1, 2)), ("seed",), "1"),
        },
        axes={"network": list(nets)},
        rows=rows,
    )


# -- Flossing ------------------------------------------------------------------------


def _flossing(config: Config) -> Found:
    at, each = flossed_nets.flossed(config)
    losses, exponents, singular = (np.stack(of) for of in zip(*each, strict=True))
    count = config.floss_exponents
    conditions = singular[..., :1] - singular[..., [count - 1, -1]]
    axes = ("floss_seed", "flossed")
    before, after = (f"{conditions[:, k, 1].mean():.0f}" for k in (0, -1))
    return Found(
        arrays={
            "floss_loss": Quantity(losses, ("floss_seed", "floss_update"), "1"),
            "flossed_exponent": Quantity(
                exponents, (*axes, "flossed_rank"), "nats/step"
            ),
            "log_condition": Quantity(conditions[..., 0], axes, "nats"),
            "log_condition_of_all": Quantity(conditions[..., 1], axes, "nats"),
        },
        axes={"flossed": at},
        rows=[
            row(
                f"flossing, N = {config.floss_size}",
                "ln(σ_1 / σ_N), before; after",
                f"{before}; {after}",
                f"{config.floss_size - count} exponents are not flossed",
            )
        ],
    )


ROW = Row(
    number="11",
    title="Orthogonality and the Lyapunov spectrum",
    source=(
        "Arjovsky, Shah & Bengio (2016), copy, https://arxiv.org/abs/1511.06464; "
        "Lezcano-Casado & Martínez-Rubio (2019), https://arxiv.org/abs/1901.08428; "
        "Clark (2026), https://arxiv.org/abs/2610.12426, its data at N = 4096; "
        "Engelken (2023), https://arxiv.org/abs/2312.17306"
    ),
    sizes={
        "smoke": {
            "matrix_size": 6, "num_matrices": 200, "spectrum_size": 48,
            "spectrum_seeds": 2, "spectrum_steps": 80, "burn_in": 50, "delay": 5,
            "hidden_size": 32, "rnn_size": 8, "num_seeds": 2, "num_updates": 150,
            "learning_rate": 3e-3, "floss_size": 12, "floss_exponents": 8,
            "floss_length": 25, "floss_updates": 60, "floss_rate": 1e-2,
            "floss_seeds": 2, "log_interval": 30,
        },
        "standard": {},
        "paper": {"num_updates": 50_000},
    },
    checks=checks,
)  # fmt: skip

if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
