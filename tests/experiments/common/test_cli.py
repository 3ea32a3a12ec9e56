"""Fields of a configuration: their kinds, their ends, and how they are refused."""

import dataclasses

import pytest
from every_experiment import MODULES

from experiments import (
    explain,
    gradient_decay,
)
from experiments.common import cli
from experiments.common.cli import ConfigError
from experiments.sweep import settings
from experiments.train import config


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("cells", ("tree",), "rnn, lstm, four_gate"),
        ("cells", (), "rnn, lstm, four_gate"),
        ("cells", ("rnn", "rnn"), "different"),
        ("lag", 0, "an integer, at least 1"),
        ("hidden_size", 0, "an integer, at least 1"),
        ("num_seeds", 0, "an integer, at least 1"),
        ("num_steps", -1, "an integer, at least 0"),
        ("learning_rate", 0.0, "above 0"),
        ("gain", float("nan"), "a finite number"),
        ("forget_bias", ("big",), "'matched'"),
        ("rendering", "oil", "digits, vectors"),
        ("dtype", "float8", "float32, float64, bfloat16"),
        ("activation", "sine", "tanh, relu, logistic, linear"),
    ],
)
def test_a_wrong_field_names_itself_its_value_and_what_is_allowed(
    field, value, allowed
):
    with pytest.raises(ConfigError) as caught:
        gradient_decay.Config(**{field: value})
    message = str(caught.value)
    assert message.startswith(f"{field}: got {value!r}; it must be")
    assert allowed in message
    assert "\n" not in message


def test_check_compares_every_field_with_its_kind():
    class Broken:
        pass

    assert cli.integer(minimum=1).holds(3)
    assert not cli.integer(minimum=1).holds(Broken())
    assert not cli.number(above=0).holds(float("inf"))
    assert cli.optional(cli.integer(minimum=1)).holds(None)


@pytest.mark.parametrize(
    ("kind", "allowed", "refused"),
    [
        (cli.integer(minimum=1), (1, 2**31 - 1), (0, 2**31, 2**63, 1e23, 10**40)),
        (cli.seed(), (0, 2**32 - 1), (-1, 2**32)),
        (cli.number(above=0), (1e-37, 3e38), (0, 1e-46, 1e39, float("inf"))),
        (cli.number(), (0, -3e38), (-1e39, -1e-46, float("nan"))),
        (cli.list_of(cli.integer(minimum=1)), ((1, 2),), (([1],), (2**31,), (1, 1))),
        (config.a_mesh(), ("data:2",), (2, "data", None)),
        (cli.switch(), (True, False), (1, "true", None)),
        (cli.number_in("[0, 1)"), (0, 0.5), (-1e-9, 1, float("nan"), "0.5")),
        (cli.number_in("(0, 1]"), (1e-9, 1), (0, 1.1)),
    ],
)
def test_a_number_has_both_ends(kind, allowed, refused):
    assert all(map(kind.holds, allowed))
    assert not any(map(kind.holds, refused))


def test_help_says_an_end_that_is_not_the_formats():
    ends = "an integer, at least 1 and at most 62"
    assert cli.integer(minimum=1, maximum=62).hint == ends
    assert cli.list_of(cli.integer(minimum=1, maximum=62)).hint.endswith(ends)
    assert cli.integer(minimum=1).hint == "an integer, at least 1"
    assert cli.seed().hint == "an integer, at least 0"


def numbers(kind):
    """Every field of every experiment whose values are numbers of that kind."""
    for module in (*MODULES, explain):
        for field in dataclasses.fields(module.Config):
            if kind in field.metadata["kind"].hint:
                yield pytest.param(module, field, id=f"{module.NAME} {field.name}")


@pytest.mark.parametrize(("module", "field"), [*numbers("an integer")])
def test_every_integer_has_an_upper_end(module, field):
    most = cli.SEED_MAX if "seed" in field.name.split("_") else cli.INT32_MAX
    for beyond in (most + 1, 2**63, 10**23):
        assert_refused(module, field, beyond)


@pytest.mark.parametrize(("module", "field"), [*numbers("a finite number")])
def test_every_number_is_one_in_float32(module, field):
    for beyond in (1e-46, 1e39, float("inf"), float("nan")):
        assert_refused(module, field, beyond)


def assert_refused(module, field, value):
    value = (value,) if isinstance(field.default, tuple) else value
    with pytest.raises(ConfigError, match=f"^{field.name}: got .*; it must be "):
        module.Config(**{field.name: value})


def test_a_list_may_have_spaces_behind_its_commas():
    cells = cli.list_of(cli.one_of(("rnn", "lstm")))
    assert cells.parse("rnn, lstm") == ("rnn", "lstm")
    kinds = {"cell": cli.one_of(("gru", "lstm")), "lag": cli.integer(minimum=1)}
    found = settings.parse("cell=gru, lstm; lag=1, 2", kinds)
    assert found == {"cell": ("gru", "lstm"), "lag": (1, 2)}
