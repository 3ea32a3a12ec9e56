"""Every task: what it draws, what it asks, what guessing costs, and who solves it."""

import inspect
import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits

import lstm_jax as lj
from lstm_jax.readouts import LinearParams, last_step, linear
from lstm_jax.tasks import (
    adding,
    adding_1997,
    answer_units,
    counting,
    digits,
    even_pairs,
    grammar,
    long_time_lag,
    losses,
    parity,
    temporal_order_pascanu,
)
from lstm_jax.tasks.character_language import alphabet_of, character_language
from lstm_jax.tasks.copy_memory import copy_memory, copy_memory_variable, is_recall
from lstm_jax.tasks.delayed_xor import delayed_xor
from lstm_jax.tasks.embedded_reber import (
    ALPHABET,
    CONTINUAL,
    EMBEDDED,
    continual_embedded_reber,
    embedded_reber,
    is_outer,
    symbols_of,
)
from lstm_jax.tasks.latch import latch
from lstm_jax.tasks.long_time_lag_2c import long_time_lag_2c
from lstm_jax.tasks.temporal_order import SYMBOLS, temporal_order
from lstm_jax.tasks.two_sequence import two_sequence

MANY, LENGTH, MAX_LENGTH = 2_000, 22, 24
LN2 = np.log(2)

TEXT = "the bear is in the wood. the cat is at home. " * 12
TASKS = {
    **lj.TASKS,
    # With fewer symbols than in the paper, so that all of them are drawn often.
    "long_time_lag_2a": long_time_lag.long_time_lag_2a(p=24),
    "long_time_lag_2b": long_time_lag.long_time_lag_2b(p=12),
    "long_time_lag_2c": long_time_lag_2c(5),
    "character_language": character_language(TEXT),
}

ONE_OF_EACH_KIND = ("adding", "two_sequence_3c", "embedded_reber", "anbn")
EAGER = [
    name if name in ONE_OF_EACH_KIND else pytest.param(name, marks=pytest.mark.slow)
    for name in TASKS
]

every_task = pytest.mark.parametrize("name", TASKS)


def lengths_of(name):
    """(max_length, length); digits have 64 pixels, no more and no fewer."""
    return (64, 64) if name.endswith("digits") else (MAX_LENGTH, LENGTH)


@cache
def jitted_sampler(name):
    """The length is traced, so that all of them share a compilation."""
    return jax.jit(TASKS[name].sample, static_argnums=(1, 2))


@cache
def many(name):
    """A large batch, shorter than its array."""
    max_length, length = lengths_of(name)
    return jitted_sampler(name)(jax.random.key(0), MANY, max_length, length)


class Scores(NamedTuple):
    loss: Any
    accuracy: Any
    correct: Any


@cache
def jitted_scores(name):
    task = TASKS[name]

    @jax.jit
    def scores(outputs, batch):
        assert task.correct is not None
        return Scores(
            loss=task.loss(outputs, batch),
            accuracy=task.accuracy(outputs, batch),
            correct=task.correct(outputs, batch),
        )

    return scores


def asked_shape(name, batch):
    return batch.lengths.shape if is_last(name) else batch.inputs.shape[:2]


def is_last(name):
    return TASKS[name].answers == "last_step"


def assert_close_share(count, trials, probability):
    """Within five standard errors: a right program fails once in a million."""
    error = np.sqrt(probability * (1 - probability) / trials)
    assert abs(count / trials - probability) < 5 * error


# ---------------------------------------------------------------------------
# The contract
# ---------------------------------------------------------------------------


def test_the_table_has_the_tasks_that_were_promised():
    assert set(lj.TASKS) == {
        "nature_show", "adding", "adding_1997", "multiplication", "temporal_order",
        "temporal_order_3", "temporal_order_pascanu", "long_time_lag_2a",
        "long_time_lag_2b", "long_time_lag_2c", "two_sequence_3a", "two_sequence_3b",
        "two_sequence_3c", "embedded_reber", "continual_embedded_reber", "copy_memory",
        "copy_memory_variable", "delayed_xor", "latch", "parity", "even_pairs", "anbn",
        "anbncn", "sequential_digits", "permuted_digits",
    }  # fmt: skip
    assert all(task.name == name for name, task in lj.TASKS.items())


@every_task
def test_a_batch_has_the_shapes_and_types_of_the_contract(name):
    task, batch, (max_length, length) = TASKS[name], many(name), lengths_of(name)
    asked = asked_shape(name, batch)
    assert batch.inputs.shape == (max_length, MANY, task.input_size)
    assert batch.weights.shape == asked
    assert batch.targets.shape[: len(asked)] == asked
    assert batch.lengths.shape == (MANY,)
    assert batch.inputs.dtype == batch.weights.dtype == jnp.float32
    assert batch.targets.dtype in (jnp.float32, jnp.int32)
    assert batch.lengths.dtype == jnp.int32
    assert np.all((batch.lengths >= 1) & (batch.lengths <= length))
    assert np.all(np.sum(np.asarray(batch.weights) > 0) >= MANY)


@every_task
def test_double_precision_elsewhere_changes_no_dtype_and_is_understood(name, x64):
    task, (max_length, _) = TASKS[name], lengths_of(name)
    assert task.correct is not None
    batch = jax.eval_shape(lambda: task.sample(jax.random.key(0), 4, max_length))
    assert batch.inputs.dtype == jnp.float32
    assert batch.lengths.dtype == jnp.int32
    shape = (*asked_shape(name, batch), task.output_size)
    outputs = jax.ShapeDtypeStruct(shape, jnp.float64)
    assert jax.eval_shape(task.loss, outputs, batch).dtype == jnp.float64
    jax.eval_shape(task.accuracy, outputs, batch)
    jax.eval_shape(task.correct, outputs, batch)


@pytest.mark.parametrize("name", EAGER)
def test_eager_with_a_number_for_a_length_draws_what_jit_draws_with_a_traced_one(name):
    max_length, length = lengths_of(name)
    eager = TASKS[name].sample(jax.random.key(0), MANY, max_length, length)
    for ours, theirs in zip(many(name), eager, strict=True):
        # Rounding only: jit fuses what eager computes step by step.
        assert_allclose(ours, theirs, atol=1e-6)


@every_task
def test_one_key_one_batch_and_another_key_another(name):
    max_length, length = lengths_of(name)
    again = jitted_sampler(name)(jax.random.key(0), MANY, max_length, length)
    jax.tree.map(assert_array_equal, many(name), again)
    other = jitted_sampler(name)(jax.random.key(1), MANY, max_length, length)
    assert np.any(np.asarray(other.inputs) != np.asarray(again.inputs))
    assert np.any(np.asarray(other.targets) != np.asarray(again.targets))


@every_task
def test_a_traced_length_is_clipped_to_what_is_allowed(name):
    max_length, _ = lengths_of(name)
    whole = jitted_sampler(name)(jax.random.key(0), MANY, max_length, max_length)
    beyond = jitted_sampler(name)(jax.random.key(0), MANY, max_length, 10**6)
    jax.tree.map(assert_array_equal, whole, beyond)
    below = jitted_sampler(name)(jax.random.key(0), MANY, max_length, -5)
    assert np.all((below.lengths >= 1) & (below.lengths <= max_length))


@every_task
def test_the_padding_is_zero_and_is_never_asked_for(name):
    batch = jax.tree.map(np.asarray, many(name))
    padding = np.arange(len(batch.inputs))[:, None] >= batch.lengths
    assert not batch.inputs[padding].any()
    if not is_last(name):
        assert not batch.weights[padding].any()
        assert not batch.targets[padding].any()


@every_task
def test_what_stands_in_the_padding_does_not_matter(name, key):
    task, batch = TASKS[name], many(name)
    shape = (*asked_shape(name, batch), task.output_size)
    outputs = jax.random.normal(key, shape)
    padding = jnp.arange(len(batch.inputs))[:, None] >= batch.lengths
    garbage = jnp.where(padding[..., None], jnp.nan, batch.inputs)
    not_asked = batch.weights[..., None] == 0
    wrong = jnp.where(not_asked, jnp.nan, outputs)
    scores = jitted_scores(name)
    wanted = scores(outputs, batch)
    found = scores(wrong, batch._replace(inputs=garbage))
    jax.tree.map(assert_array_equal, wanted, found)
    assert np.isfinite(wanted.loss) and 0 <= wanted.accuracy <= 1
    assert wanted.correct.shape == (MANY,) and wanted.correct.dtype == jnp.bool_


@every_task
def test_a_task_can_be_static_and_has_numbers_to_compare_with(name):
    task, (_, length) = TASKS[name], lengths_of(name)
    assert hash(task) == hash(task) and jax.tree.leaves(task) == []
    levels = [task.floor(length), *task.plateaus(length).values()]
    assert all(type(level) is float or np.isscalar(level) for level in levels)
    assert np.all(np.isfinite(levels)) and min(levels) >= 0
    # Who knows more loses less; the frequencies of a text know less than the floor.
    if name != "character_language":
        assert levels == sorted(levels, reverse=True)


@every_task
@pytest.mark.parametrize("split", ["sample", "sample_test"])
def test_what_cannot_be_drawn_is_refused_in_one_line(name, split, key):
    sample, (max_length, _) = getattr(TASKS[name], split), lengths_of(name)
    for arguments, message in {
        (0, max_length): r"batch_size: got 0; it must be at least 1",
        (4, 0): r"max_length: got 0; it must be (at least|in|64)",
        (4, max_length, 0): r"length: got 0; it must be (in \[\d+, \d+\]|64)",
        (4, max_length, 10**6): r"length: got 1000000; it must be (in \[\d+, |64)",
    }.items():
        with pytest.raises(ValueError, match=f"^{message}[^\n]*$"):
            sample(key, *arguments)


# ---------------------------------------------------------------------------
# The answers follow from the inputs, by the story that the docstring tells
# ---------------------------------------------------------------------------


def symbols_in(alphabet):
    """Reads one-hot inputs (steps, symbols) as a string."""

    def read(inputs):
        assert_array_equal(np.sort(inputs, axis=-1)[:, :-1], 0)
        assert_array_equal(inputs.max(-1), 1)
        return "".join(alphabet[k] for k in inputs.argmax(-1))

    return read


def marked_1997(inputs):
    """The numbers marked 1; fewer than two where the first pair was marked."""
    marks = inputs[:, 1]
    assert marks[0] == marks[-1] == -1 and set(marks[1:-1]) <= {0, 1}
    numbers = inputs[marks == 1, 0]
    assert len(numbers) in (1, 2)
    return numbers


def answer_adding(inputs):
    numbers, marks = inputs.T
    assert set(marks) <= {0, 1}
    first, second = np.flatnonzero(marks)
    assert first < len(marks) // 2 <= second
    return numbers[first] + numbers[second]


def answer_temporal_order(inputs):
    shown = symbols_in(SYMBOLS)(inputs)
    assert re.fullmatch(r"E[abcdXY]+B", shown)
    ordered = re.sub(r"[^XY]", "", shown)
    return int(ordered.replace("X", "0").replace("Y", "1"), 2)


def answer_temporal_order_pascanu(inputs):
    shown = symbols_in(temporal_order_pascanu.SYMBOLS)(inputs)
    order = re.sub(r"[c-f]", "", shown)
    return ["AA", "AB", "BA", "BB"].index(order)


def answer_long_time_lag(inputs):
    shown = inputs.argmax(-1)
    assert shown[0] >= inputs.shape[-1] - 2 > max(shown[1:], default=-1)
    return [*shown[1:], shown[0]]


def answer_long_time_lag_2a(inputs):
    answers = answer_long_time_lag(inputs)
    assert_array_equal(answers[:-1], np.arange(len(inputs) - 1))
    return answers


def answer_long_time_lag_2c(inputs):
    size = inputs.shape[-1]
    shown = "".join("a" if k < size - 4 else "bexy"[k - size] for k in
                    np.argmax(inputs, -1))  # fmt: skip
    assert re.fullmatch(r"b[xy]a+e", shown)
    return "xy".index(shown[1])


AFTER_X = "((XT*VP)*(S|XT*VV))"
REBER = f"B(TS*X{AFTER_X}|PT*V(V|P{AFTER_X}))E"
STRING = f"(BT{REBER}TE|BP{REBER}PE)"


def answer_embedded_reber(inputs):
    shown = symbols_in(ALPHABET)(inputs)
    assert re.fullmatch(STRING, shown + "E")
    return [ALPHABET.index(s) for s in shown[1:] + "E"]


def answer_copy(inputs, num_items=10):
    shown, blank = inputs.argmax(-1), inputs.shape[-1] - 2
    items, rest = shown[:num_items], shown[num_items:]
    assert np.all(items < blank)
    assert np.all(rest[: -num_items - 1] == blank)
    assert rest[-num_items - 1] == blank + 1 and np.all(rest[-num_items:] == blank)
    return [*[blank] * (len(shown) - num_items), *items]


def answer_delayed_xor(inputs, delay=10):
    bits = inputs[:, 0].astype(int)
    assert set(bits) <= {0, 1}
    late = bits[delay // 2 : len(bits) - delay // 2] ^ bits[: len(bits) - delay]
    return [*[0] * delay, *late]


def answer_two_sequence(inputs):
    return float(inputs[:3, 0].sum() > 0)


def answer_counting(letters):
    def answer(inputs):
        shown = symbols_in("S" + letters)(inputs)
        n = (len(shown) - 1) // len(letters)
        assert shown == "S" + "".join(letter * n for letter in letters)
        return [(letters + "T").index(s) for s in shown[1:] + "T"]

    return answer


def answer_character(inputs):
    shown = symbols_in(alphabet_of(TEXT))(inputs)
    nexts = {m.end() for m in re.finditer(re.escape(shown), TEXT)} - {len(TEXT)}
    followers = {TEXT[k] for k in nexts}
    assert len(followers) == 1, "a window of this text has one continuation"
    return [alphabet_of(TEXT).index(s)
            for s in shown[1:] + followers.pop()]  # fmt: skip


ANSWERS: dict[str, Callable[[np.ndarray], Any]] = {
    "adding": answer_adding,
    "adding_1997": lambda inputs: 0.5 + marked_1997(inputs).sum() / 4,
    "multiplication": lambda inputs: marked_1997(inputs).prod(),
    "temporal_order": answer_temporal_order,
    "temporal_order_3": answer_temporal_order,
    "temporal_order_pascanu": answer_temporal_order_pascanu,
    "long_time_lag_2a": answer_long_time_lag_2a,
    "long_time_lag_2b": answer_long_time_lag,
    "long_time_lag_2c": answer_long_time_lag_2c,
    "two_sequence_3a": answer_two_sequence,
    "two_sequence_3b": answer_two_sequence,
    "embedded_reber": answer_embedded_reber,
    "copy_memory": answer_copy,
    "copy_memory_variable": answer_copy,
    "delayed_xor": answer_delayed_xor,
    "latch": lambda inputs: 0.8 * np.sign(inputs[0, 0]),
    "parity": lambda inputs: inputs[:, 1].sum() % 2,
    "even_pairs": lambda inputs: (np.diff(inputs[:, 0]) != 0).sum() % 2 == 0,
    "anbn": answer_counting("ab"),
    "anbncn": answer_counting("abc"),
    "character_language": answer_character,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answers_follow_from_the_inputs(name):
    batch = jax.tree.map(np.asarray, many(name))
    for k in range(300):
        wanted = ANSWERS[name](batch.inputs[: batch.lengths[k], k])
        found = batch.targets[..., k]
        if not is_last(name):
            found = found[: batch.lengths[k]]
        assert_allclose(found, wanted, atol=1e-6)


def one_hot(shown, alphabet):
    return np.eye(len(alphabet))[[alphabet.index(s) for s in shown]]


def marks_and(numbers, marks):
    return np.stack([numbers, marks], axis=-1)


REBER_LETTERS = ALPHABET
NUMBERS_1997 = [0.5, -0.25, 0.5, 1.0, 0.75, 0.0]
LAG_4 = ["a1", "a2", "a3", "x", "y"]
LAG_2C = ["a1", "a2", "a3", "b", "e", "x", "y"]
EXAMPLES: dict[str, tuple[Any, str, Any, Any]] = {
    "adding": (
        adding,
        "0    1     0     0    1    0        -> 0.25 + 0.5 = 0.75",
        answer_adding(marks_and([0.5, 0.25, 0.75, 1, 0.5, 0.125], [0, 1, 0, 0, 1, 0])),
        0.75,
    ),
    "adding_1997": (
        adding_1997,
        "-> 0.5 + (-0.25 + 0.5) / 4 = 0.5625",
        ANSWERS["adding_1997"](marks_and(NUMBERS_1997, [-1, 1, 1, 0, 0, -1])),
        0.5625,
    ),
    "multiplication": (
        adding_1997,
        "marks at steps 2 and 3: 0.5 * 1.0 = 0.5",
        ANSWERS["multiplication"](marks_and(NUMBERS_1997, [-1, 0, 1, 1, 0, -1])),
        0.5,
    ),
    "temporal_order": (
        temporal_order,
        "E a c X d b Y a B  -> XY, class 1",
        answer_temporal_order(one_hot("EacXdbYaB", SYMBOLS)),
        1,
    ),
    "temporal_order_pascanu": (
        temporal_order_pascanu,
        "L = 10:  c A e d f B d c c f  -> AB, class 1",
        answer_temporal_order_pascanu(
            one_hot("cAedfBdccf", temporal_order_pascanu.SYMBOLS)
        ),
        1,
    ),
    "long_time_lag_2a": (
        long_time_lag,
        "shown  y a1 a2 a3    asked  a1 a2 a3 y",
        answer_long_time_lag_2a(one_hot(["y", "a1", "a2", "a3"], LAG_4)),
        [0, 1, 2, 4],
    ),
    "long_time_lag_2b": (
        long_time_lag,
        "shown  x a3 a1 a3    asked  a3 a1 a3 x",
        answer_long_time_lag(one_hot(["x", "a3", "a1", "a3"], LAG_4)),
        [2, 0, 2, 3],
    ),
    "long_time_lag_2c": (
        long_time_lag_2c,
        "b y a3 a1 a1 e  -> y, class 1",
        answer_long_time_lag_2c(one_hot(["b", "y", "a3", "a1", "a1", "e"], LAG_2C)),
        1,
    ),
    "two_sequence_3a": (
        two_sequence,
        "1 1 1 0.3 -0.6 0.1 0.4  -> 1",
        answer_two_sequence(np.array([[1], [1], [1], [0.3], [-0.6], [0.1], [0.4]])),
        1,
    ),
    "embedded_reber": (
        embedded_reber,
        "shown            B T B P V V E T\n    asked            T B P V V E T E",
        answer_embedded_reber(one_hot("BTBPVVET", REBER_LETTERS)),
        [REBER_LETTERS.index(s) for s in "TBPVVETE"],
    ),
    "copy_memory": (
        copy_memory,
        "shown  a c - - ! - -\n    asked  - - - - - a c",
        answer_copy(one_hot("ac--!--", "abc-!"), num_items=2),
        [3, 3, 3, 3, 3, 0, 2],
    ),
    "delayed_xor": (
        delayed_xor,
        "x        1  0  0  1  1\n    asked    -  -  1  0  1",
        answer_delayed_xor(np.array([[1], [0], [0], [1], [1]]), delay=2),
        [0, 0, 1, 0, 1],
    ),
    "latch": (
        latch,
        "1 1 1 0.1 -0.3 0.2  -> 0.8",
        ANSWERS["latch"](np.array([[1], [1], [1], [0.1], [-0.3], [0.2]])),
        0.8,
    ),
    "parity": (
        parity,
        "1 0 1 1  -> odd, class 1",
        ANSWERS["parity"](one_hot("1011", "01")),
        1,
    ),
    "even_pairs": (
        even_pairs,
        "a a b b a  -> ab once, ba once: even, class 1",
        ANSWERS["even_pairs"](one_hot("aabba", "ab")),
        1,
    ),
    "anbn": (
        counting,
        "shown  S a a b b    asked  a a b b T",
        answer_counting("ab")(one_hot("Saabb", "Sab")),
        [0, 0, 1, 1, 2],
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_worked_example_of_the_docstring_is_right(name):
    module, line, found, wanted = EXAMPLES[name]
    assert line in (inspect.getmodule(module).__doc__ or "")
    assert_allclose(found, wanted)


def test_the_worked_example_of_the_digits_is_the_first_image():
    pixels, labels = load_digits(return_X_y=True)
    assert digits.__doc__ is not None
    assert "0/16 0/16 5/16 13/16 9/16 ...  -> the first image of the set, a 0" in (
        digits.__doc__
    )
    assert_array_equal(pixels[0, :5], [0, 0, 5, 13, 9])
    assert labels[0] == 0


def test_the_worked_example_of_the_text_is_right():
    task = character_language("abracadabra", held_out=0.4)
    assert task.input_size == task.output_size == 5
    draw = jax.jit(task.sample, static_argnums=(1, 2))
    batch = draw(jax.random.key(0), 40, 3)
    windows = {
        ("".join("abcdr"[k] for k in shown), "".join("abcdr"[k] for k in asked))
        for shown, asked in zip(
            np.argmax(batch.inputs, -1).T, np.asarray(batch.targets).T, strict=True
        )
    }
    # All windows of the first 7 characters, "abracad".
    wanted = [("abr", "bra"), ("bra", "rac"), ("rac", "aca"), ("aca", "cad")]
    assert windows == set(wanted)
    held_out = task.sample_test(jax.random.key(0), 4, 3)
    assert "".join("abcdr"[k] for k in np.argmax(held_out.inputs, -1)[:, 0]) == "abr"


# ---------------------------------------------------------------------------
# Distributions
# ---------------------------------------------------------------------------


def test_110_steps_are_the_papers_100():
    from lstm_jax.tasks.sampling import nominal_length

    assert [nominal_length(n) for n in (110, 550, 1100, 11, 10)] == [
        100, 500, 1000, 10, 10,
    ]  # fmt: skip
    assert all(n <= 1.1 * nominal_length(n) for n in range(1, 2_000))


def test_symbols_of_temporal_order_lie_where_the_paper_puts_them():
    sample = jax.jit(lj.TASKS["temporal_order_3"].sample, static_argnums=(1, 2))
    shown = np.argmax(sample(jax.random.key(0), 2_000, 110).inputs, -1)
    where = np.array([np.flatnonzero(sequence >= 6) for sequence in shown.T])
    assert_array_equal(where.min(0), [10, 33, 66])
    assert_array_equal(where.max(0), [20, 43, 76])


@pytest.mark.parametrize(
    ("length", "first", "second"),
    [(10, [1, 1], [5, 5]), (50, [5, 9], [25, 29]), (59, [5, 9], [29, 33])],
)
def test_symbols_lie_where_the_code_of_pascanu_puts_them(length, first, second):
    sample = jitted_sampler("temporal_order_pascanu")
    batch = sample(jax.random.key(0), MANY, 60, length)
    assert np.all(batch.lengths == length)
    shown = np.argmax(batch.inputs[:length], -1)
    where = np.array([np.flatnonzero(sequence < 2) for sequence in shown.T])
    assert_array_equal(where.min(0), [first[0], second[0]])
    assert_array_equal(where.max(0), [first[1], second[1]])
    for symbol in range(2, 6):
        share = (length - 2) / length / 4
        assert_close_share(np.sum(shown == symbol), shown.size, share)


def test_embedded_reber_strings_have_12_symbols_on_average_and_at_least_9():
    strings = drawn_strings()
    lengths = np.asarray(strings.lengths) + 1
    assert lengths.min() == 9
    # The standard deviation is 3.6.
    assert_allclose(lengths.mean(), 12, atol=5 * 3.6 / np.sqrt(MANY))
    limited = np.asarray(many("embedded_reber").lengths)
    assert limited.max() == LENGTH


@cache
def drawn_strings():
    sample = jax.jit(lj.TASKS["embedded_reber"].sample, static_argnums=(1, 2))
    return sample(jax.random.key(2), MANY, 79)


def test_the_stream_of_reber_strings_never_stops():
    batch = many("continual_embedded_reber")
    read = symbols_in(REBER_LETTERS)
    for k in range(100):
        shown = read(np.asarray(batch.inputs)[:LENGTH, k])
        asked = REBER_LETTERS[int(batch.targets[LENGTH - 1, k])]
        begun = re.match(f"{STRING}*", shown + asked)
        assert begun is not None
        # The rest is the beginning of a string: one of them continues it.
        rest = (shown + asked)[begun.end() :]
        assert len(rest) < 9 or rest[:2] in ("BT", "BP")
        assert len(shown) == LENGTH
    assert_array_equal(np.asarray(batch.weights)[:LENGTH], 1)


def test_outer_symbols_are_those_before_the_last_e():
    batch = many("embedded_reber")
    wanted = np.arange(MAX_LENGTH)[:, None] == np.asarray(batch.lengths) - 2
    assert_array_equal(is_outer(batch), wanted)


def test_digits_of_the_test_are_never_drawn_in_training():
    train, test = (digits.digit_images(split) for split in ("train", "test"))
    pixels, labels = load_digits(return_X_y=True)
    both = np.concatenate([train.pixels, test.pixels])
    assert_array_equal(np.sort(both, axis=0), np.sort(pixels / 16, axis=0))
    shown = {row.tobytes() for row in train.pixels}
    assert not shown & {row.tobytes() for row in test.pixels}
    assert_array_equal(
        np.bincount(test.digits), [(n + 0) // 5 for n in np.bincount(labels)]
    )
    for task in ("sequential_digits", "permuted_digits"):
        order = digits.pixel_order(None if task == "sequential_digits" else 0)
        for split, images in (("sample", train), ("sample_test", test)):
            by_pixels = {
                row[order].tobytes(): digit
                for row, digit in zip(images.pixels, images.digits, strict=True)
            }
            batch = getattr(lj.TASKS[task], split)(jax.random.key(0), 50, 64)
            rows = np.ascontiguousarray(np.asarray(batch.inputs)[..., 0].T)
            drawn = [by_pixels[row.tobytes()] for row in rows]
            assert_array_equal(drawn, batch.targets)
    assert sorted(digits.pixel_order(0)) == list(range(64))


# ---------------------------------------------------------------------------
# Floors and plateaus: predictors that are told a part, fitted on a large sample
# ---------------------------------------------------------------------------


def fitted_loss(name, known, batch=None):
    """The loss of the best predictor that knows one integer at each answer."""
    task, batch = TASKS[name], many(name) if batch is None else batch
    known = np.broadcast_to(known, batch.weights.shape)
    _, known = np.unique(known, return_inverse=True)
    asked = np.asarray(batch.weights) > 0
    known = known.reshape(asked.shape)
    counts = np.zeros((known.max() + 1, task.output_size))
    np.add.at(counts, (known[asked], np.asarray(batch.targets)[asked]), 1)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    logits = np.log(np.maximum(shares, 1e-30)).astype(np.float32)
    return jitted_scores(name)(logits[known], batch).loss


def regressed_loss(name, *known):
    """The mean squared error of the best linear predictor from numbers (batch,)."""
    batch = many(name)
    features = np.stack([np.ones(MANY), *known], axis=-1)
    targets = np.asarray(batch.targets, np.float64).reshape(MANY, -1)[:, 0]
    weights, *_ = np.linalg.lstsq(features, targets, rcond=None)
    outputs = (features @ weights).astype(np.float32)[:, None]
    return jitted_scores(name)(outputs, batch).loss


def current(name):
    """The symbol at each answer: now, or at the last step."""
    batch = many(name)
    symbols = np.argmax(batch.inputs, -1)
    if is_last(name):
        return symbols[np.asarray(batch.lengths) - 1, np.arange(MANY)]
    return symbols


def step():
    return np.arange(MAX_LENGTH)[:, None]


def at_last(name):
    return step() == np.asarray(many(name).lengths) - 1


NUMBERS = ["adding", "adding_1997", "multiplication", "two_sequence_3a",
           "two_sequence_3b", "two_sequence_3c", "latch"]  # fmt: skip
BY_CURRENT_SYMBOL = ["temporal_order", "temporal_order_3", "temporal_order_pascanu",
                     "long_time_lag_2a", "long_time_lag_2b", "long_time_lag_2c",
                     "embedded_reber", "continual_embedded_reber", "parity",
                     "even_pairs", "anbn", "anbncn"]  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
def test_who_answers_with_the_mean_loses_the_floor(name):
    assert_allclose(regressed_loss(name), TASKS[name].floor(LENGTH), rtol=0.05)


@pytest.mark.parametrize("name", BY_CURRENT_SYMBOL)
def test_who_sees_the_current_symbol_alone_loses_the_floor(name):
    floor = TASKS[name].floor(LENGTH)
    assert_allclose(fitted_loss(name, current(name)), floor, rtol=0.01)


def test_who_sees_the_current_bit_alone_loses_the_floor_of_delayed_xor():
    bits = np.asarray(many("delayed_xor").inputs)[..., 0].astype(int)
    assert_allclose(fitted_loss("delayed_xor", bits), LN2, rtol=1e-3)
    assert TASKS["delayed_xor"].floor(100) == LN2


@pytest.mark.parametrize("name", ["copy_memory", "copy_memory_variable"])
def test_who_knows_when_but_not_what_loses_the_floor_of_copy(name):
    recall = is_recall(many(name), 10)
    assert_allclose(fitted_loss(name, recall), TASKS[name].floor(LENGTH), rtol=0.005)


def test_the_floors_of_copy_are_the_published_ones():
    for delay, wanted in {
        100: 0.173287, 200: 0.094520, 300: 0.064983, 500: 0.039989, 1000: 0.020387,
        2000: 0.010294,
    }.items():  # fmt: skip
        assert_allclose(lj.TASKS["copy_memory"].floor(delay + 20), wanted, atol=5e-7)


@pytest.mark.parametrize("name", ["sequential_digits", "permuted_digits"])
def test_the_floor_of_the_digits_is_what_the_last_pixel_tells(name):
    task, train = TASKS[name], digits.digit_images("train")
    order = digits.pixel_order(None if name == "sequential_digits" else 0)
    every_image = lj.Batch(
        inputs=jnp.asarray(train.pixels[:, order].T[..., None]),
        targets=jnp.asarray(train.digits),
        weights=jnp.ones(len(train.digits)),
        lengths=jnp.full(len(train.digits), 64),
    )
    shade = (16 * train.pixels[:, order[-1]]).astype(int)
    loss = fitted_loss(name, shade, every_image)
    assert_allclose(loss, task.floor(64), rtol=1e-5)
    assert task.floor(64) < np.log(10)


def test_the_floor_of_a_text_is_what_the_last_character_tells():
    task = TASKS["character_language"]
    symbols = np.argmax(many("character_language").inputs, -1)
    loss = fitted_loss("character_language", symbols)
    assert_allclose(loss, task.floor(LENGTH), rtol=0.03)
    blind = fitted_loss("character_language", 0)
    plateau = task.plateaus(LENGTH)["frequencies only"]
    assert_allclose(blind, plateau, rtol=0.03)


def first_marked(name):
    """The number that is marked first."""
    inputs = np.asarray(many(name).inputs)
    where = (inputs[..., 1] == 1).argmax(0)
    return inputs[where, np.arange(MANY), 0]


def test_who_knows_one_of_two_numbers_sits_on_one_twelfth():
    loss = regressed_loss("adding", first_marked("adding"))
    plateaus = TASKS["adding"].plateaus(LENGTH)
    assert plateaus == {"one of two numbers": 1 / 12}
    assert_allclose(loss, 1 / 12, rtol=0.05)


@pytest.mark.parametrize("name", ["adding_1997", "multiplication"])
def test_who_knows_x1_sits_on_the_plateau_of_1997(name):
    first, second = marked_steps()
    numbers = np.asarray(many(name).inputs)[..., 0]
    x1 = numbers[first, np.arange(MANY)]
    is_neutral = first == 0
    (plateau,) = TASKS[name].plateaus(LENGTH).values()
    assert_allclose(regressed_loss(name, x1, is_neutral), plateau, rtol=0.05)
    assert not np.any(first == second)


@cache
def marked_steps():
    """Which steps the marks of `many` are at: what a sequence does not tell."""
    _, key_marks, _ = jax.random.split(jax.random.key(0), 3)
    length = jnp.asarray(LENGTH, jnp.int32)
    return [np.asarray(s) for s in adding_1997._marked_steps(key_marks, MANY, length)]


def test_numbers_that_are_never_neutral_have_the_floors_of_the_books(monkeypatch):
    monkeypatch.setattr(adding_1997, "chances_of_neutral", lambda length: (0.0, 0.0))
    assert_allclose(adding_1997.sum_floor(110), 1 / 24)
    assert_allclose(adding_1997.product_floor(110), 7 / 144)
    for plateaus, wanted in (
        (adding_1997.sum_plateaus, 1 / 48),
        (adding_1997.product_plateaus, 1 / 36),
    ):
        assert_allclose(list(plateaus(110).values()), wanted)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("temporal_order", 1),
        ("temporal_order_3", 1),
        ("temporal_order_3", 2),
        ("temporal_order_pascanu", 1),
    ],
)
def test_who_knows_some_of_the_symbols_sits_on_a_plateau(name, known):
    num_symbols = 3 if name.endswith("3") else 2
    told = np.asarray(many(name).targets) // 2 ** (num_symbols - known)
    plateau = TASKS[name].plateaus(LENGTH)[f"{known} of {num_symbols} symbols"]
    assert_allclose(plateau, (num_symbols - known) * LN2)
    assert_allclose(TASKS[name].floor(LENGTH), num_symbols * LN2)
    assert_allclose(fitted_loss(name, told), plateau, rtol=0.01)


def test_who_foresees_the_end_of_2b_sits_on_the_plateau():
    name, symbols = "long_time_lag_2b", np.argmax(many("long_time_lag_2b").inputs, -1)
    plateaus = TASKS[name].plateaus(LENGTH)
    end = fitted_loss(name, at_last(name))
    assert_allclose(end, plateaus["which step is the last"], rtol=1e-3)
    everything = fitted_loss(name, np.where(at_last(name), 1 + symbols[0], 0))
    assert_allclose(everything, plateaus["everything"], rtol=1e-3)
    assert_allclose(plateaus["everything"], 21 / 22 * np.log(11))


def test_the_best_of_3b_and_3c_is_the_conditional_mean():
    batch = many("two_sequence_3b")
    evidence = 2 * batch.inputs[:3, :, 0].sum(0) / 0.2
    loss = TASKS["two_sequence_3b"].loss(jax.nn.sigmoid(evidence)[:, None], batch)
    best = TASKS["two_sequence_3b"].plateaus(LENGTH)["everything"]
    assert 0 < best < 1e-4 and loss < 1e-3
    # With one number instead of three, errors are frequent enough to be counted.
    task = two_sequence("3b", num_informative=1)
    one = batch._replace(inputs=batch.inputs[:1])
    guess = jax.nn.sigmoid(2 * one.inputs[0] / 0.2)
    best = task.plateaus(LENGTH)["everything"]
    assert_allclose(task.loss(guess, one), best, rtol=0.3)
    noisy = regressed_loss("two_sequence_3c", many("two_sequence_3c").targets[:, 1])
    best = TASKS["two_sequence_3c"].plateaus(LENGTH)["everything"]
    assert_allclose(noisy, best, rtol=0.05)


def test_the_long_memory_of_a_reber_string_is_worth_ln_2():
    batch = drawn_strings()
    states = grammar.states_after(EMBEDDED, symbols_of(batch))
    task, states = TASKS["embedded_reber"], np.asarray(states)
    forgetful = np.where((states >= 10) & (states < 18), states - 8, states)
    all_known = fitted_loss("embedded_reber", states, batch)
    without = fitted_loss("embedded_reber", forgetful, batch)
    assert_allclose(all_known, 7 * LN2 / 11, rtol=0.005)
    assert_allclose(without, 8 * LN2 / 11, rtol=0.005)
    per_string = 11 * np.array(list(task.plateaus(400).values()))
    assert_allclose(per_string, [5.545177, 4.852030], atol=1e-6)


def test_who_knows_the_grammar_sits_on_the_plateaus_of_the_stream():
    batch = many("continual_embedded_reber")
    states = np.asarray(grammar.states_after(CONTINUAL, symbols_of(batch)))
    forgetful = np.where((states >= 10) & (states < 18), states - 8, states)
    wanted = TASKS["continual_embedded_reber"].plateaus(LENGTH).values()
    found = [fitted_loss("continual_embedded_reber", known)
             for known in (forgetful, states)]  # fmt: skip
    assert_allclose(found, list(wanted), rtol=0.01)


@pytest.mark.parametrize("name", ["anbn", "anbncn"])
def test_who_counts_loses_ln_n_a_string(name):
    letters = 2 if name == "anbn" else 3
    n = (np.asarray(many(name).lengths) - 1) // letters
    largest = (LENGTH - 1) // letters
    # After the a, all is known; among the a, how many there were so far.
    known = np.where(step() <= n, step(), 1_000 * n + step())
    (plateau,) = TASKS[name].plateaus(LENGTH).values()
    assert_allclose(plateau, np.log(largest) / (1 + letters * (largest + 1) / 2))
    assert_allclose(fitted_loss(name, known), plateau, rtol=0.02)


def test_one_bit_of_an_xor_and_all_bits_but_one_of_a_parity_are_worth_nothing():
    bits = np.asarray(many("delayed_xor").inputs)[..., 0].astype(int)
    assert_allclose(fitted_loss("delayed_xor", np.roll(bits, 5, 0)), LN2, rtol=0.01)
    assert TASKS["delayed_xor"].plateaus(LENGTH) == {"one of two bits": LN2}
    ones = np.asarray(many("parity").inputs)[1:, :, 1].sum(0) % 2
    assert_allclose(fitted_loss("parity", ones), LN2, rtol=0.01)
    assert TASKS["parity"].plateaus(LENGTH) == {"all bits but one": LN2}
    assert lj.TASKS["parity"].floor(1) == lj.TASKS["even_pairs"].floor(1) == 0


# ---------------------------------------------------------------------------
# Criteria and scores
# ---------------------------------------------------------------------------


def perfect(name, sureness=50.0):
    """Logits that give every asked class nearly all, or the numbers themselves."""
    task, batch = TASKS[name], many(name)
    if jnp.issubdtype(batch.targets.dtype, jnp.floating):
        targets = batch.targets if batch.targets.ndim == 1 else batch.targets[:, 1]
        return targets[:, None]
    return sureness * (2 * jax.nn.one_hot(batch.targets, task.output_size) - 1)


@every_task
def test_who_answers_right_is_right_and_who_does_not_is_not(name):
    task, outputs = TASKS[name], perfect(name)
    if task.name == "embedded_reber" or "reber" in name or name.startswith("anb"):
        outputs = legal_outputs(name)
    _, accuracy, correct = jitted_scores(name)(outputs, many(name))
    assert accuracy == 1 and np.all(correct)
    opposite = -outputs if name == "latch" else -outputs - 1
    wrong = jitted_scores(name)(opposite, many(name))
    assert not np.any(wrong.correct)


def legal_outputs(name):
    """50 for each symbol that may follow, -50 for the others; the asked one leads."""
    batch, size = many(name), TASKS[name].output_size
    asked = jax.nn.one_hot(batch.targets, size, dtype=jnp.bool_)
    if name.startswith("anb"):
        after_a = jnp.argmax(batch.inputs, -1)[..., None] == 1
        legal = jnp.where(after_a, jnp.arange(size) < 2, asked)
    else:
        which = EMBEDDED
        if name.startswith("continual"):
            which = CONTINUAL
        legal = grammar.legal_next(which, symbols_of(batch))
    return jnp.where(legal, 50.0, -50.0)


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("adding", 0.2), ("adding_1997", 0.04), ("multiplication", 0.04),
     ("two_sequence_3a", 0.2), ("two_sequence_3b", 0.2), ("two_sequence_3c", 0.1)],
)  # fmt: skip
def test_numbers_are_right_within_the_papers_tolerance(name, tolerance):
    for sign in (-1, 1):
        inside = perfect(name) + sign * (tolerance - 1e-4)
        outside = perfect(name) + sign * (tolerance + 1e-4)
        assert np.all(jitted_scores(name)(inside, many(name)).correct)
        assert not np.any(jitted_scores(name)(outside, many(name)).correct)


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("temporal_order", 0.3), ("long_time_lag_2a", 0.25), ("long_time_lag_2b", 0.25),
     ("long_time_lag_2c", 0.2)],
)  # fmt: skip
def test_classes_are_right_within_the_papers_tolerance(name, tolerance):
    batch, size = many(name), TASKS[name].output_size
    asked = jax.nn.one_hot(batch.targets, size)
    for error, wanted in ((tolerance - 0.01, True), (tolerance + 0.01, False)):
        # One other class gets all that the right one lacks.
        shares = (1 - error) * asked + error * jnp.roll(asked, 1, axis=-1)
        outputs = jnp.log(shares + 1e-9)
        assert_array_equal(jitted_scores(name)(outputs, batch).correct, wanted)


def test_one_wrong_prediction_spoils_a_sequence_only_where_the_paper_says_so():
    for name, spoilt in (("long_time_lag_2a", True), ("long_time_lag_2b", False)):
        outputs = perfect(name)
        outputs = outputs.at[4].set(-outputs[4])
        _, accuracy, correct = jitted_scores(name)(outputs, many(name))
        assert accuracy == 1 and np.all(correct) == (not spoilt)
        last = perfect(name).at[LENGTH - 1].multiply(-1)
        _, accuracy, correct = jitted_scores(name)(last, many(name))
        assert accuracy == 0 and not np.any(correct)


def test_a_reber_string_is_wrong_when_a_legal_symbol_is_too_weak():
    outputs, batch = legal_outputs("embedded_reber"), many("embedded_reber")
    # After B T B both T and P are legal.
    weak = outputs.at[2, 0, REBER_LETTERS.index("P")].set(-51.0)
    _, accuracy, correct = jitted_scores("embedded_reber")(weak, batch)
    assert_array_equal(np.flatnonzero(~np.asarray(correct)), [0])
    assert accuracy == 1


def test_losses_count_what_is_asked_by_its_weight(key):
    outputs = jax.random.normal(key, (3, 2, 4))
    targets = jnp.array([[0, 3], [1, 1], [2, 0]])
    weights = jnp.array([[1.0, 0.5], [0.0, 2.0], [0.0, 0.0]])
    batch = lj.Batch(jnp.zeros((3, 2, 1)), targets, weights, jnp.array([3, 2]))
    z = np.asarray(outputs, np.float64)
    log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
    each = -np.take_along_axis(log_p, np.asarray(targets)[..., None], -1)[..., 0]
    wanted = (each * weights).sum() / np.sum(weights)
    assert_allclose(losses.cross_entropy(outputs, batch), wanted, rtol=1e-6)
    each = (1 / (1 + np.exp(-z)) - np.eye(4)[targets]) ** 2
    wanted = (each.sum(-1) * weights).sum() / np.sum(weights)
    found = losses.logistic_squared_error(outputs, batch)
    assert_allclose(found, wanted, rtol=1e-6)
    right, asked = z.argmax(-1) == np.asarray(targets), np.asarray(weights) > 0
    assert_array_equal(losses.argmax_right(outputs, batch)[asked], right[asked])
    assert_allclose(losses.accuracy(outputs, batch), right[asked].mean())
    wanted = np.all(right | ~asked, axis=0)
    assert_array_equal(losses.all_right(outputs, batch), wanted)


@pytest.mark.parametrize(
    "loss", [losses.cross_entropy, losses.logistic_squared_error, losses.squared_error]
)
def test_an_answer_that_is_not_asked_for_has_no_gradient(loss, key):
    outputs = jax.random.normal(key, (3, 2, 1 if loss is losses.squared_error else 4))
    weights = jnp.array([[1.0, 0.5], [0.0, 2.0], [0.0, 0.0]])
    targets = jnp.zeros((3, 2), jnp.int32)
    batch = lj.Batch(jnp.zeros((3, 2, 1)), targets, weights, jnp.array([3, 2]))
    gradient = jax.jit(jax.grad(lambda outputs: loss(outputs, batch)))
    garbage = jnp.where(weights[..., None] == 0, jnp.inf, outputs)
    assert_array_equal(gradient(garbage), gradient(outputs))
    touched = np.any(np.asarray(gradient(garbage)) != 0, axis=-1)
    # A softmax or a square over the answers that count.
    assert_array_equal(touched, np.asarray(weights) > 0)


def test_the_loss_of_logistic_units_has_floors_of_its_own():
    batch = many("temporal_order")
    task = temporal_order(units="logistic")
    guess = jnp.full((MANY, 4), jnp.log(1 / 3))  # sigmoid: 1/4
    assert_allclose(task.loss(guess, batch), task.floor(LENGTH), rtol=1e-5)
    assert_allclose(task.floor(LENGTH), 3 / 4)
    assert_allclose(list(task.plateaus(LENGTH).values()), [1 / 2])
    assert answer_units.entropy([0.5, 0.5, 0]) == pytest.approx(LN2)


# ---------------------------------------------------------------------------
# Solutions set by hand: 100 % at any length
# ---------------------------------------------------------------------------


def solved(name, cell, params, readout, batch):
    _, ys = lj.unroll(cell, params, batch.inputs)
    if is_last(name):
        ys = last_step(ys, batch.lengths)
    return linear(readout, ys)


def test_one_counter_solves_anbn(key):
    # n from 1 to 1000.
    batch = lj.TASKS["anbn"].sample(key, 20, 2_001)
    # Units: the count of a minus b, and two that hold no memory, "is S" and "is b".
    shut, opened, size = -100.0, 100.0, 3
    drive = jnp.zeros((3, size)).at[1, 0].set(0.1).at[2, 0].set(-0.1)
    drive = drive.at[0, 1].set(3.0).at[2, 2].set(3.0)
    forget = jnp.array([opened, shut, shut])
    gates = [jnp.full(size, opened), forget, jnp.zeros(size), jnp.full(size, opened)]
    params = lj.LSTMParams(
        w_ih=jnp.concatenate([drive * 0, drive * 0, drive, drive * 0], axis=1),
        w_hh=jnp.zeros((size, 4 * size)),
        b=jnp.concatenate(gates),
    )
    # A b is worth nothing after S, an a nothing after b, and T all when none is left.
    readout = LinearParams(
        w=jnp.array([[0.0, 0.0, -1_000.0], [0.0, -90.0, 0.0], [-90.0, 0.0, 150.0]]),
        b=jnp.array([30.0, 30.0, -34.0]),
    )
    outputs = solved("anbn", lj.LSTM, params, readout, batch)
    assert np.all(counting.correct(outputs, batch))
    assert lj.TASKS["anbn"].accuracy(outputs, batch) == 1


def test_two_tanh_units_solve_parity(key):
    batch = lj.TASKS["parity"].sample(key, 50, 300)
    # s = state + bit in {0, 1, 2}; the units say s > 1/2 and s > 3/2; the state is
    # the first without the second.
    steep = 40.0
    params = lj.RNNParams(
        w_ih=jnp.array([[0.0, 0.0], [steep, steep]]),
        w_hh=jnp.array([[steep / 2, steep / 2], [-steep / 2, -steep / 2]]),
        b=jnp.array([-steep / 2, -1.5 * steep]),
    )
    readout = LinearParams(
        w=jnp.array([[-1.0, 1.0], [1.0, -1.0]]), b=jnp.array([1.0, -1.0])
    )
    outputs = solved("parity", lj.RNN, params, readout, batch)
    assert lj.TASKS["parity"].accuracy(outputs, batch) == 1


def test_a_cyclic_shift_solves_copy():
    num_symbols, num_items, length = 3, 2, 15
    task = copy_memory(num_symbols, num_items)
    batch = task.sample(jax.random.key(0), 50, length)
    delay = length - num_items
    # One slot more than the delay: a symbol is in the last slot only when it is asked.
    slots = delay + 1
    shift = np.kron(np.roll(np.eye(slots), 1, axis=1), np.eye(num_symbols))
    assert_array_equal(shift @ shift.T, np.eye(slots * num_symbols))
    write = np.zeros((num_symbols + 2, slots * num_symbols))
    write[:num_symbols, :num_symbols] = np.eye(num_symbols)
    read = np.zeros((slots * num_symbols, num_symbols + 1))
    read[-num_symbols:, :num_symbols] = np.eye(num_symbols)
    params = lj.RNNParams(
        w_ih=jnp.asarray(write, jnp.float32),
        w_hh=jnp.asarray(shift, jnp.float32),
        b=jnp.zeros(slots * num_symbols),
    )
    blank = jnp.array([0.0] * num_symbols + [0.5])
    readout = LinearParams(w=jnp.asarray(read, jnp.float32), b=blank)
    outputs = solved("copy_memory", lj.rnn("linear"), params, readout, batch)
    assert task.accuracy(outputs, batch) == 1
    assert task.correct is not None and np.all(task.correct(outputs, batch))


# ---------------------------------------------------------------------------
# Factories
# ---------------------------------------------------------------------------

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
        ("character_language", 54, r"max_length: got 54; it must be in \[1, 53\]"),
    ):
        with pytest.raises(ValueError, match=message):
            tasks[name].sample(key, 2, max_length)


SHORTEST = {
    "adding": 2, "adding_1997": 6, "temporal_order_3": 10, "long_time_lag_2c": 4,
    "embedded_reber": 8, "anbncn": 4, "temporal_order_pascanu": 10,
}  # fmt: skip


@pytest.mark.parametrize("name", SHORTEST)
def test_the_shortest_length_is_one_that_works(name, key):
    task, shortest = lj.TASKS[name], SHORTEST[name]
    batch = jax.jit(task.sample, static_argnums=(1, 2))(key, 40, shortest)
    for k in range(40):
        ANSWERS[name](np.asarray(batch.inputs)[: batch.lengths[k], k])
    levels = [task.floor(shortest), *task.plateaus(shortest).values()]
    assert np.all(np.isfinite(levels))
    with pytest.raises(ValueError, match="max_length: got"):
        task.sample(key, 4, shortest - 1)


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
    "anbn": (3, 3),
    "anbncn": (4, 4),
    "sequential_digits": (1, 10),
    "permuted_digits": (1, 10),
}


def test_sizes_are_those_of_the_papers():
    assert SIZES == {
        name: (task.input_size, task.output_size) for name, task in lj.TASKS.items()
    }
