"""Forget biases of an experiment: matched to a lag, and told apart."""

import numpy as np
import pytest

from experiments.common import variants
from experiments.common.variants import matched_bias


def test_a_bias_beside_the_matched_one_is_another():
    matched = variants.matched_bias(40)  # 4.9312
    near = variants.variants_of("lstm", (4.93, "matched"), 40)
    assert [variant.bias for variant in near] == ["4.93", f"{matched:.4g}"]
    assert len(variants.variants_of("lstm", (matched, "matched"), 40)) == 1


@pytest.mark.parametrize("lag", [1, 2, 40, 200])
def test_matched_bias_keeps_three_quarters(lag):
    forget = 1 / (1 + np.exp(-matched_bias(lag)))
    np.testing.assert_allclose(forget**lag, 0.75)
