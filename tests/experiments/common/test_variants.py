"""Forget biases of an experiment: matched to a lag, and told apart."""

from experiments.common import variants


def test_a_bias_beside_the_matched_one_is_another():
    matched = variants.matched_bias(40)  # 4.9312
    near = variants.variants_of("lstm", (4.93, "matched"), 40)
    assert [variant.bias for variant in near] == ["4.93", f"{matched:.4g}"]
    assert len(variants.variants_of("lstm", (matched, "matched"), 40)) == 1
