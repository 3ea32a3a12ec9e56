"""Levels and lengths of a text, by counting its characters."""

from collections import Counter
from itertools import pairwise

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import entropy
from tasks.batches import TEXT

import lstm_jax as lj
from lstm_jax.tasks.character_language import longest_window


def test_the_levels_of_a_text_are_counted_on_its_training_part():
    text = TEXT[:100]
    task = lj.tasks.character_language(text, 0.2)
    pairs = Counter(pairwise(text[:80]))
    uses, nexts = Counter(text[:79]), Counter(text[1:80])
    conditional = -sum(n / 79 * np.log(n / uses[a]) for (a, _), n in pairs.items())
    assert_allclose(task.floor(9), conditional, rtol=1e-12)
    frequencies = task.plateaus(9)
    assert_allclose(frequencies["frequencies only"],
                    entropy([n / 79 for n in nexts.values()]), rtol=1e-12)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("characters", "held_out", "longest"), [
    (100, 0.1, 9), (100, 0.9, 9), (100, 0.5, 49), (40, 0.25, 9), (40, 0.7, 11),
])  # fmt: skip
def test_the_longest_window_fits_into_both_parts(characters, held_out, longest):
    assert longest_window(characters, held_out) == longest
    task = lj.tasks.character_language("ab" * (characters // 2), held_out)
    for sample in (task.sample, task.sample_test):
        assert len(sample(jax.random.key(0), 2, longest).inputs) == longest
        with pytest.raises(ValueError, match="max_length: got"):
            sample(jax.random.key(0), 2, longest + 1)
