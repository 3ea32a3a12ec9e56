"""CELLS: every cell by its name. A new cell adds its file and one line here."""

from lstm_jax.cells.antisymmetric_rnn import ANTISYMMETRIC_RNN
from lstm_jax.cells.cell import Cell
from lstm_jax.cells.cifg_lstm import CIFG_LSTM
from lstm_jax.cells.four_gate import FOUR_GATE
from lstm_jax.cells.gru import GRU
from lstm_jax.cells.gru_reset_before import GRU_RESET_BEFORE
from lstm_jax.cells.indrnn import INDRNN
from lstm_jax.cells.irnn import IRNN
from lstm_jax.cells.janet import JANET
from lstm_jax.cells.layer_norm_lstm import LAYER_NORM_LSTM
from lstm_jax.cells.lesson_peephole_lstm import LESSON_PEEPHOLE_LSTM
from lstm_jax.cells.lstm import LSTM
from lstm_jax.cells.lstm97 import LSTM97
from lstm_jax.cells.mgu import MGU
from lstm_jax.cells.minimal_rnn import MINIMAL_RNN
from lstm_jax.cells.peephole_lstm import PEEPHOLE_LSTM
from lstm_jax.cells.projection_lstm import PROJECTION_LSTM
from lstm_jax.cells.rnn import RNN
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
    },
)
