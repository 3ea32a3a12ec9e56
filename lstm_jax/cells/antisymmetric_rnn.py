"""Antisymmetric RNN: small steps of a motion that neither decays nor grows.

Its `init` takes the options of the Elman RNN; W_hh is Gaussian, as in the paper.
"""

import jax.numpy as jnp

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_input
from lstm_jax.cells.rnn import RNNCarry, RNNParams, init_carry, init_with
from lstm_jax.cells.wrappers.block_diagonal import block_diagonal
from lstm_jax.checks import check_number
from lstm_jax.factories import factory
from lstm_jax.types import Hidden, Input, any_rank


def antisymmetric_rnn(
    gamma: int | float = 0.01, epsilon: int | float = 0.01, *, heads: int = 1
) -> Cell:
    """Returns the antisymmetric RNN.

        A = W_hh - W_hhᵀ - γ I
        h_t = h_{t-1} + ε tanh(x_t W_ih + h_{t-1} A + b)        y_t = h_t

    Shapes: x (*batch, input), h (*batch, hidden), W_ih (input, hidden),
    W_hh (hidden, hidden), b (hidden,).

    It has none of the four gates: all of the memory is kept, and a little is learned on
    top. The eigenvalues of A have real part -γ, so at h = 0 those of the Jacobian
    I + ε A have modulus sqrt((1 - ε γ)² + (ε ω)²) with ω the frequency: within O(ε)
    of 1. Small steps learn slowly: anything takes about 1 / ε inputs.

    Args:
      gamma: diffusion γ, at least 0; it offsets the growth ε² ω² of Euler steps.
      epsilon: step ε, above 0.
      heads: at least 1, as in `lj.cells.block_diagonal`.

    Raises:
      ValueError: gamma, epsilon or heads is not allowed.

    Example:
      >>> lj.cells.antisymmetric_rnn() is lj.cells.ANTISYMMETRIC_RNN
      True
      >>> lj.cells.antisymmetric_rnn(gamma=0.1).gates
      ('n',)

    References:
      Chang, Chen, Haber & Chi (2019), https://arxiv.org/abs/1902.09689
    """
    check_number("gamma", gamma, "[0, inf)")
    check_number("epsilon", epsilon, "(0, inf)")
    return block_diagonal(_antisymmetric_rnn(float(gamma), float(epsilon)), heads)


# Apart from `antisymmetric_rnn`, so that every way of calling it gives the same cell.
@factory
def _antisymmetric_rnn(gamma: float, epsilon: float) -> Cell:
    @any_rank
    def step(params: RNNParams, carry: RNNCarry, x: Input) -> tuple[RNNCarry, Hidden]:
        check_input(x, params.w_ih.shape[0])
        eye = jnp.eye(params.b.shape[0], dtype=params.b.dtype)
        a = params.w_hh - params.w_hh.T - gamma * eye
        h = carry.h + epsilon * jnp.tanh(x @ params.w_ih + carry.h @ a + params.b)
        return RNNCarry(h=h), h

    default = gamma == epsilon == 0.01
    settings = "" if default else f"_gamma_{gamma:g}_epsilon_{epsilon:g}"
    return Cell(
        name=f"antisymmetric_rnn{settings}",
        init=init_with(initializers.gaussian),
        init_carry=init_carry,
        step=step,
        gates=("n",),
        memory="h",
        family="rnn",
    )


ANTISYMMETRIC_RNN = antisymmetric_rnn()
