"""`scan`: how it finds the weights of a step and orders its backward pass."""

from lstm_jax.engine.scanning import ScanReport, scan, scan_report

__all__ = ["ScanReport", "scan", "scan_report"]
