"""lstm_jax: recurrent cells as pure functions, and how far their gradients reach."""

from lstm_jax import gradients as gradients
from lstm_jax import initializers as initializers
from lstm_jax import readouts as readouts
from lstm_jax import theory as theory
from lstm_jax.backward import clip_backward as clip_backward
from lstm_jax.backward import cut_backward as cut_backward
from lstm_jax.cells import CELLS as CELLS
from lstm_jax.cells.antisymmetric_rnn import ANTISYMMETRIC_RNN as ANTISYMMETRIC_RNN
from lstm_jax.cells.antisymmetric_rnn import antisymmetric_rnn as antisymmetric_rnn
from lstm_jax.cells.cell import Cell as Cell
from lstm_jax.cells.cifg_lstm import CIFG_LSTM as CIFG_LSTM
from lstm_jax.cells.cifg_lstm import CIFGParams as CIFGParams
from lstm_jax.cells.four_gate import FOUR_GATE as FOUR_GATE
from lstm_jax.cells.four_gate import FourGateCarry as FourGateCarry
from lstm_jax.cells.four_gate import FourGateParams as FourGateParams
from lstm_jax.cells.four_gate import forget_gate as forget_gate
from lstm_jax.cells.four_gate import four_gate as four_gate
from lstm_jax.cells.four_gate import learn_gate as learn_gate
from lstm_jax.cells.four_gate import remember_gate as remember_gate
from lstm_jax.cells.four_gate import use_gate as use_gate
from lstm_jax.cells.full_gate_lstm import FullGateLSTMCarry as FullGateLSTMCarry
from lstm_jax.cells.full_gate_lstm import FullGateLSTMParams as FullGateLSTMParams
from lstm_jax.cells.gru import GRU as GRU
from lstm_jax.cells.gru import GRUCarry as GRUCarry
from lstm_jax.cells.gru import GRUParams as GRUParams
from lstm_jax.cells.gru_reset_before import GRU_RESET_BEFORE as GRU_RESET_BEFORE
from lstm_jax.cells.gru_reset_before import GRUResetBeforeParams as GRUResetBeforeParams
from lstm_jax.cells.indrnn import INDRNN as INDRNN
from lstm_jax.cells.indrnn import IndRNNParams as IndRNNParams
from lstm_jax.cells.indrnn import clip_indrnn as clip_indrnn
from lstm_jax.cells.irnn import IRNN as IRNN
from lstm_jax.cells.janet import JANET as JANET
from lstm_jax.cells.janet import JANETCarry as JANETCarry
from lstm_jax.cells.janet import JANETParams as JANETParams
from lstm_jax.cells.janet import janet as janet
from lstm_jax.cells.layer_norm_lstm import LAYER_NORM_LSTM as LAYER_NORM_LSTM
from lstm_jax.cells.layer_norm_lstm import LayerNormLSTMParams as LayerNormLSTMParams
from lstm_jax.cells.layer_norm_lstm import layer_norm_lstm as layer_norm_lstm
from lstm_jax.cells.lesson_peephole_lstm import (
    LESSON_PEEPHOLE_LSTM as LESSON_PEEPHOLE_LSTM,
)
from lstm_jax.cells.lesson_peephole_lstm import (
    LessonPeepholeParams as LessonPeepholeParams,
)
from lstm_jax.cells.lstm import LSTM as LSTM
from lstm_jax.cells.lstm import Gates as Gates
from lstm_jax.cells.lstm import LSTMCarry as LSTMCarry
from lstm_jax.cells.lstm import LSTMParams as LSTMParams
from lstm_jax.cells.lstm import lstm_gates as lstm_gates
from lstm_jax.cells.lstm97 import LSTM97 as LSTM97
from lstm_jax.cells.lstm97 import LSTM97Carry as LSTM97Carry
from lstm_jax.cells.lstm97 import LSTM97Params as LSTM97Params
from lstm_jax.cells.lstm97 import lstm97 as lstm97
from lstm_jax.cells.lstm97_input_gate import LSTM97_INPUT_GATE as LSTM97_INPUT_GATE
from lstm_jax.cells.lstm97_input_gate import (
    LSTM97InputGateCarry as LSTM97InputGateCarry,
)
from lstm_jax.cells.lstm97_input_gate import (
    LSTM97InputGateParams as LSTM97InputGateParams,
)
from lstm_jax.cells.lstm2000 import LSTM2000 as LSTM2000
from lstm_jax.cells.lstm2000 import LSTM2000Params as LSTM2000Params
from lstm_jax.cells.lstm2000 import lstm2000 as lstm2000
from lstm_jax.cells.mgu import MGU as MGU
from lstm_jax.cells.mgu import MGUParams as MGUParams
from lstm_jax.cells.minimal_rnn import MINIMAL_RNN as MINIMAL_RNN
from lstm_jax.cells.minimal_rnn import MinimalRNNParams as MinimalRNNParams
from lstm_jax.cells.peephole_lstm import PEEPHOLE_LSTM as PEEPHOLE_LSTM
from lstm_jax.cells.peephole_lstm import PeepholeLSTMParams as PeepholeLSTMParams
from lstm_jax.cells.peephole_lstm import peephole_lstm as peephole_lstm
from lstm_jax.cells.projection_lstm import PROJECTION_LSTM as PROJECTION_LSTM
from lstm_jax.cells.projection_lstm import ProjectionLSTMCarry as ProjectionLSTMCarry
from lstm_jax.cells.projection_lstm import ProjectionLSTMParams as ProjectionLSTMParams
from lstm_jax.cells.rnn import RNN as RNN
from lstm_jax.cells.rnn import RNNCarry as RNNCarry
from lstm_jax.cells.rnn import RNNParams as RNNParams
from lstm_jax.cells.rnn import rnn as rnn
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
from lstm_jax.initializers import ChronoBiases as ChronoBiases
from lstm_jax.initializers import chrono_biases as chrono_biases
from lstm_jax.interop.from_equinox import from_equinox as from_equinox
from lstm_jax.interop.from_function import from_function as from_function
from lstm_jax.interop.from_haiku import from_haiku as from_haiku
from lstm_jax.interop.from_linen import from_linen as from_linen
from lstm_jax.interop.from_nnx import from_nnx as from_nnx
from lstm_jax.interop.from_to_torch import Directions as Directions
from lstm_jax.interop.from_to_torch import from_torch as from_torch
from lstm_jax.interop.from_to_torch import to_torch as to_torch
from lstm_jax.scanning import ScanReport as ScanReport
from lstm_jax.scanning import scan as scan
from lstm_jax.scanning import scan_report as scan_report
from lstm_jax.tasks import TASKS as TASKS
from lstm_jax.tasks.character_language import character_language as character_language
from lstm_jax.tasks.copy_memory import copy_memory as copy_memory
from lstm_jax.tasks.copy_memory import copy_memory_variable as copy_memory_variable
from lstm_jax.tasks.delayed_xor import delayed_xor as delayed_xor
from lstm_jax.tasks.digits import permuted_digits as permuted_digits
from lstm_jax.tasks.digits import sequential_digits as sequential_digits
from lstm_jax.tasks.embedded_reber import (
    continual_embedded_reber as continual_embedded_reber,
)
from lstm_jax.tasks.embedded_reber import embedded_reber as embedded_reber
from lstm_jax.tasks.long_time_lag import long_time_lag_2a as long_time_lag_2a
from lstm_jax.tasks.long_time_lag import long_time_lag_2b as long_time_lag_2b
from lstm_jax.tasks.long_time_lag_2c import long_time_lag_2c as long_time_lag_2c
from lstm_jax.tasks.nature_show import nature_show as nature_show
from lstm_jax.tasks.task import Batch as Batch
from lstm_jax.tasks.task import Task as Task
from lstm_jax.tasks.temporal_order import temporal_order as temporal_order
from lstm_jax.tasks.two_sequence import two_sequence as two_sequence
from lstm_jax.tracing import trace as trace
from lstm_jax.training.curricula import growing_length as growing_length
from lstm_jax.training.loop import Evaluation as Evaluation
from lstm_jax.training.loop import History as History
from lstm_jax.training.loop import ModelParams as ModelParams
from lstm_jax.training.loop import TrainState as TrainState
from lstm_jax.training.loop import evaluate as evaluate
from lstm_jax.training.loop import train as train
from lstm_jax.training.many import train_many as train_many
from lstm_jax.training.success import SuccessRate as SuccessRate
from lstm_jax.training.success import success_rate as success_rate
from lstm_jax.unrolling import unroll as unroll
from lstm_jax.unrolling import unroll_bidirectional as unroll_bidirectional
from lstm_jax.unrolling import unroll_carries as unroll_carries
from lstm_jax.unrolling import unroll_reference as unroll_reference
from lstm_jax.unrolling import unroll_truncated as unroll_truncated
from lstm_jax.wrappers.keyed import Keyed as Keyed
from lstm_jax.wrappers.keyed import KeyedCell as KeyedCell
from lstm_jax.wrappers.keyed import Keys as Keys
from lstm_jax.wrappers.keyed import with_keys as with_keys
from lstm_jax.wrappers.learned_carry import LearnedCarryParams as LearnedCarryParams
from lstm_jax.wrappers.learned_carry import learned_carry as learned_carry
from lstm_jax.wrappers.mixed import mixed as mixed
from lstm_jax.wrappers.residual import residual as residual
from lstm_jax.wrappers.stack import stack as stack
from lstm_jax.wrappers.variational_dropout import (
    variational_dropout as variational_dropout,
)
from lstm_jax.wrappers.zoneout import zoneout as zoneout
