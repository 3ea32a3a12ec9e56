"""`python -m experiments` lists its commands."""

import runpy

from every_experiment import MODULES, OF_TRAINED

from experiments.common.usage import questions


def test_the_package_lists_its_commands(capsys):
    runpy.run_module("experiments", run_name="__main__")
    printed = capsys.readouterr().out
    assert set(questions()) == {module.NAME for module in MODULES} | OF_TRAINED
    for name, question in questions().items():
        assert f"python -m experiments.{name} " in printed
        assert question in printed
        assert question.endswith((".", "?"))
