"""JAX made strict for every test; a fixed key; float64 as a fixture."""

import gc
import os
import signal
import time

from compiling import quick_flags

os.environ.setdefault("MPLBACKEND", "Agg")

import jax
import jax.monitoring
import pytest

# A shell that runs the suite in the background has it ignore Ctrl-C, which tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)
# What tracing leaves is hardly ever garbage; to look for it takes a twentieth of the
# time.
gc.set_threshold(50_000, 20, 100)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_default_matmul_precision", "highest")


def pytest_configure(config):
    """Chooses the device and the folder of programs, before JAX begins."""
    if not of_a_gpu(config):
        begin_on_cpu()
    keep_programs(config)


def of_a_gpu(config):
    """Whether only the tests of a GPU are asked for."""
    return config.option.markexpr == "gpu"


def pytest_ignore_collect(collection_path, config):
    """Leaves all other files out, then: they import packages that may be absent."""
    file = collection_path.suffix == ".py"
    if of_a_gpu(config) and file and collection_path.parent.name != "gpu":
        return True
    return None


def begin_on_cpu():
    """Chooses the CPU, and a compiler in a hurry, for the subprocesses too.

    Compiling is what the tests pay for, not running. The results are those of the
    default to rounding; the benchmark and the demo run with the default.
    """
    os.environ.setdefault("XLA_FLAGS", quick_flags())
    jax.config.update("jax_platforms", os.environ.setdefault("JAX_PLATFORMS", "cpu"))


def keep_programs(config):
    """Keeps what was compiled for the next run, which takes half the time.

    JAX finds a program by all that it was compiled from. `pytest --cache-clear` empties
    the folder.
    """
    if not hasattr(config, "cache"):  # -p no:cacheprovider
        return
    folder = config.cache.mkdir("programs")
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    if not hasattr(config, "workerinput"):
        forget_unread(folder)


def forget_unread(folder):
    """Deletes the programs that nobody has read for two weeks."""
    unread = time.time() - 14 * 24 * 3600
    for program in folder.iterdir():
        if program.stat().st_atime < unread:
            program.unlink()


# JAX keeps what it lowered, and each compilation goes through all of it: with two
# thousand programs kept, each takes 30 ms more, which is what a small one takes, and a
# process has 4 GB. To compile again what files share, some fifty operations, is less.
MANY = 500
compiled = 0


def count(event, duration_secs, **_):
    """Counts compilations."""
    global compiled
    compiled += event.endswith("backend_compile_duration")


jax.monitoring.register_event_duration_secs_listener(count)


@pytest.fixture(scope="module", autouse=True)
def few_programs():
    """Forgets what was compiled, where that is much, between one file and the next."""
    global compiled
    yield
    if compiled >= MANY:
        compiled = 0
        jax.clear_caches()


@pytest.fixture
def key():
    """One key; split it with names next to its use."""
    return jax.random.key(20260101)


@pytest.fixture
def x64():
    """Runs the test in double precision, and undoes it even when the test fails."""
    with jax.enable_x64(True):
        yield
