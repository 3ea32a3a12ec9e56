"""Numbers as they are printed."""

import numpy as np


def printed(found, wanted):
    """The last printed digit of each number may be off by one."""
    for value, text in zip(np.ravel(found), wanted.split(), strict=True):
        last_digit = 10.0 ** -len(text.partition(".")[2].partition("e")[0])
        scale = 10.0 ** float(text.partition("e")[2] or 0)
        assert abs(value - float(text)) <= 1.01 * last_digit * scale, (value, text)
