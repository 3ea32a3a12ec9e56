"""The gradient laboratory: how much of the last error reaches each earlier step.

Its public names, which `lstm_jax` has too. Two of its modules have the name of their
function, `influence` and `recorder`: as attributes of this package, those are the
functions.
"""

from lstm_jax.gradients.alignment import by_lag as by_lag
from lstm_jax.gradients.carousel import CarouselLogNorms as CarouselLogNorms
from lstm_jax.gradients.carousel import forget_factors as forget_factors
from lstm_jax.gradients.carousel import log_carousel_norms as log_carousel_norms
from lstm_jax.gradients.carousel import time_constants as time_constants
from lstm_jax.gradients.carousel import unit_time_constants as unit_time_constants
from lstm_jax.gradients.carry import carry_gradients as carry_gradients
from lstm_jax.gradients.carry import gradient_norms as gradient_norms
from lstm_jax.gradients.carry import joint_log_norms as joint_log_norms
from lstm_jax.gradients.carry import log_gradient_norms as log_gradient_norms
from lstm_jax.gradients.contributions import effective_window as effective_window
from lstm_jax.gradients.contributions import (
    log_weight_contributions as log_weight_contributions,
)
from lstm_jax.gradients.contributions import (
    weight_contributions as weight_contributions,
)
from lstm_jax.gradients.decay import DecayFit as DecayFit
from lstm_jax.gradients.decay import decay_rate as decay_rate
from lstm_jax.gradients.decay import fit_decay as fit_decay
from lstm_jax.gradients.decay import half_life as half_life
from lstm_jax.gradients.decay import horizon as horizon
from lstm_jax.gradients.decay import log_shares as log_shares
from lstm_jax.gradients.decay import rounding_lag as rounding_lag
from lstm_jax.gradients.decay import underflow_lag as underflow_lag
from lstm_jax.gradients.influence import influence as influence
from lstm_jax.gradients.influence import input_influence as input_influence
from lstm_jax.gradients.inputs import input_gradients as input_gradients
from lstm_jax.gradients.inputs import (
    log_input_gradient_norms as log_input_gradient_norms,
)
from lstm_jax.gradients.jacobians import jacobian_products as jacobian_products
from lstm_jax.gradients.jacobians import step_jacobians as step_jacobians
from lstm_jax.gradients.lyapunov import LyapunovSpectrum as LyapunovSpectrum
from lstm_jax.gradients.lyapunov import entropy_rate as entropy_rate
from lstm_jax.gradients.lyapunov import kaplan_yorke_dimension as kaplan_yorke_dimension
from lstm_jax.gradients.lyapunov import lyapunov_exponents as lyapunov_exponents
from lstm_jax.gradients.lyapunov import lyapunov_spectrum as lyapunov_spectrum
from lstm_jax.gradients.paths import log_path_norms as log_path_norms
from lstm_jax.gradients.paths import path_gradients as path_gradients
from lstm_jax.gradients.paths import path_jacobians as path_jacobians
from lstm_jax.gradients.paths import path_names as path_names
from lstm_jax.gradients.paths import path_shares as path_shares
from lstm_jax.gradients.recorder import Recorder as Recorder
from lstm_jax.gradients.recorder import Recording as Recording
from lstm_jax.gradients.recorder import recorder as recorder
from lstm_jax.gradients.regularizer import omega as omega
from lstm_jax.gradients.signal import FirstStepSignal as FirstStepSignal
from lstm_jax.gradients.signal import first_step_signal as first_step_signal
from lstm_jax.gradients.singular_values import ProductSpectrum as ProductSpectrum
from lstm_jax.gradients.singular_values import (
    log_condition_number as log_condition_number,
)
from lstm_jax.gradients.singular_values import (
    product_singular_values as product_singular_values,
)
from lstm_jax.gradients.transients import TransientGrowth as TransientGrowth
from lstm_jax.gradients.transients import kreiss_bound as kreiss_bound
from lstm_jax.gradients.transients import transient_growth as transient_growth
from lstm_jax.gradients.units import log_gradients as log_gradients
