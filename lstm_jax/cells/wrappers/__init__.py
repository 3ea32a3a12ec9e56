"""Cells made of cells, and what they read."""
