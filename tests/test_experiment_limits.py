"""Numbers without an upper end, tables on small screens, and what says how to call."""

import dataclasses
import json
import runpy
from pathlib import Path

import pytest

from experiments import (
    cliff,
    explain,
    gradient_decay,
    gradient_paths,
    jacobian_laws,
    latch,
    lyapunov,
    nature_show,
    sweep,
    train,
    trainability,
)
from experiments.common import cli, memory_limit, tables
from experiments.common.cli import ConfigError
from experiments.sweep import settings
from experiments.sweep.parts import plan
from experiments.train import config, processes

MODULES = (
    *(cliff, gradient_decay, jacobian_laws, latch, lyapunov),
    *(nature_show, gradient_paths, sweep, train, trainability),
)
# Numbers of updates, trials and files cost time, and no memory at once.
ONLY_TIME = (
    *("seed", "num_steps", "stop_after", "curriculum_steps", "max_trials", "at_once"),
    *("log_interval", "eval_interval", "checkpoint_interval", "keep_checkpoints"),
    *("start_length", "recorder", "random", "latch num_seeds"),
)
ALSO_SIZES = ("cliff num_steps", "lyapunov num_steps")


def sizes():
    for module in MODULES:
        for field in dataclasses.fields(module.Config):
            name = f"{module.NAME} {field.name}"
            is_size = field.name not in ONLY_TIME and name not in ONLY_TIME
            is_integer = "an integer" in field.metadata["kind"].hint
            if is_integer and (is_size or name in ALSO_SIZES):
                yield pytest.param(module, field, id=name)


@pytest.mark.parametrize(("module", "field"), list(sizes()))
def test_a_size_beyond_memory_is_refused_by_its_name(module, field):
    most = cli.INT32_MAX
    value = (most,) if isinstance(field.default, tuple) else most
    with pytest.raises(ConfigError) as caught:
        module.run(module.Config(**{field.name: value}))
    named, got, _ = str(caught.value).partition(": got ")
    assert got
    assert field.name in named.split(", ")
    assert "\n" not in str(caught.value)


def test_every_experiment_has_sizes():
    assert {param.values[0] for param in sizes()} == set(MODULES)


def test_what_fits_is_let_through_and_the_largest_array_is_named():
    given = {"lag": 1000, "units": 10**6}
    memory_limit.check(given, [("lag", 1000), ("lag", 3)])
    with pytest.raises(ConfigError, match=r"^lag, units: got 1000, 1000000, an array"):
        memory_limit.check(given, [("lag", 3), ("lag", "units", 100), ("units", 2)])


def test_an_array_may_fill_the_memory_and_no_more():
    entries = memory_limit.of_devices() // 8
    memory_limit.check({"n": entries}, [("n",)], itemsize=8)
    with pytest.raises(ConfigError, match="must fit into the memory"):
        memory_limit.check({"n": entries + 1}, [("n",)], itemsize=8)


@pytest.mark.parametrize(
    ("kind", "allowed", "refused"),
    [
        (cli.integer(minimum=1), (1, 2**31 - 1), (0, 2**31, 2**63, 1e23, 10**40)),
        (cli.seed(), (0, 2**32 - 1), (-1, 2**32)),
        (cli.number(above=0), (1e-37, 3e38), (0, 1e-46, 1e39, float("inf"))),
        (cli.number(), (0, -3e38), (-1e39, -1e-46, float("nan"))),
        (cli.list_of(cli.integer(minimum=1)), ((1, 2),), (([1],), (2**31,), (1, 1))),
        (config.a_mesh(), ("data:2",), (2, "data", None)),
    ],
)
def test_a_number_has_both_ends(kind, allowed, refused):
    assert all(map(kind.holds, allowed))
    assert not any(map(kind.holds, refused))


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


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"start_length": 9, "length": 6, "curriculum_steps": 3}, "at most length, 6"),
        (
            {"start_length": 2, "length": 5, "curriculum_steps": 2**30},
            "^curriculum_steps: got 1073741824; it must be at most 715827882, where",
        ),
        ({"seed": 2**32 - 1, "num_seeds": 2}, "last seed must be at most 4294967295"),
    ],
)
def test_settings_of_a_run_that_do_not_go_together(fields, told):
    with pytest.raises(ConfigError, match=told):
        train.Config(**fields)


def test_the_last_seeds_are_swept():
    plan(sweep.Config(seed=2**32 - 3, num_seeds=3, num_steps=1))


@pytest.mark.parametrize("nothing", [{"num_steps": 0}, {"sequence": "mine.csv"}])
def test_a_recorder_with_nothing_to_record_is_refused(nothing):
    with pytest.raises(ConfigError, match=r"^recorder: got 3; it must be 0 with"):
        gradient_decay.Config(recorder=3, **nothing)


def test_a_list_may_have_spaces_behind_its_commas():
    cells = cli.list_of(cli.one_of(("rnn", "lstm")))
    assert cells.parse("rnn, lstm") == ("rnn", "lstm")
    kinds = {"cell": cli.one_of(("gru", "lstm")), "lag": cli.integer(minimum=1)}
    found = settings.parse("cell=gru, lstm; lag=1, 2", kinds)
    assert found == {"cell": ("gru", "lstm"), "lag": (1, 2)}


def test_more_settings_than_anyone_trains_are_refused():
    swept: settings.Swept = {name: tuple(range(101)) for name in "ab"}
    with pytest.raises(ConfigError, match="got 10201 settings; it must be at most"):
        settings.grid(swept)


def test_a_port_has_an_upper_end():
    by_hand = processes.Processes(
        distributed=True, coordinator="here:65535", num_processes=2, process_id=0
    )
    processes.check(by_hand)
    with pytest.raises(ConfigError, match="coordinator: got 'here:65536'"):
        processes.check(by_hand._replace(coordinator="here:65536"))


RECORDS = sorted((Path(train.__file__).parent / "reference").glob("*/record.json"))


@pytest.mark.parametrize("width", [60, 80, 120, None])
@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.parent.name)
def test_no_screen_cuts_a_table(path, width):
    rows = json.loads(path.read_text())["rows"]
    lines = tables.lines(rows, width)
    for row in rows:
        for name, value in row.items():
            assert any(name in line for line in lines)
            assert any(str(value) in line for line in lines)
    blocks = lines.count("") + 1
    assert len(lines) == blocks * (len(rows) + 1) + lines.count("")
    assert blocks == 1 or width is not None


def test_columns_without_room_follow_below_behind_the_names_of_the_rows():
    rows = [
        {"cell": "lstm", "half-life": "12", "accuracy": "1.00"},
        {"cell": "rnn", "half-life": "3.5", "accuracy": "0.51"},
    ]
    assert tables.lines(rows, 30) == [
        "cell  half-life  accuracy",
        "lstm         12      1.00",
        "rnn         3.5      0.51",
    ]
    assert tables.lines(rows, 20) == [
        *("cell  half-life", "lstm         12", "rnn         3.5", ""),
        *("cell  accuracy", "lstm      1.00", "rnn       0.51"),
    ]
    assert tables.lines([], 20) == []


def test_the_package_lists_its_commands(capsys):
    questions = runpy.run_module("experiments", run_name="__main__")["questions"]()
    printed = capsys.readouterr().out
    assert set(questions) == {module.NAME for module in MODULES} | {"explain"}
    for name, question in questions.items():
        assert f"python -m experiments.{name} " in printed
        assert question in printed
        assert question.endswith((".", "?"))
