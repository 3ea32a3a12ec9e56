"""Influence: how the output of every step t depends on the memory at every step s."""

from functools import partial
from typing import Any, Unpack

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell
from lstm_jax.checks import check_whole
from lstm_jax.gradients.adjoint import Observer, StepBack, WayBack, run_back
from lstm_jax.gradients.exponents import scaled
from lstm_jax.gradients.inputs import input_log_norms
from lstm_jax.gradients.state import entering_carries, inexact_structure
from lstm_jax.inputs import without_keys
from lstm_jax.masking import Masks, Steps, prepare
from lstm_jax.types import Carry, Params, PRNGKey, Sequences


def influence(
    cell: Cell,
    params: Params,
    xs: Sequences,
    carry: Carry | None = None,
    *,
    num_probes: int | None = None,
    key: PRNGKey | None = None,
    **masks: Unpack[Masks],
) -> Carry:
    """Returns ln ||dy_t / d(carry that enters step s)|| for every t and s.

    The norm is Frobenius', over the units of y_t and of the leaf. With u_1 .. u_k
    orthonormal directions of the n outputs,

        ||dy_t / dcarry_s||² ≈ n/k Σ_j ||(dy_t / dcarry_s)ᵀ u_j||²

    exact for k = n, unbiased for random directions and fewer of them (Hutchinson 1990).

    Costs time * num_probes runs of `log_gradient_norms`, so about time² steps back, and
    the memory of `num_probes` such runs besides the result.

    `num_probes` is k, from 1 to n; by default n, which is exact. `key` draws the
    directions, and is needed if num_probes < n. Other arguments: see `step_jacobians`.

    Returns:
      The structure of the carry, leaves (time t, time s, *batch), natural logarithms;
      -inf where y_t does not depend on the memory, as for s > t.

    Raises:
      ValueError: num_probes is out of range, or random directions lack a key.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> reach = lj.gradients.influence(lj.LSTM, params, jnp.ones((5, 2, 3)))
      >>> reach.c.shape  # (output, memory, batch)
      (5, 5, 2)
      >>> bool(jnp.isneginf(reach.c[0, 1:]).all())  # no output hears a later memory
      True

    References:
      Hutchinson (1990), https://doi.org/10.1080/03610919008812866
    """
    steps = prepare(cell, params, xs, carry, **masks)
    norms = _influence(steps, _carry_log_norms, num_probes, key)
    return inexact_structure(steps.carry, norms)


def input_influence(
    cell: Cell,
    params: Params,
    xs: Sequences,
    carry: Carry | None = None,
    *,
    num_probes: int | None = None,
    key: PRNGKey | None = None,
    **masks: Unpack[Masks],
) -> Float[Array, "time time *batch"]:
    """Returns ln ||dy_t / dx_s|| for every t and s, (time t, time s, *batch).

    Arguments, cost and errors as for `influence`.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> lj.gradients.input_influence(lj.LSTM, params, jnp.ones((5, 2, 3))).shape
      (5, 5, 2)
    """
    steps = prepare(cell, params, xs, carry, **masks)
    norms = _influence(steps, input_log_norms, num_probes, key)
    return inexact_structure(without_keys(steps.inputs.x), norms)


def _carry_log_norms(_: Steps, at_s: StepBack) -> list[Array]:
    return [scaled.log_norm(adjoint) for adjoint in at_s.adjoints]


def _influence(
    steps: Steps, of_step: Observer, num_probes: int | None, key: PRNGKey | None
) -> Any:
    with jax.default_matmul_precision("highest"):
        entering, ys = entering_carries(steps)
    directions = _directions(ys, num_probes, key)
    return _along(WayBack(steps, entering, ys), directions, of_step)


@partial(jax.jit, static_argnums=2)
def _along(way: WayBack, directions: Array, of_step: Observer) -> Any:
    """Runs back from every output along every direction; `way.dys` are the outputs."""
    ys = way.dys

    def of_output(t):
        def along(direction):
            dys = jnp.zeros_like(ys).at[t].set(direction)
            return run_back(way._replace(dys=dys), of_step)

        logs = jax.vmap(along)(directions)
        return jax.tree.map(lambda leaf: _root_sum(leaf, ys.shape[-1]), logs)

    return jax.lax.map(of_output, jnp.arange(way.steps.time))


def _root_sum(logs: Array, outputs: int) -> Array:
    """Returns ln sqrt(n/k Σ exp(2 logs)), the sum over the first axis of length k."""
    scale = jnp.log(jnp.asarray(outputs / logs.shape[0], logs.dtype))
    return 0.5 * (jax.nn.logsumexp(2 * logs, axis=0) + scale)


def _directions(
    ys: Array, num_probes: int | None, key: PRNGKey | None
) -> Float[Array, "probes output"]:
    outputs = ys.shape[-1]
    if num_probes is None or num_probes == outputs:
        return jnp.eye(outputs, dtype=ys.dtype)
    check_whole("num_probes", num_probes, 1, outputs, "the outputs")
    if key is None:
        raise ValueError(
            f"key: got None; {num_probes} of {outputs} directions are drawn at random"
        )
    return initializers.orthogonal(key, (num_probes, outputs), ys.dtype)
