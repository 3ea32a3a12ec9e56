"""Omega: a penalty on error signals that change size on the way back."""

from typing import Unpack

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax.cells.cell import Cell
from lstm_jax.gradients.adjoint import StepBack, observed_on_the_way_back, way_back
from lstm_jax.gradients.exponents import scaled
from lstm_jax.gradients.exponents.slopes import with_exact_slopes
from lstm_jax.gradients.loss import LossFn
from lstm_jax.gradients.state import inexact_leaves, with_inexact_leaves
from lstm_jax.masking import Masks, StepInput, Steps, prepare
from lstm_jax.types import Carry, Params, Sequences


def omega(
    cell: Cell,
    params: Params,
    xs: Sequences,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Float[Array, ""]:
    """Returns Ω, which is 0 if every step passes the error back at full size.

        Ω = Σ_t ( ||J_tᵀ a_{t+1}|| / ||a_{t+1}|| - 1 )²,      mean over the batch

    with a_{t+1} the adjoint of the carry that leaves step t (all its leaves together)
    and J_t the Jacobian of that step. Terms with a_{t+1} = 0 are left out; adjoints too
    small or large for their dtype count like any other. Add `weight * omega(...)` to a
    loss. As in the paper, only J_t's own dependence on the weights is differentiated:
    adjoints and carries are constants (`stop_gradient`). The authors' code uses the
    ratio of squared norms and applies the penalty's gradient only to the recurrent
    weights; here it reaches all weights in J_t.

    Arguments and errors as for `carry_gradients`.

    Example:
      >>> params = lj.RNN.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = jnp.ones((5, 2, 3))
      >>> lj.gradients.omega(lj.RNN, params, xs, lambda ys: ys[-1].sum()).shape
      ()

    References:
      Pascanu, Mikolov & Bengio (2013), equations 9 and 10,
      https://arxiv.org/abs/1211.5063
    """
    steps = prepare(cell, params, xs, carry, **masks)
    way = way_back(jax.lax.stop_gradient(steps), loss_fn)
    directions = observed_on_the_way_back(way, _direction)
    leaving = [_of_next(leaf, steps.reverse) for leaf in directions]
    constants = jax.lax.stop_gradient((way.entering, steps.inputs, leaving))
    return _omega(with_exact_slopes(steps), *constants)


@jax.jit
def _omega(
    steps: Steps, entering: Carry, inputs: StepInput, leaving: list[Array]
) -> Float[Array, ""]:
    def handed_back(entering, inputs, leaving):
        def step(leaves):
            carry = with_inexact_leaves(entering, leaves)
            return inexact_leaves(steps.step(steps.shared, carry, inputs)[0])

        _, pullback = jax.vjp(step, inexact_leaves(entering))
        return pullback(leaving)[0]

    with jax.default_matmul_precision("highest"):
        returned = jax.vmap(handed_back)(entering, inputs, leaving)
    batch_axes = len(steps.batch_shape)
    sent, returned = _squares(leaving, batch_axes), _squares(returned, batch_axes)
    silent = (sent == 0) | (returned == 0)
    ratio = jnp.sqrt(jnp.where(silent, 1, returned) / jnp.where(silent, 1, sent))
    terms = jnp.where(sent == 0, 0, jnp.where(returned == 0, 1, (ratio - 1) ** 2))
    return jnp.mean(jnp.sum(terms, axis=0))


def _direction(_: Steps, at_t: StepBack) -> list[Array]:
    """Returns the adjoint at a length near 1: Ω depends only on its direction."""
    exponents = jnp.stack([adjoint.exponent for adjoint in at_t.adjoints])
    largest = jnp.max(exponents, axis=0)
    return [scaled.over_power(adjoint, largest) for adjoint in at_t.adjoints]


def _of_next(adjoints: Array, reverse: bool) -> Array:
    """Returns the adjoint of the carry that leaves each step; zero after the last."""
    nothing = jnp.zeros_like(adjoints[:1])
    parts = [nothing, adjoints[:-1]] if reverse else [adjoints[1:], nothing]
    return jnp.concatenate(parts)


def _squares(leaves: list[Array], batch_axes: int) -> Float[Array, " time *batch"]:
    """Returns the squared norm of all leaves together."""
    rests = [tuple(range(1 + batch_axes, leaf.ndim)) for leaf in leaves]
    parts = [
        jnp.sum(jnp.abs(leaf) ** 2, axis=rest)
        for leaf, rest in zip(leaves, rests, strict=True)
    ]
    return jax.tree.reduce(jnp.add, parts)
