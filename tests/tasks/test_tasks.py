"""The table of tasks: factories, sizes, and what they refuse."""

from collections.abc import Callable
from typing import Any

import pytest
from tasks.batches import TASKS, TEXT

import lstm_jax as lj
from lstm_jax.tasks import (
    digits,
    long_time_lag,
)
from lstm_jax.tasks.bucket_sort import bucket_sort
from lstm_jax.tasks.character_language import character_language
from lstm_jax.tasks.copy_memory import copy_memory, copy_memory_variable
from lstm_jax.tasks.delayed_xor import delayed_xor
from lstm_jax.tasks.embedded_reber import (
    continual_embedded_reber,
    embedded_reber,
)
from lstm_jax.tasks.induction_head import induction_head
from lstm_jax.tasks.k_hop import k_hop
from lstm_jax.tasks.keep_nth import keep_nth
from lstm_jax.tasks.latch import latch
from lstm_jax.tasks.long_time_lag_2c import long_time_lag_2c
from lstm_jax.tasks.mqar import mqar
from lstm_jax.tasks.noisy_recall import noisy_recall
from lstm_jax.tasks.reverse_string import reverse_string
from lstm_jax.tasks.selective_copy import selective_copy
from lstm_jax.tasks.temporal_order import temporal_order
from lstm_jax.tasks.two_sequence import two_sequence
from lstm_jax.tasks.word_problem import word_problem

FACTORIES: dict[str, Callable[[], Any]] = {
    "temporal_order": temporal_order,
    "temporal_order_3": lambda: temporal_order(num_symbols=3),
    "long_time_lag_2a": lambda: long_time_lag.long_time_lag_2a(p=100),
    "long_time_lag_2b": long_time_lag.long_time_lag_2b,
    "long_time_lag_2c": lambda: long_time_lag_2c(50, "softmax"),
    "two_sequence_3a": lambda: two_sequence("3a"),
    "embedded_reber": lambda: embedded_reber(units="softmax"),
    "continual_embedded_reber": continual_embedded_reber,
    "copy_memory": lambda: copy_memory(num_items=10),
    "copy_memory_variable": copy_memory_variable,
    "delayed_xor": lambda: delayed_xor(delay=10),
    "latch": lambda: latch(num_informative=3),
    "sequential_digits": digits.sequential_digits,
    "permuted_digits": lambda: digits.permuted_digits(permutation_seed=0),
    "word_problem_s3": word_problem,
    "word_problem_a5": lambda: word_problem("A5"),
    "selective_copy": lambda: selective_copy(num_items=4),
    "mqar": lambda: mqar(num_pairs=4),
    "induction_head": lambda: induction_head(num_symbols=16),
    "keep_nth": lambda: keep_nth(n=5),
    "noisy_recall": lambda: noisy_recall(noise=0.2),
    "k_hop": lambda: k_hop(hops=2),
    "bucket_sort": lambda: bucket_sort(num_symbols=5),
    "reverse_string": reverse_string,
}


@pytest.mark.parametrize("name", FACTORIES)
def test_a_factory_returns_one_and_the_same_task(name):
    assert FACTORIES[name]() is lj.TASKS[name]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: temporal_order(4), r"num_symbols: got 4; .* 2 or 3"),
        (lambda: temporal_order(2, "relu"), r"units: got 'relu'; "
         r"allowed: softmax, logistic"),
        (lambda: long_time_lag.long_time_lag_2a(1), r"p: got 1; .* at least 2"),
        (lambda: long_time_lag.long_time_lag_2b(9, "x"), r"units: got 'x'; allowed"),
        (lambda: long_time_lag_2c(0), r"num_distractors: got 0; "),
        (lambda: two_sequence("3d"), r"variant: got '3d'; .*3a, 3b, 3c"),
        (lambda: two_sequence("3a", 0), r"num_informative: got 0; "),
        (lambda: embedded_reber("x"), r"units: got 'x'; allowed"),
        (lambda: continual_embedded_reber("x"), r"units: got 'x'; "),
        (lambda: copy_memory(0), r"num_symbols: got 0; .* at least 1"),
        (lambda: copy_memory_variable(8, 0), r"num_items: got 0; "),
        (lambda: delayed_xor(3), r"delay: got 3; .* even"),
        (lambda: latch(float("nan")), r"noise: got nan; .* at least 0"),
        (lambda: latch(0.2, 0), r"num_informative: got 0; .* at least 1"),
        (lambda: word_problem("Q8"), r"group: got 'Q8'; it must be like Z3, Z2\^3"),
        (lambda: word_problem("S7"), r"group: got 'S7'; S is there for 1 to 6"),
        (lambda: word_problem("Z2^11"), r"group: got 'Z2\^11'; it must have from 1 to"),
        (lambda: word_problem([(0, 1, 2), (1, 2, 0)]), r"group: \(1, 2, 0\) and then "
         r"\(1, 2, 0\) is \(2, 0, 1\), which is not in it; it must be closed"),
        (lambda: word_problem([(0, 0)]), r"group: got \(0, 0\); each entry must be a "
         r"permutation of 0"),
        (lambda: word_problem([(0,), (0, 1)]), r"group: permutations of \[1, 2\] "),
        (lambda: word_problem("Z3", "transpositions"), r"generators: no transposition"),
        (lambda: word_problem("A5", [(1, 0, 2, 3, 4)]), r"generators: "
         r"\(1, 0, 2, 3, 4\) is not in the group"),
        (lambda: word_problem("S3", "swaps"), r"generators: got 'swaps'; "),
        (lambda: word_problem("S3", []), r"generators: got none; "),
        (lambda: selective_copy(1), r"num_symbols: got 1; .* at least 2"),
        (lambda: selective_copy(8, 0), r"num_items: got 0; .* at least 1"),
        (lambda: mqar(9, 8), r"num_keys: got 8; .* at least 9"),
        (lambda: mqar(9, 9, 8), r"num_values: got 8; .* at least 9"),
        (lambda: mqar(power=0), r"power: got 0; "),
        (lambda: induction_head(1), r"num_symbols: got 1; .* at least 2"),
        (lambda: keep_nth(0), r"n: got 0; .* at least 1"),
        (lambda: bucket_sort(1), r"num_symbols: got 1; .* at least 2"),
        (lambda: reverse_string(1), r"num_symbols: got 1; .* at least 2"),
        (lambda: k_hop(0), r"hops: got 0; .* at least 1"),
        (lambda: k_hop(2, 2), r"num_symbols: got 2; .* at least 3"),
        (lambda: noisy_recall(noise=1), r"noise: got 1; "),
        (lambda: digits.permuted_digits(-1), r"permutation_seed: got -1; "),
        (lambda: character_language("aaaa"), r"text: got 'aaaa'; "
         r"it must have at least 2 different"),
        (lambda: character_language(TEXT, 1.0), r"held_out: got 1"),
        (lambda: character_language("abc"), r"text: got 3 char"),
    ],
)  # fmt: skip
def test_what_a_factory_does_not_know_is_refused(make, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make()


def test_lengths_that_only_some_tasks_refuse(key):
    tasks = TASKS | lj.TASKS
    for name, max_length, message in (
        ("long_time_lag_2a", 101, r"max_length: got 101; it must be in \[2, 100\]"),
        ("sequential_digits", 65, r"max_length: got 65; it must be 64"),
        ("copy_memory", 20, r"max_length: got 20; it must be at least 21"),
        ("delayed_xor", 10, r"max_length: got 10; it must be at least 11"),
        ("selective_copy", 7, r"max_length: got 7; it must be at least 8"),
        ("mqar", 15, r"max_length: got 15; it must be at least 16"),
        ("character_language", 54, r"max_length: got 54; it must be in \[1, 53\]"),
    ):
        with pytest.raises(ValueError, match=message):
            tasks[name].sample(key, 2, max_length)


SIZES = {
    "nature_show": (64, 3),
    "adding": (2, 1),
    "adding_1997": (2, 1),
    "multiplication": (2, 1),
    "temporal_order": (8, 4),
    "temporal_order_3": (8, 8),
    "temporal_order_pascanu": (6, 4),
    "long_time_lag_2a": (101, 101),
    "long_time_lag_2b": (101, 101),
    "long_time_lag_2c": (54, 2),
    "two_sequence_3a": (1, 1),
    "two_sequence_3b": (1, 1),
    "two_sequence_3c": (1, 1),
    "embedded_reber": (7, 7),
    "continual_embedded_reber": (7, 7),
    "copy_memory": (10, 9),
    "copy_memory_variable": (10, 9),
    "delayed_xor": (1, 2),
    "latch": (1, 1),
    "parity": (2, 2),
    "even_pairs": (2, 2),
    "cycle_navigation": (3, 5),
    "modular_arithmetic": (8, 5),
    "anbn": (3, 3),
    "anbncn": (4, 4),
    "sequential_digits": (1, 10),
    "permuted_digits": (1, 10),
    "flip_flop": (5, 2),
    "word_problem_s3": (6, 6),
    "word_problem_a5": (60, 60),
    "selective_copy": (10, 8),
    "mqar": (33, 16),
    "induction_head": (17, 16),
    "keep_nth": (128, 128),
    "noisy_recall": (32, 8),
    "k_hop": (4, 5),
    "modular_arithmetic_brackets": (10, 5),
    "majority": (2, 2),
    "bucket_sort": (6, 5),
    "reverse_string": (3, 2),
}


def test_the_table_has_the_tasks_of_the_papers_in_their_sizes():
    assert all(task.name == name for name, task in lj.TASKS.items())
    assert SIZES == {
        name: (task.input_size, task.output_size) for name, task in lj.TASKS.items()
    }
