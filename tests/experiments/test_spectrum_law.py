"""The experiment on whole spectra, small: what it measures."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import lstm_jax as lj
from experiments import spectrum_law
from experiments.common import random_nets
from experiments.common.cli import ConfigError
from experiments.common.records import take


def test_what_is_read_off_a_spectrum_is_that_of_its_exponents(smoke):
    record = smoke("spectrum_law")
    exponents = take(record, "exponent")  # gain, seed, rank
    assert exponents.shape == (4, 2, 64)
    largest, size = take(record, "largest", size=64), exponents.shape[-1]
    assert_allclose(largest, exponents[..., 0])
    assert_allclose(take(record, "entropy", size=64), exponents.clip(0).sum(-1) / size)
    assert_allclose(take(record, "positive_share", size=64), (exponents > 0).mean(-1))
    dimension = lj.gradients.kaplan_yorke_dimension(jnp.asarray(exponents))
    assert_allclose(take(record, "dimension", size=64), dimension / size, rtol=1e-5)
    assert np.ptp(largest) > 0


def test_the_largest_exponent_needs_no_whole_spectrum():
    measure = partial(random_nets.spectra, lj.RNN, 12, (0.5, 3.0), seed=0, num_seeds=2)
    with jax.enable_x64(True):
        whole, alone = (
            measure(num_steps=60, burn_in=40, num_exponents=count)
            for count in (None, 1)
        )
    assert alone.exponents.shape == (2, 2, 1)
    assert_allclose(alone.exponents[..., 0], whole.exponents[..., 0], rtol=0.05)


def test_a_state_of_two_parts_has_half_the_units(smoke):
    assert spectrum_law.parts_of("gru") == 1
    assert spectrum_law.parts_of("lstm") == 2
    assert take(smoke("spectrum_law"), "cell_exponent").shape == (1, 1, 2, 8)


def test_a_state_that_does_not_divide_is_refused():
    with pytest.raises(ConfigError, match="state_size: got 9; it must be a multiple"):
        spectrum_law.Config(state_size=9)
