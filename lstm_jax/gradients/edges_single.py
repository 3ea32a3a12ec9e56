"""Steps of cells with one memory in which every place reads a copy of its own.

The equations of `lstm_jax.cells` with `copies[edge]` where the cell has its carry; what
is kept of the memory is read along the edge "cell".
"""

from collections.abc import Mapping
from functools import cache

import jax
import jax.numpy as jnp

from lstm_jax.cells.gru import GRUCarry, GRUParams
from lstm_jax.cells.gru_reset_before import GRUResetBeforeParams
from lstm_jax.cells.janet import JANETCarry, JANETParams
from lstm_jax.cells.mgu import MGUParams
from lstm_jax.cells.minimal_rnn import MinimalRNNParams
from lstm_jax.cells.rnn import RNNCarry, RNNParams
from lstm_jax.gradients.copies import StepByEdge
from lstm_jax.types import Hidden, Input, any_rank


def gru(
    params: GRUParams, copies: Mapping[str, GRUCarry], x: Input
) -> tuple[GRUCarry, Hidden]:
    """`lstm_jax.cells.gru`; the candidate's product is read along "n"."""
    x_r, x_z, x_n = jnp.split(x @ params.w_ih + params.b, 3, axis=-1)
    w_r, w_z, w_n = jnp.split(params.w_hh, 3, axis=-1)
    r = jax.nn.sigmoid(x_r + copies["r"].h @ w_r)
    z = jax.nn.sigmoid(x_z + copies["z"].h @ w_z)
    n = jnp.tanh(x_n + r * (copies["n"].h @ w_n + params.b_hn))
    h = z * copies["cell"].h + (1 - z) * n
    return GRUCarry(h=h), h


def gru_reset_before(
    params: GRUResetBeforeParams, copies: Mapping[str, GRUCarry], x: Input
) -> tuple[GRUCarry, Hidden]:
    """`lstm_jax.cells.gru_reset_before`; what is reset is read along "n"."""
    x_r, x_z, x_n = jnp.split(x @ params.w_ih + params.b, 3, axis=-1)
    w_r, w_z, w_n = jnp.split(params.w_hh, 3, axis=-1)
    r = jax.nn.sigmoid(x_r + copies["r"].h @ w_r)
    z = jax.nn.sigmoid(x_z + copies["z"].h @ w_z)
    n = jnp.tanh(x_n + (r * copies["n"].h) @ w_n)
    h = z * copies["cell"].h + (1 - z) * n
    return GRUCarry(h=h), h


def mgu(
    params: MGUParams, copies: Mapping[str, GRUCarry], x: Input
) -> tuple[GRUCarry, Hidden]:
    """`lstm_jax.cells.mgu`."""
    x_f, x_n = jnp.split(x @ params.w_ih + params.b, 2, axis=-1)
    w_f, w_n = jnp.split(params.w_hh, 2, axis=-1)
    f = jax.nn.sigmoid(x_f + copies["f"].h @ w_f)
    n = jnp.tanh(x_n + f * (copies["n"].h @ w_n + params.b_hn))
    h = f * copies["cell"].h + (1 - f) * n
    return GRUCarry(h=h), h


@cache
def janet(beta: float) -> StepByEdge:
    """`lstm_jax.cells.janet`; learning and forgetting read along the one edge "f"."""

    @any_rank
    def step(
        params: JANETParams, copies: Mapping[str, JANETCarry], x: Input
    ) -> tuple[JANETCarry, Hidden]:
        x_f, x_g = jnp.split(x @ params.w_ih + params.b, 2, axis=-1)
        w_f, w_g = jnp.split(params.w_hh, 2, axis=-1)
        s = x_f + copies["f"].c @ w_f
        g = jnp.tanh(x_g + copies["g"].c @ w_g)
        c = jax.nn.sigmoid(s) * copies["cell"].c + (1 - jax.nn.sigmoid(s - beta)) * g
        return JANETCarry(c=c), c

    return step


def minimal_rnn(
    params: MinimalRNNParams, copies: Mapping[str, GRUCarry], x: Input
) -> tuple[GRUCarry, Hidden]:
    """`lstm_jax.cells.minimal_rnn`; its candidate does not read the memory."""
    z = jnp.tanh(x @ params.w_ih + params.b_z)
    u = jax.nn.sigmoid(copies["u"].h @ params.w_hh + z @ params.w_zh + params.b)
    h = u * copies["cell"].h + (1 - u) * z
    return GRUCarry(h=h), h


@cache
def antisymmetric_rnn(gamma: float, epsilon: float) -> StepByEdge:
    """`lstm_jax.cells.antisymmetric_rnn`; all is kept, and what is added reads "n"."""

    @any_rank
    def step(
        params: RNNParams, copies: Mapping[str, RNNCarry], x: Input
    ) -> tuple[RNNCarry, Hidden]:
        eye = jnp.eye(params.b.shape[0], dtype=params.b.dtype)
        a = params.w_hh - params.w_hh.T - gamma * eye
        n = jnp.tanh(x @ params.w_ih + copies["n"].h @ a + params.b)
        h = copies["cell"].h + epsilon * n
        return RNNCarry(h=h), h

    return step
