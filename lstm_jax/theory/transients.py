"""Growth before decay: what eigenvalues do not tell about the powers of a matrix.

NumPy in float64, so matrices can't be traced. The bound and the radius that go with
them are `lstm_jax.theory.jacobian_bound` and `spectral_radius_rate`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lstm_jax.checks import check_array, check_whole


class TransientGrowth(NamedTuple):
    """The largest ||W^k||_2, and the power k at which it is reached."""

    norm: float
    power: int


def transient_growth(matrix: ArrayLike, max_power: int) -> TransientGrowth:
    """Returns the largest ||W^k||_2 over k = 0 .. max_power.

    A matrix whose eigenvectors are far from orthogonal makes vectors grow before they
    decay, though every eigenvalue is below 1: [[.9, 5], [0, .9]] reaches 19.4 at k = 9.

    Args:
      matrix: W, (n, n).
      max_power: the last power tried, at least 1.

    Raises:
      ValueError: the matrix is not (n, n) and finite, or max_power is below 1.

    Example:
      >>> import numpy as np
      >>> matrix = np.array([[0.5, 10.0], [0.0, 0.5]])
      >>> lj.theory.transient_growth(matrix, max_power=20)._fields
      ('norm', 'power')

    References:
      Trefethen & Embree (2005), Spectra and Pseudospectra
    """
    matrix = _square(matrix)
    check_whole("max_power", max_power, 1)
    power, norms = np.eye(len(matrix)), [1.0]
    for _ in range(max_power):
        with np.errstate(over="ignore", invalid="ignore"):
            power = matrix @ power
        if not np.isfinite(power).all():
            norms.append(float("inf"))
            break
        norms.append(float(np.linalg.norm(power, 2)))
    return TransientGrowth(norm=max(norms), power=int(np.argmax(norms)))


def kreiss_bound(
    matrix: ArrayLike, *, num_radii: int = 40, num_angles: int = 48
) -> float:
    """Returns a lower bound of max_k ||W^k||_2, from the resolvent of W.

        K = sup_{|z|>1} (|z| - 1) ||(z - W)^-1||_2  <=  max_k ||W^k||_2  <=  e n K

    The supremum is taken over a grid, |z| - 1 in [1e-3, 10] and all angles, so the
    result is a little below K. inf where an eigenvalue lies outside the unit circle.

    Args:
      matrix: W, (n, n).
      num_radii: of the grid, at equal ratios of |z| - 1; at least 1.
      num_angles: of the grid; at least 1.

    Raises:
      ValueError: the matrix is not (n, n) and finite, or a grid size is below 1.

    Example:
      >>> import numpy as np
      >>> round(float(lj.theory.kreiss_bound(np.array([[0.5, 10.0], [0.0, 0.5]]))), 1)
      5.0

    References:
      Trefethen & Embree (2005), Spectra and Pseudospectra, chapter 18
    """
    matrix = _square(matrix)
    check_whole("num_radii", num_radii, 1)
    check_whole("num_angles", num_angles, 1)
    # An orthogonal matrix has eigenvalues on the unit circle, to rounding.
    rounding = 10 * len(matrix) * np.finfo(float).eps * np.linalg.norm(matrix, 2)
    if np.abs(np.linalg.eigvals(matrix)).max() > 1 + rounding:
        return float("inf")
    excess = np.geomspace(1e-3, 10, num_radii)[:, None]
    angles = np.linspace(0, 2 * np.pi, num_angles, endpoint=False)
    points = (1 + excess) * np.exp(1j * angles)
    shifted = points[..., None, None] * np.eye(len(matrix)) - matrix
    smallest = np.linalg.svd(shifted, compute_uv=False)[..., -1]
    return float((excess / smallest).max())


def _square(matrix: ArrayLike) -> np.ndarray:
    check_array("matrix", matrix, "an array (n, n)")
    values = np.asarray(matrix, np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise ValueError(f"matrix: shape is {values.shape}; it must be (n, n)")
    if not np.isfinite(values).all():
        bad = values[~np.isfinite(values)][0]
        raise ValueError(f"matrix: found {bad}; its entries must be finite")
    return values
