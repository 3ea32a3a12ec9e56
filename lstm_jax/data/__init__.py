"""Your numbers or your text from a file of any of the usual kinds."""

from lstm_jax.data.tables import Table, read_table, standardize
from lstm_jax.data.texts import read_text

__all__ = ["read_table", "Table", "standardize", "read_text"]
