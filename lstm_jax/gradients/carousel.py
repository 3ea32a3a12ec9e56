"""The carousel: what the forget gates alone keep of a gradient, and for how long."""

from functools import partial
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax.cells import CELLS
from lstm_jax.cells.cell import Cell, check_cell
from lstm_jax.checks import check_array, check_number
from lstm_jax.engine.scanning import scan
from lstm_jax.gradients.adjoint import StepBack, observed_on_the_way_back, way_back
from lstm_jax.gradients.exponents import scaled
from lstm_jax.gradients.exponents.scaled import Scaled
from lstm_jax.gradients.loss import LossFn
from lstm_jax.gradients.paths import Places, steps_by_path
from lstm_jax.gradients.state import entering_carries, inexact_structure
from lstm_jax.masking import Masks, Steps, select
from lstm_jax.types import Carry, LogNorms, Params, Sequences


class CarouselLogNorms(NamedTuple):
    """Natural logarithms of norms of parts of the long-term memory's gradient.

    Attributes:
      total: ||a_t||, a_t the adjoint of the long-term memory that enters step t.
      carousel: ||Π_s f_s * a_end||, s from t to the last step but one, a_end the
        adjoint that enters the last step that counts.
      rest: ||a_t - carousel||: what went through a gate at least once, and what the
        loss reads before the last step.
    """

    total: LogNorms
    carousel: LogNorms
    rest: LogNorms


def forget_factors(
    cell: Cell,
    params: Params,
    xs: Sequences,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Float[Array, "time *batch hidden"]:
    """Returns f_t, the share of every unit's memory that the cell path keeps at step t.

    The diagonal of the cell path's Jacobian: the forget gate of an LSTM, z of a GRU, 1
    in the LSTM of 1997. It is 1 at a step that does not count, and 0 at a reset.

    Arguments and errors as for `step_jacobians`; a cell that keeps no memory
    (`Cell.memory`) is a `ValueError`.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> kept = lj.gradients.forget_factors(lj.LSTM, params, jnp.ones((5, 2, 3)))
      >>> kept.shape, bool((kept < 1).all())
      ((5, 2, 4), True)
    """
    field = memory_field(cell)
    steps, by_path, places = steps_by_path(cell, params, xs, carry, masks)
    with jax.default_matmul_precision("highest"):
        entering, _ = entering_carries(steps)
        return _forget_factors(by_path, places, field, entering)


def log_carousel_norms(
    cell: Cell,
    params: Params,
    xs: Sequences,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> CarouselLogNorms:
    """Returns how much of the long-term memory's gradient the carousel carries.

    The constant error carousel: the gradient that stays in the long-term memory c from
    the end to step t, multiplied by the forget gates and by nothing else,

        carousel_t = f_t * carousel_{t+1},     carousel_end = a_end
        rest_t     = a_t - carousel_t

    Either may be longer than their sum a_t if they oppose each other. Exact even where
    the norms themselves would underflow.

    Arguments and errors as for `forget_factors`; loss_fn as for `carry_gradients`.

    Returns:
      Leaves (time, *batch); -inf where a part is zero.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = jnp.ones((5, 2, 3))
      >>> last = lambda ys: ys[-1].sum()
      >>> norms = lj.gradients.log_carousel_norms(lj.LSTM, params, xs, last)
      >>> norms._fields, norms.carousel.shape
      (('total', 'carousel', 'rest'), (5, 2))

    References:
      Hochreiter & Schmidhuber (1997), https://doi.org/10.1162/neco.1997.9.8.1735
    """
    field = memory_field(cell)
    steps, by_path, places = steps_by_path(cell, params, xs, carry, masks)
    way = way_back(steps, loss_fn)
    adjoints = observed_on_the_way_back(way, _adjoints)
    totals = getattr(inexact_structure(way.steps.carry, adjoints), field)
    with jax.default_matmul_precision("highest"):
        factors = _forget_factors(by_path, places, field, way.entering)
    return _against_the_carousel(way.steps, totals, factors)


def _adjoints(_: Steps, at_t: StepBack) -> list[Scaled]:
    return at_t.adjoints


def time_constants(factors: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns τ = -1 / ln f, the number of steps after which 1/e is left.

    0 where f = 0, and inf where f = 1: nothing is lost.

    Args:
      factors: in [0, 1], such as forget gates.

    Raises:
      ValueError: a factor lies outside, if values are known.

    Example:
      >>> constants = lj.gradients.time_constants(jnp.array([0.0, 0.5, 1.0]))
      >>> [round(float(steps), 2) for steps in constants]
      [0.0, 1.44, inf]
    """
    check_array("factors", factors, "an array of factors in [0, 1]")
    check_number("factors", factors, "[0, 1]")
    return _time_constants(jnp.log(factors))


def unit_time_constants(
    factors: Float[Array, "time *batch hidden"],
) -> Float[Array, " hidden"]:
    """Returns the time constant of every unit: -1 / mean ln f.

    The mean runs over steps and batch, so over many steps the unit's memory fades as
    exp(-steps / τ); the mean of -1 / ln f would not give that. Steps that do not count
    have f = 1 and would lengthen it, and a reset has f = 0 and would make it 0: leave
    them out.

    Example:
      >>> lj.gradients.unit_time_constants(jnp.full((5, 2, 4), 0.9)).round(2)
      Array([9.49, 9.49, 9.49, 9.49], dtype=float32)
    """
    check_array("factors", factors, "an array (time, *batch, hidden)")
    check_number("factors", factors, "[0, 1]")
    rest = tuple(range(factors.ndim - 1))
    return _time_constants(jnp.mean(jnp.log(factors), axis=rest))


def _time_constants(log_factors: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    lasting = log_factors >= 0
    return jnp.where(lasting, jnp.inf, -1 / jnp.where(lasting, -1, log_factors))


def memory_field(cell: Cell) -> str:
    """Returns the field of the carry kept by forget factors; refuses cells without."""
    check_cell("cell", cell)
    if cell.memory is None:
        kept = [known.name for known in CELLS.values() if known.memory]
        raise ValueError(
            f"cell: got {cell.name!r}; it must be one that keeps a memory, such as "
            f"{', '.join(kept)}"
        )
    return cell.memory


@partial(jax.jit, static_argnums=(1, 2))
def _forget_factors(
    by_path: Steps, places: Places, field: str, entering: Carry
) -> Float[Array, "time *batch hidden"]:
    def at_step(entering_t, inputs_t):
        def memory_after(memory):
            copies = dict.fromkeys(places.names, entering_t)
            copies[places.names[0]] = entering_t._replace(**{field: memory})
            after, _ = by_path.step(by_path.shared, copies, inputs_t)
            return getattr(after[places.names[0]], field)

        memory, back = jax.vjp(memory_after, getattr(entering_t, field))
        return back(jnp.ones_like(memory))[0]

    return jax.vmap(at_step)(entering, by_path.inputs)


@jax.jit
def _against_the_carousel(
    steps: Steps, totals: Scaled, factors: Array
) -> CarouselLogNorms:
    """Runs the carousel back, from the last step that counts."""

    def step_back(_, state, at_t):
        (carousel, begun), (total, factor, counts) = state, at_t
        kept = scaled.rescale(factor * carousel.mantissa, carousel.exponent)
        carousel = select(begun, kept, total)
        minus = Scaled(-carousel.mantissa, carousel.exponent)
        log_norms = CarouselLogNorms(
            total=scaled.log_norm(total),
            carousel=scaled.log_norm(carousel),
            rest=scaled.log_norm(scaled.add([total, minus])),
        )
        return (carousel, begun | counts), log_norms

    counts: Any = steps.inputs.counts
    if counts is None:
        counts = jnp.ones((steps.time, *steps.batch_shape), bool)
    nothing = jax.tree.map(lambda leaf: jnp.zeros_like(leaf[0]), totals)
    _, found = scan(
        step_back,
        (),
        (nothing, jnp.zeros(steps.batch_shape, bool)),
        (totals, factors, counts),
        reverse=not steps.reverse,
    )
    return found
