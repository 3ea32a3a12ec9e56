"""Initial weights: what each gate starts from.

An initializer is `(key, shape, dtype) -> array`, the signature of
`jax.nn.initializers`, for the weights of ONE gate, shape `(fan_in, hidden)`.
`per_gate` lays several draws side by side, because properties such as orthogonality
belong to a gate and not to the fused matrix: four orthogonal (H, H) blocks are not the
blocks of one orthogonal (H, 4H) matrix.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax.types import PRNGKey, Scalar, at_least_float32

Initializer: TypeAlias = Callable[[Any, tuple[int, ...], Any], Array]


def orthogonal(key: PRNGKey, shape: tuple[int, ...], dtype: Any = float) -> Array:
    """Returns a matrix with orthonormal rows or columns, from the Haar measure.

    Drawn in float32 at least, then rounded: QR has no half-precision form.

    References:
      Saxe, McClelland & Ganguli (2013), https://arxiv.org/abs/1312.6120
      Mezzadri (2006), https://arxiv.org/abs/math-ph/0609050
    """
    rows, columns = shape
    tall = (max(shape), min(shape))
    q, r = _qr(jax.random.normal(key, tall, at_least_float32(dtype)))
    q = q * jnp.sign(jnp.diagonal(r))
    return (q if rows >= columns else q.T).astype(dtype)


# Not jax.nn.initializers.orthogonal, whose QR becomes one batched LAPACK call under
# vmap. On CPU such a call waits, inside the thread pool, for other tasks of that pool;
# with as many gates as cores initialised side by side, jaxlib 0.10.2 never returns.
@jax.custom_batching.sequential_vmap
def _qr(matrix: Array) -> tuple[Array, Array]:
    return jnp.linalg.qr(matrix)


def glorot(key: PRNGKey, shape: tuple[int, ...], dtype: Any = float) -> Array:
    """Returns weights from U[-a, a] with a = sqrt(6 / (fan_in + fan_out)).

    References:
      Glorot & Bengio (2010), https://proceedings.mlr.press/v9/glorot10a.html
    """
    return jax.nn.initializers.glorot_uniform()(key, shape, dtype)


def uniform(key: PRNGKey, shape: tuple[int, ...], dtype: Any = float) -> Array:
    """Returns weights from U[-a, a] with a = 1 / sqrt(hidden), as `torch.nn.LSTM`.

    hidden is the last axis of `shape`, so the same function serves (input, hidden),
    (hidden, hidden) and (hidden,).
    """
    bound = shape[-1] ** -0.5
    return jax.random.uniform(key, shape, dtype, -bound, bound)


INITIALIZERS: dict[str, Initializer] = {
    "orthogonal": orthogonal,
    "glorot": glorot,
    "uniform": uniform,
}
"""By the names that flags use."""


def per_gate(
    initializer: Initializer,
    key: PRNGKey,
    shape: tuple[int, int],
    num_gates: int,
    dtype: Any = float,
) -> Float[Array, "fan_in gates"]:
    """Returns `num_gates` independent draws of `shape`, side by side."""
    keys = jax.random.split(key, num_gates)
    return jnp.concatenate([initializer(k, shape, dtype) for k in keys], axis=-1)


def with_forget_bias(
    biases: Float[Array, " gates"], forget_bias: Scalar
) -> Float[Array, " gates"]:
    """Adds `forget_bias` to the forget slice [H:2H] of biases stacked i, f, g, o.

    A forget gate near σ(forget_bias) keeps the long-term memory for about
    1 + exp(forget_bias) steps.

    References:
      Gers, Schmidhuber & Cummins (2000), https://doi.org/10.1162/089976600300015015
      Jozefowicz, Zaremba & Sutskever (2015),
      https://proceedings.mlr.press/v37/jozefowicz15.html
    """
    hidden = biases.shape[0] // 4
    forget = slice(hidden, 2 * hidden)
    return biases.at[forget].add(jnp.asarray(forget_bias, biases.dtype))
