"""`scan`: how it finds the weights of a step and orders its backward pass.

To read in this order: `scanning` (the entry), `programs` (a step as a list of
operations), `plans` (taken apart into what is done once and what at every step),
`weight_products` and `pre_activations` (where it meets its weights), `points` and
`weighted_scan` (how it runs), `tangents` (its derivative). `reads` finds its gates.
"""

from lstm_jax.engine.scanning import ScanReport, scan, scan_report

__all__ = ["ScanReport", "scan", "scan_report"]
