"""The check of the built site finds what is missing, and links that lead nowhere."""

import zlib

import pytest

from scripts import docs

HEAD = "# Sphinx inventory version 2\n# Project: x\n# Version: 1\n"
LAST = "# The remainder of this file is compressed using zlib.\n"


def inventory(names):
    """The objects.inv of a site that documents these."""
    lines = "".join(f"{name} py:data 1 reference.html#$ -\n" for name in names)
    return (HEAD + LAST).encode() + zlib.compress(lines.encode())


@pytest.fixture
def site(tmp_path):
    """A site of two pages, whose reference has every name."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="top">Home</h1><a href="sub/page.html#end">on</a><a href="#top">up</a>'
        '<a href="https://example.org/not/asked">out</a>'
    )
    (tmp_path / "sub" / "page.html").write_text(
        '<a id="end" href="../index.html">x</a>'
    )
    (tmp_path / "objects.inv").write_bytes(inventory(docs.public_names()))
    return tmp_path


def test_a_whole_site_passes(site, capsys):
    assert docs.undocumented(site) == []
    assert list(docs.broken_links(site)) == []
    with pytest.raises(SystemExit) as ended:
        docs.main(site)
    assert not ended.value.code
    assert "no broken link" in capsys.readouterr().out


def test_a_missing_name_and_dead_links_are_told(site, capsys):
    names = docs.public_names().keys() - {"lstm_jax.unroll"}
    (site / "objects.inv").write_bytes(inventory(names))
    page = site / "sub" / "page.html"
    page.write_text('<a href="gone.html">x</a><a href="../index.html#gone">y</a>')
    assert docs.undocumented(site) == ["lstm_jax.unroll"]
    assert set(docs.broken_links(site)) == {
        "index.html: sub/page.html#end",
        "sub/page.html: gone.html",
        "sub/page.html: ../index.html#gone",
    }
    with pytest.raises(SystemExit) as ended:
        docs.main(site)
    assert ended.value.code
    assert "not in the reference: lstm_jax.unroll" in capsys.readouterr().out
