"""A short random sequence, and how near two results are."""

import jax
import jax.numpy as jnp
import numpy as np

TIME, BATCH, INPUT, HIDDEN = 7, 3, 4, 5


def close(one, other, tolerance=1e-12):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def sequence(key, width=INPUT, dtype=jnp.float64):
    return jax.random.normal(key, (TIME, BATCH, width), dtype)
