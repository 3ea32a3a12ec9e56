"""CELLS: every cell by its name. A new cell adds its file and one line here."""

from lstm_jax.cells.cell import Cell
from lstm_jax.cells.four_gate import FOUR_GATE
from lstm_jax.cells.lstm import LSTM
from lstm_jax.cells.rnn import RNN

CELLS: dict[str, Cell] = {
    "rnn": RNN,
    "lstm": LSTM,
    "four_gate": FOUR_GATE,
}
