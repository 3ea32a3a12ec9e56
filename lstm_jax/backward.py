"""Limits on what travels back in time: clipped at every step, or cut in windows."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def clip_backward(carry: Any, max_norm: int | float) -> Any:
    """Returns the carry unchanged; backwards, shortens adjoints to `max_norm`.

        a <- a * min(1, max_norm / ||a||)      per leaf and batch element

    Inside a step it clips the signal at every step, and so stops an explosion where it
    begins; clipping the finished gradient would come too late. The result is no longer
    the gradient of any loss.

        def step(params, carry, x):
            return cell.step(params, clip_backward(carry, 1.0), x)

    Reverse mode only: jvp, jacfwd and forward-over-reverse raise a TypeError.

    Args:
      carry: a pytree of floating leaves (*batch, features).
      max_norm: the longest adjoint, Euclidean over the last axis, positive.

    Raises:
      ValueError: max_norm is not positive.

    Example:
      >>> jax.grad(lambda c: 10 * lj.clip_backward(c, max_norm=1.0).sum())(jnp.ones(4))
      Array([0.5, 0.5, 0.5, 0.5], dtype=float32)

    References:
      Graves (2013), https://arxiv.org/abs/1308.0850, section 2.1
    """
    _check_max_norm(max_norm)
    return carry


def _clip_forward(carry: Any, max_norm: int | float) -> tuple[Any, None]:
    _check_max_norm(max_norm)
    return carry, None


def _clip_adjoint(max_norm: int | float, _: None, adjoint: Any) -> tuple[Any]:
    def clipped(leaf):
        # Over its largest entry, so that no square overflows when a signal explodes.
        largest = jnp.max(jnp.abs(leaf), axis=-1, keepdims=True)
        usable = (largest > 0) & jnp.isfinite(largest)
        unit = jax.lax.stop_gradient(jnp.where(usable, largest, 1))
        squares = jnp.sum(jnp.abs(leaf / unit) ** 2, axis=-1, keepdims=True)
        # A square root has no slope at zero; `where` hides it from second derivatives.
        norm = unit * jnp.sqrt(jnp.where(squares > 0, squares, 1))
        long = (squares > 0) & (norm > max_norm)
        return leaf * jnp.where(long, max_norm / norm, 1)

    return (jax.tree.map(clipped, adjoint),)


clip_backward.defvjp(_clip_forward, _clip_adjoint)


def _check_max_norm(max_norm: int | float) -> None:
    if not max_norm > 0:
        raise ValueError(f"max_norm: got {max_norm}; it must be positive")


def cut_backward(carry: Any, cut: Bool[Array, ""]) -> Any:
    """Returns the carry unchanged; if `cut` is True no gradient passes through it.

    The gradient is then exact for the objective in which that carry is a constant.
    `lj.unroll_truncated` cuts at the borders of windows.

    Example:
      >>> f = lambda c, cut: 10 * lj.cut_backward(c, cut).sum()
      >>> jax.grad(f)(jnp.ones(2), jnp.array(True))
      Array([0., 0.], dtype=float32)
      >>> jax.grad(f)(jnp.ones(2), jnp.array(False))
      Array([10., 10.], dtype=float32)
    """
    return jax.tree.map(
        lambda leaf: jnp.where(cut, jax.lax.stop_gradient(leaf), leaf), carry
    )
