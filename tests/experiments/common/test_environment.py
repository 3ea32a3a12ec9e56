"""The digest of the code covers the code."""

import hashlib

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
