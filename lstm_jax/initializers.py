"""Initial weights, gate by gate.

An initializer is `(key, shape, dtype) -> array`, the signature of
`jax.nn.initializers`, for the weights of ONE gate, shape `(fan_in, hidden)`.
`per_gate` puts several draws side by side, because properties such as orthogonality
belong to a gate, not to the fused matrix: four orthogonal (H, H) blocks do not make an
orthogonal (H, 4H) matrix.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lstm_jax.checks import Named, check_key, check_number, check_whole
from lstm_jax.types import PerUnit, PRNGKey, Scalar, at_least_float32

__all__ = [
    # Of one gate
    "Initializer", "INITIALIZERS", "orthogonal", "glorot", "uniform", "gaussian",
    "identity", "sparse",
    # Gate by gate, and biases
    "per_gate", "biases", "chrono_biases", "ChronoBiases", "radius_of",
]  # fmt: skip

Initializer: TypeAlias = Callable[[Any, tuple[int, ...], Any], Array]


def orthogonal(key: PRNGKey, shape: tuple[int, ...], dtype: Any = float) -> Array:
    """Returns a matrix with orthonormal rows or columns, from the Haar measure.

    Drawn in float32 at least, then rounded: QR has no half-precision form.

    Example:
      >>> w = lj.initializers.orthogonal(jax.random.key(0), (4, 4))
      >>> bool(jnp.allclose(w @ w.T, jnp.eye(4), atol=1e-5))
      True

    References:
      Saxe, McClelland & Ganguli (2013), https://arxiv.org/abs/1312.6120
      Mezzadri (2006), https://arxiv.org/abs/math-ph/0609050
    """
    return _orthogonal(key, tuple(shape), dtype)


# One program, compiled once for all gates, where the operations would be nine.
@partial(jax.jit, static_argnums=(1, 2))
def _orthogonal(key: PRNGKey, shape: tuple[int, int], dtype: Any) -> Array:
    rows, columns = shape
    tall = (max(shape), min(shape))
    q, r = _qr(jax.random.normal(key, tall, at_least_float32(dtype)))
    q = q * jnp.sign(jnp.diagonal(r))[None]
    return (q if rows >= columns else q.T).astype(dtype)


# Not jax.nn.initializers.orthogonal, whose QR becomes one batched LAPACK call under
# vmap. On CPU such a call waits, inside the thread pool, for other tasks of that pool;
# when as many gates as cores are initialised at once, jaxlib 0.10.2 never returns.
@jax.custom_batching.sequential_vmap
def _qr(matrix: Array) -> tuple[Array, Array]:
    return jnp.linalg.qr(matrix)


def glorot(key: PRNGKey, shape: tuple[int, ...], dtype: Any = float) -> Array:
    """Returns weights from U[-a, a] with a = sqrt(6 / (fan_in + fan_out)).

    Example:
      >>> w = lj.initializers.glorot(jax.random.key(0), (3, 3))
      >>> bool((abs(w) <= 1).all())
      True

    References:
      Glorot & Bengio (2010), https://proceedings.mlr.press/v9/glorot10a.html
    """
    return _glorot(key, tuple(shape), dtype)


_glorot = jax.jit(jax.nn.initializers.glorot_uniform(), static_argnums=(1, 2))


def uniform(key: PRNGKey, shape: tuple[int, ...], dtype: Any = float) -> Array:
    """Returns weights from U[-a, a] with a = 1 / sqrt(hidden), as in `torch.nn.LSTM`.

    hidden is the last axis of `shape`, so the same function serves (input, hidden),
    (hidden, hidden) and (hidden,).

    Example:
      >>> w = lj.initializers.uniform(jax.random.key(0), (3, 4))
      >>> w.shape, bool((abs(w) <= 0.5).all())
      ((3, 4), True)
    """
    bound = shape[-1] ** -0.5
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def gaussian(key: PRNGKey, shape: tuple[int, ...], dtype: Any = float) -> Array:
    """Returns weights from N(0, 1 / fan_in), fan_in being the first axis of `shape`.

    As w_hh it has spectral radius 1 if hidden is large; with `gain` it is the random
    network of mean-field theory.

    Example:
      >>> w = lj.initializers.gaussian(jax.random.key(0), (100, 100))
      >>> bool(abs(w.std() - 0.1) < 0.01)
      True

    References:
      Ginibre (1965), https://doi.org/10.1063/1.1704292
    """
    drawn = jax.random.normal(key, shape, at_least_float32(dtype))
    return (drawn * shape[0] ** -0.5).astype(dtype)


def identity(key: PRNGKey, shape: tuple[int, ...], dtype: Any = float) -> Array:
    """Returns ones on the diagonal and zeros elsewhere; the key is not used.

    Example:
      >>> lj.initializers.identity(jax.random.key(0), (2, 2))
      Array([[1., 0.],
             [0., 1.]], dtype=float32)

    References:
      Le, Jaitly & Hinton (2015), https://arxiv.org/abs/1504.00941
    """
    del key  # nothing is random
    return jnp.eye(*shape, dtype=dtype)


def sparse(spectral_radius: Scalar = 0.95, density: int | float = 0.3) -> Initializer:
    """Returns an initializer of sparse square matrices.

    Every unit reads the same number of others, at least one, chosen without
    replacement; the weights are Gaussian, and the matrix is then scaled to the spectral
    radius. The defaults are the "smart tanh" start of Pascanu et al.: 15 of 50 units
    and 0.95. (Their paper says 15 incoming weights, as here; their code leaves every
    unit 15 outgoing ones.)

    Args:
      spectral_radius: largest modulus of an eigenvalue; it may be traced.
      density: share of the weights that are not zero, in (0, 1].

    Raises:
      ValueError: the density is not allowed; or later, the shape is not square.

    Example:
      >>> w = lj.initializers.sparse(density=0.5)(jax.random.key(0), (4, 4))
      >>> (w != 0).sum(0), round(float(lj.initializers.radius_of(w)), 3)
      (Array([2, 2, 2, 2], dtype=int32), 0.95)

    References:
      Pascanu, Mikolov & Bengio (2013), section 4.1.1, https://arxiv.org/abs/1211.5063
    """
    check_number("spectral_radius", spectral_radius)
    check_number("density", density, "(0, 1]")

    def draw(key: PRNGKey, shape: tuple[int, ...], dtype: Any = float) -> Array:
        rows, columns = shape
        if rows != columns:
            raise ValueError(f"shape: got {shape}; a spectral radius needs a square")
        key_weights, key_places = jax.random.split(key)
        weights = jax.random.normal(key_weights, shape, at_least_float32(dtype))
        first = jnp.arange(rows)[:, None] < max(1, round(density * rows))
        chosen = jax.random.permutation(
            key_places, jnp.broadcast_to(first, shape), independent=True
        )
        drawn = jnp.where(chosen, weights, 0)
        scale = jnp.asarray(spectral_radius, drawn.dtype) / radius_of(drawn)
        return (drawn * scale).astype(dtype)

    return draw


def radius_of(matrix: Float[Array, "n n"]) -> Float[Array, ""]:
    """Returns the largest modulus of an eigenvalue, by Gelfand's formula.

        ρ(W) = lim ‖W^n‖^(1/n),   n = 2^k by k squarings

    In logarithms, with every square divided by its norm, nothing overflows, and each
    squaring halves the error, so that only rounding remains. It uses products alone
    because jnp.linalg.eigvals exists only on CPU and a batched LAPACK call may never
    return there (see `_qr`); power iteration would not converge if the largest
    eigenvalues are a complex pair.

    Example:
      >>> lj.initializers.radius_of(jnp.diag(jnp.array([0.5, -2.0]))).round(3)
      Array(2., dtype=float32)

    References:
      Gelfand (1941), Normierte Ringe
    """
    squarings = 60  # ‖W^n‖ ≤ κ ρ^n leaves ln(κ) / 2^60, below the rounding of float64

    def square(_, state):
        power, log_radius, weight = state
        norm = jnp.linalg.norm(power)
        power = power / norm
        power = jnp.matmul(power, power, precision=jax.lax.Precision.HIGHEST)
        return power, log_radius + weight * jnp.log(norm), weight / 2

    zero, one = jnp.zeros((), matrix.dtype), jnp.ones((), matrix.dtype)
    start = (matrix, zero, one)
    return jnp.exp(jax.lax.fori_loop(0, squarings, square, start)[1])


INITIALIZERS: dict[str, Initializer] = Named(
    "initializer",
    {
        "orthogonal": orthogonal,
        "glorot": glorot,
        "uniform": uniform,
        "gaussian": gaussian,
        "identity": identity,
        "sparse": sparse(),
    },
)
"""By the names that flags use."""


def per_gate(
    initializer: Initializer,
    key: PRNGKey,
    shape: tuple[int, int],
    num_gates: int,
    dtype: Any = float,
) -> Float[Array, "fan_in gates"]:
    """Returns `num_gates` independent draws of `shape`, side by side.

    Example:
      >>> init = lj.initializers.orthogonal
      >>> lj.initializers.per_gate(init, jax.random.key(0), (4, 4), num_gates=3).shape
      (4, 12)
    """
    keys = jax.random.split(key, num_gates)
    return jnp.concatenate([initializer(k, shape, dtype) for k in keys], axis=-1)


def biases(hidden_size: int, dtype: Any, **gates: PerUnit) -> Float[Array, " gates"]:
    """Returns the biases of gates, stacked in the order of the keywords.

    A forget gate near σ(b) keeps the long-term memory for about 1 + exp(b) steps.

    Args:
      hidden_size: units.
      dtype: of the result.
      **gates: for each gate one number, or one per unit; messages use the names.

    Raises:
      TypeError: a bias is not a number.
      ValueError: a bias is not finite, or has a wrong number of units.

    Example:
      >>> lj.initializers.biases(2, jnp.float32, input_bias=0.0, forget_bias=1.0)
      Array([0., 0., 1., 1.], dtype=float32)

    References:
      Gers, Schmidhuber & Cummins (2000), https://doi.org/10.1162/089976600300015015
      Jozefowicz, Zaremba & Sutskever (2015),
      https://proceedings.mlr.press/v37/jozefowicz15.html
    """
    # Without an array of JAX among them there is nothing to compile.
    traced = any(isinstance(bias, jax.Array) for bias in gates.values())
    numpy: Any = jnp if traced else np

    def stretched(name, bias):
        check_number(name, bias)
        bias = numpy.asarray(bias, dtype)
        if bias.shape not in ((), (hidden_size,)):
            raise ValueError(
                f"{name}: shape is {bias.shape}; it must be () or ({hidden_size},), "
                "one number per unit"
            )
        return numpy.broadcast_to(bias, (hidden_size,))

    stacked = numpy.concatenate([stretched(*gate) for gate in gates.items()])
    return jnp.asarray(stacked, dtype)


class ChronoBiases(NamedTuple):
    """Biases for lags up to a maximum, named like the options of `init`."""

    forget_bias: Float[Array, " hidden"]
    input_bias: Float[Array, " hidden"]


def chrono_biases(
    key: PRNGKey, hidden_size: int, max_lag: Scalar, dtype: Any = float
) -> ChronoBiases:
    """Returns biases that spread the memories of the units over the lags.

        b_f = ln u,  u ~ U[1, max_lag - 1]        b_i = -b_f

    so that a unit with the draw u forgets in about 1 + u steps. For every cell with
    these gates:

        chrono = chrono_biases(key_bias, hidden_size, max_lag=200)
        LSTM.init(key, input_size, hidden_size, **chrono._asdict())
        GRU.init(key, input_size, hidden_size, forget_bias=chrono.forget_bias)

    Args:
      key: a typed key.
      hidden_size: units.
      max_lag: the longest lag expected, in steps, at least 2; it may be traced.
      dtype: of the biases.

    Raises:
      ValueError: a max_lag below 2.

    Example:
      >>> key = jax.random.key(0)
      >>> biases = lj.initializers.chrono_biases(key, hidden_size=4, max_lag=200)
      >>> params = lj.LSTM.init(jax.random.key(1), 3, 4, **biases._asdict())
      >>> bool((params.b[4:8] == biases.forget_bias).all())
      True

    References:
      Tallec & Ollivier (2018), equation 16, https://arxiv.org/abs/1804.11188
    """
    check_key("key", key)
    check_whole("hidden_size", hidden_size, 1)
    check_number("max_lag", max_lag, "[2, inf)")
    drawn_in = at_least_float32(dtype)
    longest = jnp.asarray(max_lag, drawn_in) - 1
    steps = jax.random.uniform(key, (hidden_size,), drawn_in, 1, longest)
    forget_bias = jnp.log(steps).astype(dtype)
    return ChronoBiases(forget_bias=forget_bias, input_bias=-forget_bias)
