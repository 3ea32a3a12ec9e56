"""A figure for a slide: the same numbers, in larger letters and lines."""

import pytest
from matplotlib.figure import Figure

from lstm_jax import plots


@plots.styled
def draw():
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    axes.plot([1, 10], [1, 2], label="a line", marker="o")
    axes.set(xscale="log", title="title", xlabel="steps")
    axes.legend()
    plots.note(axes, "here", (1, 1), (3, 4))
    plots.headline(figure, "What it shows")
    return figure


def sizes(figure):
    """The sizes of all letters that a draw leaves, and of the line."""
    figure.draw_without_rendering()
    (axes,) = figure.axes
    texts = {
        "title": axes.title,
        "label": axes.xaxis.label,
        "tick": axes.get_xticklabels()[0],
        "legend": axes.get_legend().get_texts()[0],
        "note": axes.texts[0],
        "headline": figure.texts[0],
    }
    letters = {name: float(text.get_fontsize()) for name, text in texts.items()}
    return letters, axes.lines[0].get_linewidth()


def test_a_slide_has_larger_letters_and_lines():
    with plots.in_style("slide"):
        letters, width = sizes(draw())
    on_paper, thin = sizes(draw())
    for name, size in on_paper.items():
        assert letters[name] == pytest.approx(1.4 * size), name
    assert width == pytest.approx(1.5 * thin)


def test_paper_is_the_style_without_a_word():
    with plots.in_style("paper"):
        assert sizes(draw()) == sizes(draw())


def test_a_style_that_does_not_exist_is_refused():
    with (
        pytest.raises(ValueError, match="style: got 'poster'"),
        plots.in_style("poster"),
    ):
        pass
