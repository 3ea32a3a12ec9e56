"""When `experiments.adding` shows numbers kept, in 1997 and today."""

from typing import NamedTuple

import numpy as np

from experiments.common import rows
from experiments.common.records import Record, take
from experiments.common.rows import Check
from experiments.common.two_blocks import (
    NUM_TEST,
    check_solved,
    check_weights,
    last_errors,
)
from lstm_jax.tasks import adding_1997

WINDOW = 50  # updates over which a loss of today is averaged
MEAN_OF_TWO, MEAN_OF_ONE = 1 / 6, 1 / 12
FIRST_LEFT, SECOND_LEFT = 1 / 8, 1 / 24  # halfway down to the next plateau
WEIGHTS = 93
PUBLISHED = 74_000  # sequences, T = 100
SMALL = 0.01


class Stays(NamedTuple):
    """Updates, or sequences, until each plateau was left; inf where it never was.

    Attributes:
      none_known: until the loss fell below the middle of the two plateaus.
      one_known: from there until it fell below half of the second one.
    """

    none_known: np.ndarray
    one_known: np.ndarray


def stays(losses: np.ndarray, first: float, second: float, window: int) -> Stays:
    """Returns how long each run, (run, update), was on the plateaus at these losses.

    A loss is the mean of `window` updates, at the last of them.
    """
    smooth = moving_mean(losses, window)
    left = [
        _first_below(smooth, level) + window
        for level in ((first + second) / 2, second / 2)
    ]
    # Who never left the first plateau has not been on the second: not inf - inf.
    start = np.where(np.isfinite(left[0]), left[0], 0)
    return Stays(left[0], left[1] - start)


def _first_below(losses: np.ndarray, level: float) -> np.ndarray:
    below = losses < level
    return np.where(below.any(1), below.argmax(1), np.inf)


def moving_mean(losses: np.ndarray, window: int) -> np.ndarray:
    """Returns means over `window` neighbours along the last axis, valid ones only."""
    window = min(window, losses.shape[-1])
    total = np.cumsum(np.asarray(losses, np.float64), axis=-1)
    total = np.concatenate([np.zeros_like(total[..., :1]), total], axis=-1)
    return (total[..., window:] - total[..., :-window]) / window


def of_today(losses: np.ndarray) -> Stays:
    """Returns the stays at 1/6 and 1/12, in updates."""
    return stays(losses, MEAN_OF_TWO, MEAN_OF_ONE, WINDOW)


def of_1997(record: Record, output: str) -> Stays:
    """Returns the stays of nets of 1997, in sequences, to those of one entry."""
    lag = record.config["lag"]
    length = lag + lag // 10
    (known,) = adding_1997.sum_plateaus(length).values()
    curves = take(record, "error", output=output)
    found = stays(curves, adding_1997.sum_floor(length), known, 1)
    per_entry = record.axes["sequence"][0]
    return Stays(*(per_entry * of for of in found))


# -- Criteria ------------------------------------------------------------------------


def checks(record: Record) -> list[Check]:
    """Returns the criteria: the nets of 1997, then those of today that were trained."""
    found = [_solved(record, output) for output in record.axes["output"]]
    found.append(check_weights(record, WEIGHTS))
    if "lstm" in record.axes["cell"]:
        found.append(_learns(record))
    if {"lstm", "rnn"} <= set(record.axes["cell"]):
        found.append(_against_rnn(record))
    if "rnn" in record.axes["long_cell"]:
        found.append(_stays(record))
    return found


def _solved(record: Record, output: str) -> Check:
    config = record.config
    return check_solved(
        f"nets of 1997 with a {output} output unit that end with a row of right "
        "sequences, at least 8 of 10",
        f"10 of 10, after {PUBLISHED:,} sequences; 1 of {NUM_TEST} wrong",
        take(record, "solved_at", output=output),
        take(record, "wrong", output=output),
        f"{config['max_sequences']:,}, T = {config['lag']}",
    )


def _learns(record: Record) -> Check:
    tests = take(record, "test_loss", cell="lstm")
    good = tests <= SMALL
    return Check(
        "networks of the LSTM with a test error of at most .01, at least 4 of 5",
        "solved at T = 100 to 400",
        f"{rows.count(int(good.sum()), good.size)}; largest error {tests.max():.2g}, "
        f"T = {record.config['length']}",
        bool(good.mean() >= 0.8),
    )


def _against_rnn(record: Record) -> Check:
    rnn, lstm = (take(record, "test_loss", cell=cell) for cell in ("rnn", "lstm"))
    ratio = rnn.mean() / lstm.mean()
    return Check(
        "test error of the tanh RNN over the LSTM's, at least 10",
        "",
        f"{ratio:.0f}: {rows.mean(rnn, '.2g')} over {rows.mean(lstm, '.2g')}",
        bool(ratio >= 10),
    )


def _stays(record: Record) -> Check:
    tests = take(record, "long_test_loss", long_cell="rnn")
    kept = tests >= 0.9 * MEAN_OF_TWO
    return Check(
        "the tanh RNN stays at 1/6 over the longer sequences, at least .9 of it",
        "never beats 0.167",
        f"{int(kept.sum())} of {kept.size}; smallest error {tests.min():.3g}, "
        f"T = {record.config['long_length']}",
        bool(kept.all()),
    )


# -- Table ---------------------------------------------------------------------------


def table(record: Record) -> list[dict[str, str]]:
    """Returns a row for the nets of 1997, and one for each cell and length of today."""
    config = record.config
    found = [_row_of_1997(record, output) for output in record.axes["output"]]
    for prefix, length in (("", "length"), ("long_", "long_length")):
        for cell in record.axes[f"{prefix}cell"]:
            at = {f"{prefix}cell": cell}
            loss = take(record, f"{prefix}loss", **at)
            test = take(record, f"{prefix}test_loss", **at)
            setting = f"today, T = {config[length]}"
            found.append(
                _row(setting, cell, int((test <= SMALL).sum()), test, of_today(loss))
            )
    return found


def _row_of_1997(record: Record, output: str) -> dict[str, str]:
    solved = int(np.isfinite(take(record, "solved_at", output=output)).sum())
    curves = take(record, "error", output=output)
    last = last_errors(curves)
    setting = f"1997, T = {record.config['lag']}"
    return _row(
        setting, f"lstm97, {output} output", solved, last, of_1997(record, output)
    )


def _row(
    setting: str, cell: str, solved: int, errors: np.ndarray, stays: Stays
) -> dict[str, str]:
    unit = "sequences" if "1997" in setting else "updates"
    return {
        "setting": setting,
        "cell": cell,
        "solved": f"{solved} of {errors.size}",
        "mean squared error": f"{errors.mean():.2g} (largest {errors.max():.2g})",
        "no number known for": _text(stays.none_known, unit),
        "one of two for": _text(stays.one_known, unit),
    }


def _text(values: np.ndarray, unit: str) -> str:
    """Returns the median; where half of the runs never left, it is no number."""
    middle = np.median(values)
    return f"{middle:,.0f} {unit}" if np.isfinite(middle) else "all of training"
