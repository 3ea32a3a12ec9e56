"""Tasks: TASKS, every task by its name, and the factories of those that have options.

A new task adds its file and one line to TASKS.
"""

from lstm_jax.checks import Named
from lstm_jax.tasks.adding import ADDING
from lstm_jax.tasks.adding_1997 import ADDING_1997, MULTIPLICATION
from lstm_jax.tasks.bucket_sort import BUCKET_SORT, bucket_sort
from lstm_jax.tasks.character_language import character_language
from lstm_jax.tasks.copy_memory import (
    COPY_MEMORY,
    COPY_MEMORY_VARIABLE,
    copy_memory,
    copy_memory_variable,
)
from lstm_jax.tasks.counting import ANBN, ANBNCN, counting
from lstm_jax.tasks.cycle_navigation import CYCLE_NAVIGATION
from lstm_jax.tasks.delayed_xor import DELAYED_XOR, delayed_xor
from lstm_jax.tasks.digits import (
    PERMUTED_DIGITS,
    SEQUENTIAL_DIGITS,
    permuted_digits,
    sequential_digits,
)
from lstm_jax.tasks.embedded_reber import (
    CONTINUAL_EMBEDDED_REBER,
    EMBEDDED_REBER,
    continual_embedded_reber,
    embedded_reber,
)
from lstm_jax.tasks.even_pairs import EVEN_PAIRS
from lstm_jax.tasks.flip_flop import FLIP_FLOP, flip_flop
from lstm_jax.tasks.from_arrays import from_arrays
from lstm_jax.tasks.from_batches import from_batches
from lstm_jax.tasks.from_windows import from_windows
from lstm_jax.tasks.induction_head import INDUCTION_HEAD, induction_head
from lstm_jax.tasks.k_hop import K_HOP, k_hop
from lstm_jax.tasks.keep_nth import KEEP_NTH, keep_nth
from lstm_jax.tasks.latch import LATCH, latch
from lstm_jax.tasks.logistic_outputs import logistic_outputs
from lstm_jax.tasks.long_time_lag import (
    LONG_TIME_LAG_2A,
    LONG_TIME_LAG_2B,
    long_time_lag_2a,
    long_time_lag_2b,
)
from lstm_jax.tasks.long_time_lag_2c import LONG_TIME_LAG_2C, long_time_lag_2c
from lstm_jax.tasks.majority import MAJORITY
from lstm_jax.tasks.modular_arithmetic import MODULAR_ARITHMETIC
from lstm_jax.tasks.modular_arithmetic_brackets import MODULAR_ARITHMETIC_BRACKETS
from lstm_jax.tasks.mqar import MQAR, mqar
from lstm_jax.tasks.nature_show import NATURE_SHOW, nature_show
from lstm_jax.tasks.noisy_recall import NOISY_RECALL, noisy_recall
from lstm_jax.tasks.parity import PARITY
from lstm_jax.tasks.reverse_string import REVERSE_STRING, reverse_string
from lstm_jax.tasks.selective_copy import SELECTIVE_COPY, selective_copy
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.tasks.temporal_order import (
    TEMPORAL_ORDER,
    TEMPORAL_ORDER_3,
    temporal_order,
)
from lstm_jax.tasks.temporal_order_pascanu import TEMPORAL_ORDER_PASCANU
from lstm_jax.tasks.two_sequence import (
    TWO_SEQUENCE_3A,
    TWO_SEQUENCE_3B,
    TWO_SEQUENCE_3C,
    two_sequence,
)
from lstm_jax.tasks.word_problem import (
    WORD_PROBLEM_A5,
    WORD_PROBLEM_S3,
    word_problem,
)

TASKS: dict[str, Task] = Named(
    "task",
    {
        "nature_show": NATURE_SHOW,
        "adding": ADDING,
        "adding_1997": ADDING_1997,
        "multiplication": MULTIPLICATION,
        "temporal_order": TEMPORAL_ORDER,
        "temporal_order_3": TEMPORAL_ORDER_3,
        "temporal_order_pascanu": TEMPORAL_ORDER_PASCANU,
        "long_time_lag_2a": LONG_TIME_LAG_2A,
        "long_time_lag_2b": LONG_TIME_LAG_2B,
        "long_time_lag_2c": LONG_TIME_LAG_2C,
        "two_sequence_3a": TWO_SEQUENCE_3A,
        "two_sequence_3b": TWO_SEQUENCE_3B,
        "two_sequence_3c": TWO_SEQUENCE_3C,
        "embedded_reber": EMBEDDED_REBER,
        "continual_embedded_reber": CONTINUAL_EMBEDDED_REBER,
        "copy_memory": COPY_MEMORY,
        "copy_memory_variable": COPY_MEMORY_VARIABLE,
        "delayed_xor": DELAYED_XOR,
        "latch": LATCH,
        "parity": PARITY,
        "even_pairs": EVEN_PAIRS,
        "cycle_navigation": CYCLE_NAVIGATION,
        "modular_arithmetic": MODULAR_ARITHMETIC,
        "anbn": ANBN,
        "anbncn": ANBNCN,
        "sequential_digits": SEQUENTIAL_DIGITS,
        "permuted_digits": PERMUTED_DIGITS,
        "flip_flop": FLIP_FLOP,
        "word_problem_s3": WORD_PROBLEM_S3,
        "word_problem_a5": WORD_PROBLEM_A5,
        "selective_copy": SELECTIVE_COPY,
        "mqar": MQAR,
        "induction_head": INDUCTION_HEAD,
        "keep_nth": KEEP_NTH,
        "noisy_recall": NOISY_RECALL,
        "k_hop": K_HOP,
        "modular_arithmetic_brackets": MODULAR_ARITHMETIC_BRACKETS,
        "majority": MAJORITY,
        "bucket_sort": BUCKET_SORT,
        "reverse_string": REVERSE_STRING,
    },
)
"""Every task by its name, as flags and tables use it."""

__all__ = [
    "TASKS", "Task", "Batch",
    # Of your own data
    "from_arrays", "from_windows", "from_batches",
    # The images
    "nature_show", "NATURE_SHOW",
    "sequential_digits", "permuted_digits", "SEQUENTIAL_DIGITS", "PERMUTED_DIGITS",
    # Of 1997 and its successors
    "ADDING", "ADDING_1997", "MULTIPLICATION", "logistic_outputs",
    "temporal_order", "TEMPORAL_ORDER", "TEMPORAL_ORDER_3", "TEMPORAL_ORDER_PASCANU",
    "long_time_lag_2a", "long_time_lag_2b", "LONG_TIME_LAG_2A", "LONG_TIME_LAG_2B",
    "long_time_lag_2c", "LONG_TIME_LAG_2C",
    "two_sequence", "TWO_SEQUENCE_3A", "TWO_SEQUENCE_3B", "TWO_SEQUENCE_3C",
    # Copies and bits
    "copy_memory", "copy_memory_variable", "COPY_MEMORY", "COPY_MEMORY_VARIABLE",
    "delayed_xor", "DELAYED_XOR", "latch", "LATCH", "PARITY", "EVEN_PAIRS",
    "CYCLE_NAVIGATION", "MODULAR_ARITHMETIC", "MODULAR_ARITHMETIC_BRACKETS", "MAJORITY",
    "bucket_sort", "BUCKET_SORT", "reverse_string", "REVERSE_STRING",
    "flip_flop", "FLIP_FLOP",
    # Recall, and the state of a group
    "selective_copy", "SELECTIVE_COPY", "mqar", "MQAR",
    "induction_head", "INDUCTION_HEAD", "keep_nth", "KEEP_NTH",
    "noisy_recall", "NOISY_RECALL", "k_hop", "K_HOP",
    "word_problem", "WORD_PROBLEM_S3", "WORD_PROBLEM_A5",
    # Languages
    "embedded_reber", "continual_embedded_reber", "EMBEDDED_REBER",
    "CONTINUAL_EMBEDDED_REBER",
    "counting", "ANBN", "ANBNCN", "character_language",
]  # fmt: skip
