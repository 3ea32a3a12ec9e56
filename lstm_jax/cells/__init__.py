"""Cells: CELLS, every cell by its name; factories, params, and wrappers around cells.

A new cell adds its file and one line to CELLS.
"""

from lstm_jax.cells.antisymmetric_rnn import ANTISYMMETRIC_RNN, antisymmetric_rnn
from lstm_jax.cells.cell import Cell
from lstm_jax.cells.cifg_lstm import CIFG_LSTM, CIFGParams
from lstm_jax.cells.co_rnn import CO_RNN, CoRNNCarry, CoRNNParams, co_rnn
from lstm_jax.cells.delta_net import DELTA_NET, DeltaNetParams, delta_net
from lstm_jax.cells.delta_product import (
    DELTA_PRODUCT,
    DeltaProductParams,
    delta_product,
)
from lstm_jax.cells.exp_rnn import EXP_RNN, henaff, modrelu, skew_exp
from lstm_jax.cells.four_gate import (
    FOUR_GATE,
    FourGateCarry,
    FourGateParams,
    LessonGates,
    forget_gate,
    four_gate,
    learn_gate,
    lesson_gates,
    remember_gate,
    use_gate,
)
from lstm_jax.cells.full_gate_lstm import FullGateLSTMCarry, FullGateLSTMParams
from lstm_jax.cells.gate_activations import GATE_ACTIVATIONS
from lstm_jax.cells.gated_delta_net import (
    GATED_DELTA_NET,
    GatedDeltaNetParams,
    gated_delta_net,
)
from lstm_jax.cells.gated_linear_attention import (
    GATED_LINEAR_ATTENTION,
    GatedLinearAttentionParams,
)
from lstm_jax.cells.gru import GRU, GRUCarry, GRUParams, gru
from lstm_jax.cells.gru_reset_before import (
    GRU_RESET_BEFORE,
    GRUResetBeforeParams,
    gru_reset_before,
)
from lstm_jax.cells.indrnn import INDRNN, IndRNNParams, clip_indrnn
from lstm_jax.cells.irnn import IRNN
from lstm_jax.cells.janet import JANET, JANETCarry, JANETParams, janet
from lstm_jax.cells.layer_norm_lstm import (
    LAYER_NORM_LSTM,
    LayerNormLSTMParams,
    layer_norm_lstm,
)
from lstm_jax.cells.lesson_peephole_lstm import (
    LESSON_PEEPHOLE_LSTM,
    LessonPeepholeParams,
)
from lstm_jax.cells.lru import LRU, LRUCarry, LRUParams
from lstm_jax.cells.lstm import (
    LSTM,
    Gates,
    LSTMCarry,
    LSTMParams,
    lstm,
    lstm_gates,
)
from lstm_jax.cells.lstm97 import LSTM97, LSTM97Carry, LSTM97Params, lstm97
from lstm_jax.cells.lstm97_input_gate import (
    LSTM97_INPUT_GATE,
    LSTM97InputGateCarry,
    LSTM97InputGateParams,
)
from lstm_jax.cells.lstm2000 import LSTM2000, LSTM2000Params, lstm2000
from lstm_jax.cells.matrix_memory import MatrixCarry
from lstm_jax.cells.mgu import MGU, MGUParams
from lstm_jax.cells.min_gru import MIN_GRU, MinGRUParams, min_gru
from lstm_jax.cells.min_lstm import MIN_LSTM, MinLSTMParams, min_lstm
from lstm_jax.cells.minimal_rnn import MINIMAL_RNN, MinimalRNNParams
from lstm_jax.cells.mlstm import MLSTM, MLSTMCarry, MLSTMParams
from lstm_jax.cells.peephole_lstm import (
    PEEPHOLE_LSTM,
    PeepholeLSTMParams,
    peephole_lstm,
)
from lstm_jax.cells.projection_lstm import (
    PROJECTION_LSTM,
    ProjectionLSTMCarry,
    ProjectionLSTMParams,
)
from lstm_jax.cells.rg_lru import RG_LRU, RGLRUParams
from lstm_jax.cells.rnn import RNN, RNNCarry, RNNParams, rnn
from lstm_jax.cells.rotation_rnn import (
    ROTATION_RNN,
    RotationRNNCarry,
    RotationRNNParams,
)
from lstm_jax.cells.sco_rnn import SCO_RNN, quarter_turns, scaled_cayley, sco_rnn
from lstm_jax.cells.selective_ssm import (
    SELECTIVE_SSM,
    SelectiveSSMParams,
    selective_ssm,
)
from lstm_jax.cells.signed_min_gru import SIGNED_MIN_GRU, SignedMinGRUParams
from lstm_jax.cells.slstm import SLSTM, SLSTMCarry, SLSTMParams, slstm
from lstm_jax.cells.stochastic import Keyed, KeyedCell, Keys, with_keys
from lstm_jax.cells.transitions import (
    Dense,
    Diagonal,
    Reflections,
    Rotation,
    Transition,
)
from lstm_jax.cells.wrappers.bidirectional import bidirectional
from lstm_jax.cells.wrappers.block_diagonal import block_diagonal, whole_params
from lstm_jax.cells.wrappers.directions import Directions as Directions
from lstm_jax.cells.wrappers.dropout import dropout
from lstm_jax.cells.wrappers.learned_carry import LearnedCarryParams, learned_carry
from lstm_jax.cells.wrappers.mixed import mixed
from lstm_jax.cells.wrappers.residual import residual
from lstm_jax.cells.wrappers.shortcut import shortcut
from lstm_jax.cells.wrappers.stack import stack
from lstm_jax.cells.wrappers.variational_dropout import variational_dropout
from lstm_jax.cells.wrappers.zoneout import zoneout
from lstm_jax.checks import Named

# The order is part of the experiments' seeds (`experiments.gradient_decay`): append.
CELLS: dict[str, Cell] = Named(
    "cell",
    {
        "rnn": RNN,
        "lstm": LSTM,
        "four_gate": FOUR_GATE,
        "irnn": IRNN,
        "lstm97": LSTM97,
        "peephole_lstm": PEEPHOLE_LSTM,
        "lesson_peephole_lstm": LESSON_PEEPHOLE_LSTM,
        "cifg_lstm": CIFG_LSTM,
        "layer_norm_lstm": LAYER_NORM_LSTM,
        "projection_lstm": PROJECTION_LSTM,
        "gru": GRU,
        "gru_reset_before": GRU_RESET_BEFORE,
        "mgu": MGU,
        "janet": JANET,
        "minimal_rnn": MINIMAL_RNN,
        "indrnn": INDRNN,
        "antisymmetric_rnn": ANTISYMMETRIC_RNN,
        "lru": LRU,
        "min_gru": MIN_GRU,
        "min_lstm": MIN_LSTM,
        "signed_min_gru": SIGNED_MIN_GRU,
        "selective_ssm": SELECTIVE_SSM,
        "delta_product": DELTA_PRODUCT,
        "slstm": SLSTM,
        "exp_rnn": EXP_RNN,
        "delta_net": DELTA_NET,
        "gated_linear_attention": GATED_LINEAR_ATTENTION,
        "gated_delta_net": GATED_DELTA_NET,
        "mlstm": MLSTM,
        "rotation_rnn": ROTATION_RNN,
        "rg_lru": RG_LRU,
        "co_rnn": CO_RNN,
        "sco_rnn": SCO_RNN,
    },
)
"""Every cell by its name, as flags and tables use it."""

__all__ = [
    "CELLS", "Cell",
    # Without gates
    "rnn", "RNN", "RNNParams", "RNNCarry", "IRNN", "INDRNN", "IndRNNParams",
    "clip_indrnn",
    "antisymmetric_rnn", "ANTISYMMETRIC_RNN",
    "EXP_RNN", "henaff", "skew_exp", "modrelu",
    "sco_rnn", "SCO_RNN", "quarter_turns", "scaled_cayley",
    "co_rnn", "CO_RNN", "CoRNNParams", "CoRNNCarry",
    # The LSTM, and its gates
    "lstm", "LSTM", "LSTMParams", "LSTMCarry", "Gates", "lstm_gates",
    "GATE_ACTIVATIONS",
    "four_gate", "FOUR_GATE", "FourGateParams", "FourGateCarry",
    "learn_gate", "forget_gate", "remember_gate", "use_gate",
    "lesson_gates", "LessonGates",
    # Its ancestors and variants
    "lstm97", "LSTM97", "LSTM97Params", "LSTM97Carry",
    "LSTM97_INPUT_GATE", "LSTM97InputGateParams", "LSTM97InputGateCarry",
    "lstm2000", "LSTM2000", "LSTM2000Params",
    "peephole_lstm", "PEEPHOLE_LSTM", "PeepholeLSTMParams", "FullGateLSTMParams",
    "FullGateLSTMCarry",
    "LESSON_PEEPHOLE_LSTM", "LessonPeepholeParams",
    "layer_norm_lstm", "LAYER_NORM_LSTM", "LayerNormLSTMParams",
    "PROJECTION_LSTM", "ProjectionLSTMParams", "ProjectionLSTMCarry",
    "CIFG_LSTM", "CIFGParams", "janet", "JANET", "JANETParams", "JANETCarry",
    # With fewer gates
    "gru", "GRU", "GRUParams", "GRUCarry",
    "gru_reset_before", "GRU_RESET_BEFORE", "GRUResetBeforeParams", "MGU", "MGUParams",
    "MINIMAL_RNN", "MinimalRNNParams",
    # Linear in their memory, and how
    "LRU", "LRUParams", "LRUCarry", "min_gru", "MIN_GRU", "MinGRUParams",
    "min_lstm", "MIN_LSTM", "MinLSTMParams", "SIGNED_MIN_GRU", "SignedMinGRUParams",
    "ROTATION_RNN", "RotationRNNParams", "RotationRNNCarry", "RG_LRU", "RGLRUParams",
    "selective_ssm", "SELECTIVE_SSM", "SelectiveSSMParams",
    "delta_product", "DELTA_PRODUCT", "DeltaProductParams",
    "Transition", "Diagonal", "Rotation", "Reflections", "Dense",
    # ... and a matrix
    "delta_net", "DELTA_NET", "DeltaNetParams", "MatrixCarry",
    "GATED_LINEAR_ATTENTION", "GatedLinearAttentionParams",
    "gated_delta_net", "GATED_DELTA_NET", "GatedDeltaNetParams",
    # With exponential gates
    "slstm", "SLSTM", "SLSTMParams", "SLSTMCarry",
    "MLSTM", "MLSTMParams", "MLSTMCarry",
    # Cells of cells
    "stack", "residual", "shortcut", "learned_carry", "LearnedCarryParams", "zoneout",
    "dropout", "variational_dropout", "mixed", "bidirectional",
    "block_diagonal", "whole_params",
    "with_keys", "Keyed", "Keys", "KeyedCell",
]  # fmt: skip
