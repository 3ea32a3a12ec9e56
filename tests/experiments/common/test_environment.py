"""The digest of the code covers the code."""

import hashlib

import pytest

from experiments.common import environment


def test_the_digest_of_the_code_covers_every_package():
    for package in environment.PACKAGES:
        assert (environment.ROOT / package / "__init__.py").exists()
    assert environment.code() != hashlib.sha256().hexdigest()[:12]


def test_cores_are_what_the_environment_says(monkeypatch):
    monkeypatch.setenv("NPROC", "3")
    assert environment.cores() == 3
    assert environment.threads() >= 3
    monkeypatch.delenv("NPROC")
    assert environment.cores() >= 1


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ('"""One."""\nx = 1\n', '"""Two\n\nlines."""\n\nx = 1\n', True),
        ('def f():\n    """A."""\n    return 1\n', "def f():\n    return 1\n", True),
        ('"""One."""\nx = 1\n', '"""One."""\nx = 2\n', False),
        ('x = """One."""\n', 'x = """Two."""\n', False),
    ],
)
def test_the_digest_of_code_is_of_the_program_and_not_of_its_docstrings(
    before, after, same
):
    programs = (
        environment.without_docstrings(before),
        environment.without_docstrings(after),
    )
    assert (programs[0] == programs[1]) is same
