"""Names at the ends of lines: at the right lines, readable, and none over another."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lstm_jax import plots


def labelled(heights):
    """Lines that end at these heights, and the boxes of their names, in pixels."""
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    for height in heights:
        axes.plot([0, 1], [0, height], label=f"to {height}")
    axes.axhline(0.5)  # without a name
    axes.set(xlim=(0, 1), ylim=(0, 1))
    plots.label_ends(axes)
    figure.draw_without_rendering()
    return axes, {text.get_text(): text.get_window_extent() for text in axes.texts}


def test_names_stand_beside_the_ends_of_lines_in_their_order():
    axes, boxes = labelled([0.9, 0.1, 0.5])
    assert list(boxes) == ["to 0.9", "to 0.1", "to 0.5"]
    for height in (0.9, 0.1, 0.5):
        x, y = axes.transData.transform((1, height))
        box = boxes[f"to {height}"]
        assert box.x0 > x
        assert box.y0 < y < box.y1


@pytest.mark.parametrize("heights", [[0.5, 0.5, 0.501, 0.9], [0.0, 0.01, 0.02]])
def test_no_name_lies_over_another(heights):
    _, boxes = labelled(dict.fromkeys(heights))
    stacked = sorted(boxes.values(), key=lambda box: box.y0)
    for lower, upper in pairwise(stacked):
        assert lower.y1 <= upper.y0


def test_a_line_that_is_not_a_number_at_its_end_is_named_where_it_stops():
    axes = Figure().subplots()
    axes.plot([0, 1, 2], [0, 1, np.nan], label="stops")
    axes.plot([0, 1], [np.nan, np.nan], label="nowhere")
    plots.label_ends(axes)
    assert [text.get_text() for text in axes.texts] == ["stops"]


def test_every_colour_of_a_cell_can_be_read_as_text():
    for colour in plots.PALETTE:
        red, green, blue = np.array(to_rgb(plots.ink(colour))) ** 2.2
        luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        assert 1.05 / (luminance + 0.05) > 4.5


def test_a_headline_fits_into_the_figure():
    figure = Figure(figsize=(4, 3), layout="constrained")
    plots.headline(figure, "The more noise a bit survives, the less gradient it sends")
    figure.draw_without_rendering()
    (title,) = figure.texts
    assert title.get_window_extent().x1 <= figure.bbox.x1
