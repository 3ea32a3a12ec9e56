"""What it is worth to know some of m random symbols, one of which is asked for.

The symbols are independent and uniform among n, and each is asked for as likely as
another. With nothing known the least mean cross-entropy is ln n nats.
"""

import numpy as np

from lstm_jax.tasks.binomial import binomial


def one_known(many: int, num_symbols: int) -> float:
    """Returns the loss of who knows one of the m symbols, say always the last.

        -q ln q - (1 - q) ln((1 - q) / (n - 1)),  q = 1/m + (1 - 1/m)/n

    Args:
      many: m, at least 1.
      num_symbols: n, at least 2.
    """
    if many == 1:
        return 0.0
    right = 1 / many + (1 - 1 / many) / num_symbols
    wrong = 1 - right
    loss = right * np.log(right) + wrong * np.log(wrong / (num_symbols - 1))
    return -float(loss)


def all_known(many: int, num_symbols: int) -> float:
    """Returns the loss of who knows how often each symbol is among the m.

        n E[C/m ln(m/C)],  C binomial (m, 1/n)

    Args:
      many: m, at least 1.
      num_symbols: n, at least 2.
    """
    count = np.arange(1, many + 1)
    chances = binomial(many, 1 / num_symbols)[1:]
    loss = chances * count / many * np.log(many / count)
    return float(num_symbols * loss.sum())
