"""Scaled arrays: mantissas of order one, with exponents of their own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lstm_jax.gradients.exponents import scaled
from lstm_jax.gradients.exponents.scaled import ZERO_EXPONENT, Scaled

rescale, add, log_norm_of = map(jax.jit, (scaled.rescale, scaled.add, scaled.log_norm))
FLOATS = [jnp.float32, jnp.bfloat16, jnp.float16]
every_float = pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: d.__name__)
NO_EXPONENT = jnp.zeros((), jnp.int32)


def exactly(value):
    """What a Scaled means, in float64, which holds every value of these tests."""
    mantissa = np.asarray(value.mantissa, np.float64)
    exponent = np.asarray(value.exponent)
    rest = tuple(range(exponent.ndim, mantissa.ndim))
    return np.ldexp(mantissa, np.expand_dims(exponent, rest))


@every_float
def test_rescaling_is_exact_over_the_whole_range(dtype):
    info = jnp.finfo(dtype)
    powers = np.arange(info.minexp, info.maxexp)
    around = [1, 1 + float(info.eps), 2 - float(info.eps), -1]
    values = jnp.asarray(np.ldexp(around, powers[:, None])).astype(dtype).ravel()
    rescaled = rescale(values, jnp.zeros(values.shape, jnp.int32))
    assert rescaled.mantissa.dtype == dtype and rescaled.exponent.dtype == jnp.int32
    assert_array_equal(exactly(rescaled), np.asarray(values, np.float64))
    # Of order one: at the end of the range 2**-power would be subnormal, so 4 there.
    sizes = np.abs(np.asarray(rescaled.mantissa, np.float64))
    assert np.all((sizes > 0.99) & (sizes < 4))


def test_rescaling_counts_from_the_exponent_it_is_given():
    rescaled = rescale(jnp.array([3.0, 0.5]), jnp.int32(-5_000))
    assert_array_equal(rescaled.exponent, -5_000 + 1)
    assert_array_equal(rescaled.mantissa, [1.5, 0.25])


def test_every_batch_element_has_its_own_exponent():
    values = jnp.array([[1e-30, 2e-30], [3e30, 4e30], [0, 0]], jnp.float32)
    rescaled = rescale(values, jnp.zeros((3,), jnp.int32))
    assert_array_equal(exactly(rescaled), np.asarray(values, np.float64))
    assert_array_equal(rescaled.exponent[2], ZERO_EXPONENT)
    wanted = [*np.log([5**0.5 * 1e-30, 5e30]), -np.inf]
    assert_allclose(log_norm_of(rescaled), wanted, rtol=1e-6)


@every_float
def test_zero_has_the_logarithm_minus_infinity(dtype):
    zero = rescale(jnp.zeros((2, 3), dtype), jnp.zeros((2,), jnp.int32))
    assert_array_equal(zero.exponent, ZERO_EXPONENT)
    assert_array_equal(log_norm_of(zero), -np.inf)
    assert_array_equal(log_norm_of(add([zero, zero])), -np.inf)


@every_float
def test_adding_zero_changes_nothing_however_small_the_rest(dtype):
    zero = rescale(jnp.zeros((2,), dtype), NO_EXPONENT)
    tiny = rescale(jnp.array([1, -0.75], dtype), jnp.int32(-1_000_000))
    for total in (add([zero, tiny]), add([tiny, zero])):
        jax.tree.map(assert_array_equal, total, tiny)


def test_huge_and_tiny_values_do_not_leave_the_range():
    huge = rescale(jnp.full((4,), 3e38, jnp.float32), NO_EXPONENT)
    tiny = rescale(jnp.full((4,), 1.2e-38, jnp.float32), NO_EXPONENT)
    assert_allclose(log_norm_of(huge), np.log(2) + np.log(3e38), rtol=1e-6)
    assert_allclose(log_norm_of(tiny), np.log(2) + np.log(1.2e-38), rtol=1e-6)
    doubled = add([huge, huge])
    assert_allclose(log_norm_of(doubled), np.log(4) + np.log(3e38), rtol=1e-6)


def test_a_subnormal_is_right_or_zero_and_never_another_number():
    # XLA on the CPU flushes subnormals to zero.
    subnormal = rescale(jnp.full((1,), 1e-38, jnp.float32), NO_EXPONENT)
    log_norm = float(log_norm_of(subnormal))
    assert log_norm == -np.inf or abs(log_norm - np.log(1e-38)) < 1e-5


@pytest.mark.parametrize("gap", [0, 1, 10, 23])
def test_sums_are_exact_where_the_type_can_hold_them(gap):
    a, b = jnp.array([1.0, -1.5]), jnp.array([1.0, 1.0])
    total = add([Scaled(a, jnp.int32(-400)), Scaled(b, jnp.int32(-400 - gap))])
    wanted = np.array([1, -1.5]) + 2.0**-gap
    assert_array_equal(np.ldexp(exactly(total), 400), wanted)


def test_what_cancels_is_zero():
    one = rescale(jnp.array([1.0, 2.0]), jnp.int32(-77))
    total = add([one, one._replace(mantissa=-one.mantissa)])
    assert_array_equal(total.exponent, ZERO_EXPONENT)
    assert_array_equal(log_norm_of(total), -np.inf)


@every_float
def test_what_is_too_small_to_add_is_lost_and_not_lifted(dtype):
    large = Scaled(jnp.array([1, 0], dtype), NO_EXPONENT)
    small = Scaled(jnp.array([0, 1], dtype), jnp.int32(-1_000))
    assert_array_equal(exactly(add([large, small])), [1, 0])


@every_float
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_visible_and_stays_at_home(dtype, bad):
    values = jnp.array([[1, bad], [1, 1]], dtype)
    rescaled = rescale(values, jnp.zeros((2,), jnp.int32))
    total = add([rescaled, rescale(values, jnp.full((2,), 900))])
    for value in (rescaled, total):
        log_norm = log_norm_of(value)
        assert not np.isfinite(log_norm[0]) and log_norm[0] != -np.inf
        assert np.isfinite(log_norm[1])


def test_logarithms_of_half_precision_are_float32():
    value = rescale(jnp.array([3, 4], jnp.bfloat16), jnp.int32(-10_000))
    log_norm = log_norm_of(value)
    assert log_norm.dtype == jnp.float32
    assert_allclose(log_norm, np.log(5) - 10_000 * np.log(2), rtol=1e-6)
