"""What is outside its range is refused in one line."""

import math

import pytest

from lstm_jax import theory


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: theory.jacobian_bound(-1, 2), "sigma_max: got -1"),
        (lambda: theory.jacobian_bound(1, -2), "lag: got -2"),
        (lambda: theory.jacobian_bound(1, 2, 0), "gamma: got 0"),
        (lambda: theory.jordan_block_power(1, 2, -1), "lag: got -1"),
        (lambda: theory.initial_slope(0, 5), "std: got 0"),
        (lambda: theory.gaussian_product_exponents(0), "size: got 0"),
        (lambda: theory.gaussian_product_exponents(3, 0), "gain: got 0"),
        (lambda: theory.gaussian_product_stderr(3, 0), "time: got 0"),
        (lambda: theory.carousel_share(math.inf, 1), "forget_bias: got inf"),
        (lambda: theory.carousel_share(0.0, -1), "lag: got -1"),
        (lambda: theory.chrono_bias([5, 1]), "lag: got 1"),
        (lambda: theory.chrono_population_share(1, 2), "t_max: got 2"),
        (lambda: theory.tanh_rate(math.nan), "w: got nan"),
        (lambda: theory.tanh_fixed_point(-2), "w: got -2"),
        (lambda: theory.critical_tanh_product(1.5), "time: got 1.5"),
        (lambda: theory.latch_threshold(1), "w: got 1;"),
        (lambda: theory.saddle_nodes([5, 4]), "w: got 4"),
        (lambda: theory.logistic_map_error(1, 1, num_steps=-1), "num_steps: got -1"),
        (lambda: theory.mean_field_exponent(0), "gain: got 0"),
        (lambda: theory.mean_field_exponent(1, -1), "noise: got -1"),
        (lambda: theory.mean_field_spectrum(2, 0), "num: got 0"),
        (lambda: theory.memory_variance(1), "decay: got 1"),
        (lambda: theory.sensitivity_variance(0.5, -1), "input_correlation: got -1"),
        (lambda: theory.lru_normaliser(1), "modulus: got 1"),
        (lambda: theory.lru_ring_variance(-0.1, 0.9), "r_min: got -0.1"),
        (lambda: theory.lru_ring_variance(0.5, [0.9, 0.5]), "r_max: got 0.5"),
    ],
)
def test_what_is_outside_the_range_is_refused_in_one_line(call, line):
    with pytest.raises(ValueError) as refusal:
        call()
    message = str(refusal.value)
    assert message.startswith(line)
    assert "it must be" in message
    assert "\n" not in message
