"""Theory to compare measurements with: closed forms in float64, each with its range.

NumPy and SciPy only, so that no digit depends on JAX's settings. Rates are in nats per
step of lag, negative = vanishing, as everywhere; Lyapunov exponents have the same sign
as the rate of the gradient.
"""

from lstm_jax.theory.gates import (
    carousel_half_life,
    carousel_horizon,
    carousel_rate,
    carousel_share,
    chrono_bias,
    chrono_population_share,
    chrono_share,
)
from lstm_jax.theory.gaussian_products import (
    gaussian_product_exponents,
    gaussian_product_stderr,
)
from lstm_jax.theory.mean_field import (
    mean_field_dimension,
    mean_field_entropy,
    mean_field_exponent,
    mean_field_positive_share,
    mean_field_spectrum,
    mean_field_variance,
)
from lstm_jax.theory.one_unit import (
    ErrorGradient,
    SaddleNodes,
    cliff_bias,
    cliff_multiplier,
    critical_tanh_product,
    latch_threshold,
    logistic_map_error,
    logistic_map_gradient,
    saddle_nodes,
    tanh_fixed_point,
    tanh_rate,
)
from lstm_jax.theory.products import (
    STEEPEST_SLOPES,
    initial_slope,
    jacobian_bound,
    jordan_block_power,
    spectral_radius_rate,
)
from lstm_jax.theory.sensitivity import (
    lru_normaliser,
    lru_ring_variance,
    memory_variance,
    sensitivity_variance,
)
from lstm_jax.theory.transients import TransientGrowth, kreiss_bound, transient_growth

__all__ = [
    # What forget gates keep
    "carousel_half_life", "carousel_horizon", "carousel_rate", "carousel_share",
    "chrono_bias", "chrono_population_share", "chrono_share",
    # Products of Jacobians
    "STEEPEST_SLOPES", "initial_slope", "jacobian_bound", "jordan_block_power",
    "spectral_radius_rate",
    "gaussian_product_exponents", "gaussian_product_stderr",
    "TransientGrowth", "kreiss_bound", "transient_growth",
    # Large random networks
    "mean_field_dimension", "mean_field_entropy", "mean_field_exponent",
    "mean_field_positive_share",
    "mean_field_spectrum", "mean_field_variance",
    # One unit
    "ErrorGradient", "SaddleNodes", "cliff_bias", "cliff_multiplier",
    "critical_tanh_product",
    "latch_threshold", "logistic_map_error", "logistic_map_gradient", "saddle_nodes",
    "tanh_fixed_point", "tanh_rate",
    # Diagonal recurrences
    "lru_normaliser", "lru_ring_variance", "memory_variance", "sensitivity_variance",
]  # fmt: skip
