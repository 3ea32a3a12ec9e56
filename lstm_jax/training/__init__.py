"""From an initial cell to a trained one."""
