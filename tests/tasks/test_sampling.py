"""Lengths that are drawn."""


def test_110_steps_are_the_papers_100():
    from lstm_jax.tasks.sampling import nominal_length

    assert [nominal_length(n) for n in (110, 550, 1100, 11, 10)] == [
        100, 500, 1000, 10, 10,
    ]  # fmt: skip
    assert all(n <= 1.1 * nominal_length(n) for n in range(1, 2_000))
