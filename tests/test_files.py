"""How much memory there is; what files hold is tested where they are read."""

from lstm_jax import files


def test_there_is_memory_and_it_is_told_in_units():
    assert 2**28 < files.memory() < 2**50
    words = [files.in_words(n) for n in (12, 3 * 2**29, 1.25e21)]
    assert words == ["12 bytes", "1.5 GiB", "1.11e+06 PiB"]
