"""A small run of experiments.gradient_decay."""

from typing import Any

SMALL: dict[str, Any] = {
    "cells": ("rnn", "lstm"),
    "gain": 0.5,
    "lag": 4,
    "hidden_size": 5,
    "num_seeds": 2,
    "num_examples": 3,
    "panels": "all",
    "rendering": "vectors",
    "forget_bias": (1.0, "matched"),
}
