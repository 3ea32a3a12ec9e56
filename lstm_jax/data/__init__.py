"""Your numbers from a file: a table of any of the usual kinds as an array."""

from lstm_jax.data.tables import Table, read_table

__all__ = ["read_table", "Table"]
