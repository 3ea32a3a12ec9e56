"""JAX made strict for every test; a fixed key; float64 as a fixture."""

import gc
import os
import signal

from compiling import quick_flags

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")
# Compiling is what the tests pay for, not running. The results are those of the default
# to rounding; the benchmark and the demo run with the default.
os.environ.setdefault("XLA_FLAGS", quick_flags())

import jax
import pytest

# A shell that runs the suite in the background has it ignore Ctrl-C, which tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)
# What tracing leaves is hardly ever garbage; to look for it takes a twentieth of the
# time.
gc.set_threshold(50_000, 20, 100)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_default_matmul_precision", "highest")


@pytest.fixture
def key():
    """One key; split it with names next to its use."""
    return jax.random.key(20260101)


@pytest.fixture
def x64():
    """Runs the test in double precision, and undoes it even when the test fails."""
    with jax.enable_x64(True):
        yield
