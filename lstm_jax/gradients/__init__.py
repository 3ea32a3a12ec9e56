"""The gradient laboratory: how much of the last error reaches each earlier step.

In the order of the questions: how much is left at every lag, of the memory, of single
units, of the inputs; which steps influence which; what trains the weights, and how
sharply the outputs depend on them; which path the gradient takes; what one step does,
and what a whole run does; how to record and shape it in training. Three modules share
the name of their function, `influence`, `recorder` and `flossing`: as attributes of
this package these are the functions.
"""

from lstm_jax.gradients.alignment import by_lag
from lstm_jax.gradients.attribution import Attribution, integrated_gradients
from lstm_jax.gradients.carousel import (
    CarouselLogNorms,
    forget_factors,
    log_carousel_norms,
    time_constants,
    unit_time_constants,
)
from lstm_jax.gradients.carry import (
    carry_gradients,
    gradient_norms,
    joint_log_norms,
    log_gradient_norms,
)
from lstm_jax.gradients.contributions import (
    effective_window,
    log_weight_contributions,
    weight_contributions,
)
from lstm_jax.gradients.decay import (
    DecayFit,
    decay_rate,
    fit_decay,
    half_life,
    horizon,
    log_shares,
    rounding_lag,
    underflow_lag,
)
from lstm_jax.gradients.flossing import flossing
from lstm_jax.gradients.influence import influence, input_influence
from lstm_jax.gradients.inputs import input_gradients, log_input_gradient_norms
from lstm_jax.gradients.jacobians import jacobian_products, step_jacobians
from lstm_jax.gradients.lyapunov import (
    LyapunovSpectrum,
    entropy_rate,
    kaplan_yorke_dimension,
    lyapunov_exponents,
    lyapunov_spectrum,
)
from lstm_jax.gradients.paths import (
    log_path_norms,
    path_gradients,
    path_jacobians,
    path_names,
    path_shares,
)
from lstm_jax.gradients.recorder import Recorder, Recording, recorder
from lstm_jax.gradients.regularizer import omega
from lstm_jax.gradients.sensitivity import sensitivities
from lstm_jax.gradients.signal import FirstStepSignal, first_step_signal
from lstm_jax.gradients.singular_values import (
    ProductSpectrum,
    log_condition_number,
    product_singular_values,
)
from lstm_jax.gradients.units import log_gradients

__all__ = [
    # How much is left at every lag, of the memory
    "carry_gradients", "gradient_norms", "log_gradient_norms", "joint_log_norms",
    "log_shares",
    # ... as a few numbers
    "decay_rate", "fit_decay", "DecayFit", "half_life", "horizon", "rounding_lag",
    "underflow_lag", "by_lag",
    # ... of single units, and of the inputs
    "log_gradients", "input_gradients", "log_input_gradient_norms",
    # Which steps and inputs an answer came from, and which steps influence which
    "integrated_gradients", "Attribution", "influence", "input_influence",
    # What trains the weights
    "weight_contributions", "log_weight_contributions", "effective_window",
    "first_step_signal", "FirstStepSignal",
    # How much the outputs depend on each weight
    "sensitivities",
    # Which path the gradient takes
    "path_names", "path_jacobians", "path_gradients", "log_path_norms", "path_shares",
    "forget_factors", "time_constants", "unit_time_constants", "log_carousel_norms",
    "CarouselLogNorms",
    # What one step does, and what a whole run does
    "step_jacobians", "jacobian_products",
    "product_singular_values", "ProductSpectrum", "log_condition_number",
    "lyapunov_exponents", "lyapunov_spectrum", "LyapunovSpectrum",
    "kaplan_yorke_dimension",
    "entropy_rate",
    # In training: to record it, and to shape it
    "recorder", "Recorder", "Recording", "omega", "flossing",
]  # fmt: skip
