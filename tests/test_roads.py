"""Roads and carousel against hand-written Jacobians, closed forms and the whole."""

from dataclasses import replace
from functools import partial, wraps
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lstm_jax as lj
from lstm_jax.cells.lstm2000 import LSTM2000, lstm2000
from lstm_jax.gradients.carousel import (
    forget_factors,
    log_carousel_norms,
    time_constants,
    unit_time_constants,
)
from lstm_jax.gradients.copies import one_edge
from lstm_jax.gradients.edges import ROADS, WIRED, cell_of_copies, edges_of
from lstm_jax.gradients.roads import log_road_norms, road_gradients, road_shares

TIME, INPUT, HIDDEN, BATCH = 5, 3, 4, 2

in_float64 = pytest.mark.usefixtures("x64")


def draw(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def make_params(cell, input_size=INPUT) -> Any:
    """Params in float64 without a zero in them: the biases are drawn too."""
    sizes = {"input_size": input_size, "hidden_size": HIDDEN}
    init = partial(cell.init, **sizes, dtype=jnp.float64)
    leaves, structure = jax.tree.flatten(jax.eval_shape(init, jax.random.key(0)))
    drawn = [0.5 * draw(*leaf.shape, seed=n) for n, leaf in enumerate(leaves)]
    return structure.unflatten(drawn)


def make_carry(cell, params) -> Any:
    leaves, structure = jax.tree.flatten(cell.init_carry(params, (BATCH,)))
    drawn = [draw(*leaf.shape, seed=200 + n) for n, leaf in enumerate(leaves)]
    return structure.unflatten(drawn)


def every_output_counts(ys):
    return jnp.sqrt(1 + jnp.sum(jnp.sin(ys)) ** 2)


def last_output(ys):
    return jnp.sum(ys[-1])


def summed(roads):
    return jax.tree.map(lambda *parts: sum(parts), *roads.values())


def assert_trees_close(found, expected, **tolerance):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(lambda a, b: assert_allclose(a, b, **tolerance), found, expected)


# -- the edges ----------------------------------------------------------------------


# Cells whose roads follow from what their step closes over, options that no name tells.
OF_THEIR_STEP = (
    lj.cells.janet(1 / 3),
    lj.cells.antisymmetric_rnn(0.2, 1 / 3),
    lj.cells.layer_norm_lstm(0.1),
    lj.cells.lstm97(2, biased="gates"),
    lstm2000(2),
    replace(lj.GRU, name="with another init", init=lj.cells.MGU.init),
    lj.residual(lj.RNN),
    lj.learned_carry(lj.cells.MGU),
    lj.stack(lj.GRU, lj.cells.janet(0.5)),
    lj.zoneout(lj.stack(lj.LSTM, lj.RNN), 0.3),
)
EVERY_CELL = (*ROADS, *OF_THEIR_STEP)


class OneStep(NamedTuple):
    """A step with all that enters and leaves it drawn."""

    params: Any
    copies: Any
    x: Any
    adjoint: Any


def one_step(cell) -> OneStep:
    init_of = lj.GRU if cell.name == "with another init" else cell
    width = HIDDEN if cell.name.startswith("residual") else INPUT
    params = make_params(init_of, width)
    carry = make_carry(cell, params)
    x = draw(BATCH, width, seed=100)
    if cell.name.startswith("zoneout"):
        x = lj.Keyed(x, jax.random.key(0))
    leaves, structure = jax.tree.flatten(jax.eval_shape(cell.step, params, carry, x))
    drawn = [draw(*leaf.shape, seed=300 + n) for n, leaf in enumerate(leaves)]
    copies = dict.fromkeys(edges_of(cell).names, carry)
    return OneStep(params, copies, x, structure.unflatten(drawn))


@partial(jax.jit, static_argnums=0)
def by_edge(cell, params, copies, x, adjoint):
    """Returns what a step makes of the copies, and what comes back to each."""
    out, back = jax.vjp(lambda copies: edges_of(cell).step(params, copies, x), copies)
    return out, back(adjoint)[0]


@partial(jax.jit, static_argnums=0)
def as_it_is(cell, params, carry, x, adjoint):
    out, back = jax.vjp(lambda carry: cell.step(params, carry, x), carry)
    return out, back(adjoint)[0]


@in_float64
@pytest.mark.parametrize("cell", EVERY_CELL, ids=lambda cell: cell.name)
def test_a_step_by_edge_is_the_step_and_its_jacobian_the_sum_over_edges(cell):
    params, copies, x, adjoint = one_step(cell)
    carry = next(iter(copies.values()))
    plain, whole = as_it_is(cell, params, carry, x, adjoint)
    out, parts = by_edge(cell, params, copies, x, adjoint)
    assert_trees_close(out, plain, rtol=0, atol=1e-14)
    assert_trees_close(summed(parts), whole, rtol=0, atol=1e-13)
    for road in parts.values():
        assert any(np.abs(leaf).max() > 1e-3 for leaf in jax.tree.leaves(road))


@in_float64
@pytest.mark.parametrize("cell", ROADS, ids=lambda cell: cell.name)
def test_a_step_by_edge_takes_any_number_of_batch_axes(cell):
    params, copies, x, _ = one_step(cell)
    step = edges_of(cell).step
    wanted = step(params, copies, x)
    for form in (lambda leaf: leaf[0], lambda leaf: leaf.reshape(1, *leaf.shape)):
        found = step(params, jax.tree.map(form, copies), form(x))
        assert_trees_close(found, jax.tree.map(form, wanted), rtol=0, atol=1e-14)


def test_every_cell_has_roads_and_the_same_when_asked_again():
    assert set(lj.CELLS.values()) <= set(ROADS)
    assert all(edges_of(cell) == edges_of(cell) for cell in OF_THEIR_STEP)


def silent_columns(params, edge, order, name="w_hh"):
    """Params in which the columns of one gate, of those in `order`, are zero."""
    blocks = jnp.split(getattr(params, name), len(order), axis=-1)
    blocks[order.index(edge)] *= 0
    return params._replace(**{name: jnp.concatenate(blocks, axis=-1)})


def silent_peephole(params, edge, order):
    params = silent_columns(params, edge, order)
    peeping = order.replace("g", "")
    return params if edge == "g" else silent_columns(params, edge, peeping, "p")


def silent_full_gate(params, edge, order):
    params = silent_peephole(params, edge, order)
    return params if edge == "g" else silent_columns(params, edge, "ifo", "w_gates")


def silent_lesson(params, edge, order):
    if edge in order:
        return silent_columns(params, edge, order, "w_ifv")
    return silent_one(params, edge, order)


def silent_one(params, edge, _):
    return params._replace(**{f"w_{edge}": 0 * getattr(params, f"w_{edge}")})


SILENT: dict[Any, Any] = {
    lj.LSTM: ("ifgo", silent_columns),
    lj.cells.CIFG_LSTM: ("fgo", silent_columns),
    lj.cells.PROJECTION_LSTM: ("ifgo", silent_columns),
    lj.cells.LAYER_NORM_LSTM: ("ifgo", partial(silent_columns, name="scale_hh")),
    lj.cells.LSTM97: ("iog", silent_columns),
    LSTM2000: ("ifog", silent_columns),
    lj.cells.PEEPHOLE_LSTM: ("ifgo", silent_peephole),
    lj.cells.peephole_lstm("NFG"): ("igo", silent_peephole),
    lj.cells.peephole_lstm("FGR"): ("ifgo", silent_full_gate),
    lj.cells.LESSON_PEEPHOLE_LSTM: ("ifv", silent_lesson),
    lj.FOUR_GATE: ("nifuv", silent_one),
    lj.GRU: ("rzn", silent_columns),
    lj.cells.GRU_RESET_BEFORE: ("rzn", silent_columns),
    lj.cells.MGU: ("fn", silent_columns),
    lj.cells.JANET: ("fg", silent_columns),
    lj.cells.MINIMAL_RNN: ("u", silent_columns),
}


@in_float64
@pytest.mark.parametrize("cell", SILENT, ids=lambda cell: cell.name)
def test_a_gate_that_reads_no_memory_has_no_road(cell):
    """So each road is that of the gate of its name, and the rest is what is kept."""
    order, silent = SILENT[cell]
    params, copies, x, adjoint = one_step(cell)
    for gate in edges_of(cell).names[1:]:
        _, parts = by_edge(cell, silent(params, gate, order), copies, x, adjoint)
        for field, leaf in parts["cell"]._asdict().items():
            assert np.all(leaf != 0) == np.any(leaf) == (field == edges_of(cell).memory)
        assert not any(np.any(leaf) for leaf in jax.tree.leaves(parts[gate])), gate


@in_float64
def test_what_is_kept_is_kept_unit_by_unit():
    """The cell road of the antisymmetric RNN is all of it; of a JANET, σ(s)."""
    cell = lj.cells.ANTISYMMETRIC_RNN
    params, copies, x, adjoint = one_step(cell)
    _, parts = by_edge(cell, params, copies, x, adjoint)
    assert_allclose(parts["cell"].h, adjoint[0].h + adjoint[1], rtol=1e-14)
    params, copies, x, adjoint = one_step(lj.cells.JANET)
    _, parts = by_edge(lj.cells.JANET, params, copies, x, adjoint)
    s = (x @ params.w_ih + copies["f"].c @ params.w_hh + params.b)[:, :HIDDEN]
    expected = jax.nn.sigmoid(s) * (adjoint[0].c + adjoint[1])
    assert_allclose(parts["cell"].c, expected, rtol=1e-14)


@in_float64
def test_what_zoneout_keeps_takes_the_first_road():
    cell = lj.zoneout(lj.LSTM, 0.5)
    _, parts = by_edge(cell, *one_step(cell))
    assert np.any(parts["cell"].h) and not np.all(parts["cell"].h)
    assert np.all(parts["cell"].c)
    for gate in "ifgo":
        assert np.any(parts[gate].h) and not np.any(parts[gate].c)


@in_float64
def test_a_truncated_gradient_takes_the_carousel_alone():
    for cell in (lj.cells.lstm97(truncated=True), lstm2000(truncated=True)):
        step = one_step(cell)
        _, parts = by_edge(cell, *step)
        _, whole = as_it_is(cell, step.params, step.copies["cell"], *step[2:])
        assert_trees_close(parts.pop("cell"), whole, rtol=1e-14)
        assert not any(np.any(leaf) for leaf in jax.tree.leaves(parts))


# -- the roads ----------------------------------------------------------------------


def lstm_roads_by_hand(params, xs, dys):
    """The Jacobians of an LSTM step written out, with NumPy; see its docstring."""
    w_ih, w_hh, b = (np.asarray(leaf) for leaf in params)
    sigmoid = lambda z: 1 / (1 + np.exp(-z))
    h = c = np.zeros((BATCH, HIDDEN))
    forward = []
    for x in np.asarray(xs):
        i, f, g, o = np.split(x @ w_ih + h @ w_hh + b, 4, axis=-1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c_before, c = c, f * c + i * g
        h = o * np.tanh(c)
        forward.append((i, f, g, o, c_before, c))
    w = dict(zip("ifgo", np.split(w_hh, 4, axis=-1), strict=True))
    dh = dc = np.zeros((BATCH, HIDDEN))
    roads = []
    for (i, f, g, o, c_before, c), dy in zip(forward[::-1], dys[::-1], strict=True):
        dh = dh + dy
        dc = dc + dh * o * (1 - np.tanh(c) ** 2)
        at_t = {
            "cell": (0 * dh, dc * f),
            "i": ((dc * g * i * (1 - i)) @ w["i"].T, 0 * dc),
            "f": ((dc * c_before * f * (1 - f)) @ w["f"].T, 0 * dc),
            "g": ((dc * i * (1 - g**2)) @ w["g"].T, 0 * dc),
            "o": ((dh * np.tanh(c) * o * (1 - o)) @ w["o"].T, 0 * dc),
        }
        dh, dc = (sum(part) for part in zip(*at_t.values(), strict=True))
        roads.append(at_t)
    return {
        name: lj.LSTMCarry(
            h=jnp.stack([at_t[name][0] for at_t in roads[::-1]]),
            c=jnp.stack([at_t[name][1] for at_t in roads[::-1]]),
        )
        for name in roads[0]
    }


@in_float64
def test_roads_of_an_lstm_are_those_written_out_by_hand():
    params, xs = make_params(lj.LSTM), draw(TIME, BATCH, INPUT, seed=100)
    weights = draw(TIME, BATCH, HIDDEN, seed=101)  # every output is read
    loss = lambda ys: jnp.sum(weights * ys)

    @jax.jit
    def measured():
        arguments = lj.LSTM, params, xs, loss
        measures = road_gradients, log_road_norms, road_shares
        return [measure(*arguments) for measure in measures]

    gradients, log_norms, shares = measured()
    expected = lstm_roads_by_hand(params, xs, np.asarray(weights))
    assert set(gradients) == {"cell", "i", "f", "g", "o"}
    assert_trees_close(gradients, expected, rtol=1e-12, atol=1e-13)
    whole = summed(expected)
    square = sum((leaf**2).sum(-1) for leaf in whole)
    for name, road in expected.items():
        for found, part in zip(log_norms[name], road, strict=True):
            assert_allclose(np.exp(found), np.linalg.norm(part, axis=-1), rtol=1e-12)
        inner = sum((a * b).sum(-1) for a, b in zip(road, whole, strict=True))
        assert_allclose(shares[name], inner / square, rtol=1e-11, atol=1e-13)
    assert_allclose(sum(shares.values()), 1, rtol=1e-12)


def mgu_roads_by_hand(params, h, x, a):
    """Roads of one step of an MGU, a = dL/dh_t; see its docstring."""
    (w_f, w_n), (z_f, z_n) = (
        np.split(w, 2, axis=-1)
        for w in (params.w_hh, np.asarray(x @ params.w_ih + params.b))
    )
    inside = h @ w_n + params.b_hn
    f = 1 / (1 + np.exp(-(z_f + h @ w_f)))
    n = np.tanh(z_n + f * inside)
    dz_n = a * (1 - f) * (1 - n**2)
    dz_f = (a * (h - n) + dz_n * inside) * f * (1 - f)
    return {"cell": f * a, "f": dz_f @ w_f.T, "n": (f * dz_n) @ w_n.T}


def janet_roads_by_hand(params, c, x, a, beta=1.0):
    sigmoid = lambda z: 1 / (1 + np.exp(-z))
    w_f, w_g = np.split(params.w_hh, 2, axis=-1)
    s, g = np.split(x @ params.w_ih + c @ params.w_hh + params.b, 2, axis=-1)
    f, late, g = sigmoid(s), sigmoid(s - beta), np.tanh(g)
    dz_f = a * (c * f * (1 - f) - g * late * (1 - late))
    dz_g = a * (1 - late) * (1 - g**2)
    return {"cell": f * a, "f": dz_f @ w_f.T, "g": dz_g @ w_g.T}


@in_float64
@pytest.mark.parametrize(
    ("cell", "by_hand"),
    [(lj.cells.MGU, mgu_roads_by_hand), (lj.cells.JANET, janet_roads_by_hand)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_roads_of_one_memory_are_those_written_out_by_hand(cell, by_hand):
    params, xs = make_params(cell), draw(TIME, BATCH, INPUT, seed=100)
    carry, weights = make_carry(cell, params), draw(TIME, BATCH, HIDDEN, seed=101)
    found = jax.jit(
        lambda carry: road_gradients(
            cell, params, xs, lambda ys: jnp.sum(weights * ys), carry
        )
    )(carry)
    entering = [carry]
    for x in xs:
        entering.append(cell.step(params, entering[-1], x)[0])
    adjoint = np.zeros((BATCH, HIDDEN))
    for t in reversed(range(TIME)):
        expected = by_hand(params, entering[t][0], xs[t], adjoint + weights[t])
        adjoint = sum(expected.values())
        for name, road in expected.items():
            assert_allclose(found[name][0][t], road, rtol=1e-12, atol=1e-14)


@in_float64
@pytest.mark.slow
@pytest.mark.parametrize("name", lj.CELLS)
def test_roads_of_every_cell_add_up_at_every_step(name):
    cell = lj.CELLS[name]
    params, xs = make_params(cell), draw(TIME, BATCH, INPUT, seed=100)

    @jax.jit
    def both(carry):
        arguments = cell, params, xs, every_output_counts, carry
        return road_gradients(*arguments), lj.carry_gradients(*arguments)

    roads, whole = both(make_carry(cell, params))
    assert_trees_close(summed(roads), whole, rtol=1e-12, atol=1e-13)


@in_float64
def test_each_layer_of_a_stack_has_its_own_roads():
    cell = lj.stack(lj.cells.MGU, lj.RNN)
    params, xs = make_params(cell), draw(TIME, BATCH, INPUT, seed=100)
    mask = jnp.ones((TIME, BATCH), bool).at[1, 0].set(False)

    @jax.jit
    def both(carry):
        arguments = cell, params, xs, every_output_counts, carry
        return (
            road_gradients(*arguments, mask=mask),
            lj.carry_gradients(*arguments, mask=mask),
        )

    roads, whole = both(make_carry(cell, params))
    assert set(roads) == {"0.cell", "0.f", "0.n", "1.h"}
    assert_trees_close(summed(roads), whole, rtol=1e-12, atol=1e-13)
    for name, road in roads.items():
        layer = int(name[0])
        assert np.any(road[layer].h) and not np.any(road[1 - layer].h)
    # A step that does not count hands each layer on along its own first road.
    assert_allclose(roads["0.cell"][0].h[1, 0], whole[0].h[1, 0], rtol=1e-13)
    assert_allclose(roads["1.h"][1].h[1, 0], whole[1].h[1, 0], rtol=1e-13)


@in_float64
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_roads_add_up_under_every_mask(reverse):
    cell = lj.GRU
    params, xs = make_params(cell), draw(TIME, BATCH, INPUT, seed=100)
    carry = make_carry(cell, params)
    masks: Any = {
        "mask": jnp.ones((TIME, BATCH), bool).at[1, 0].set(False),
        "resets": jnp.zeros((TIME, BATCH), bool).at[2, 1].set(True),
        "lengths": jnp.array([TIME, TIME - 1]),
    }

    @jax.jit
    def both():
        arguments = cell, params, xs, every_output_counts, carry
        return (
            road_gradients(*arguments, **masks, reverse=reverse),
            lj.carry_gradients(*arguments, **masks, reverse=reverse),
        )

    roads, whole = both()
    assert_trees_close(summed(roads), whole, rtol=1e-12, atol=1e-13)
    # A step that does not count hands everything on along the first road.
    assert_allclose(roads["cell"].h[1, 0], whole.h[1, 0], rtol=1e-13)
    assert np.all(whole.h[1, 0] != 0)
    for gate in ("r", "z", "n"):
        assert not np.any(roads[gate].h[1, 0])
    if not reverse:  # what enters a reset is forgotten on every road
        assert all(not np.any(road.h[2, 1]) for road in roads.values())


def test_nothing_underflows_on_a_road():
    """A linear RNN of one unit: the adjoint is w^(T-t), down to 1e-600."""
    cell, time, w = lj.rnn("linear"), 300, 0.01
    params = lj.RNNParams(jnp.ones((1, 1)), jnp.full((1, 1), w), jnp.zeros(1))

    @jax.jit
    def measured():
        arguments = cell, params, jnp.ones((time, 1)), last_output
        return log_road_norms(*arguments)["h"], road_shares(*arguments)["h"]

    log_norms, shares = measured()
    assert_allclose(log_norms.h, np.log(w) * np.arange(time, 0, -1), rtol=1e-6)
    assert_array_equal(shares, 1)


@in_float64
def test_shares_where_one_leaf_is_far_below_the_other():
    """h has 1e-30 of the gradient of c, whose square no float32 holds."""
    params = make_params(lj.LSTM)
    params = params._replace(w_hh=1e-30 * params.w_hh)
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params)
    xs = draw(6, BATCH, INPUT).astype(jnp.float32)
    shares = road_shares(lj.LSTM, params, xs, last_output)
    assert_allclose(summed(shares), 1, rtol=1e-5)


@pytest.mark.parametrize("wrapper", [lj.mixed, lj.cells.variational_dropout])
def test_a_cell_whose_edges_are_unknown_is_refused(wrapper):
    cell = lj.stack(lj.GRU, wrapper(lj.LSTM))
    with pytest.raises(ValueError, match=r"cell: got '.*\(lstm\)'; it must be") as e:
        road_shares(cell, None, jnp.ones((2, INPUT)), last_output)
    assert "\n" not in str(e.value) and "lj.gradients.ROADS" in str(e.value)


def test_roads_belong_to_the_step_and_not_to_the_name():
    other = replace(lj.GRU, name="lstm")
    assert edges_of(other) == ROADS[lj.GRU]
    with pytest.raises(ValueError, match="cell: got 'lstm'"):
        edges_of(replace(lj.GRU, name="lstm", step=lambda *_: lj.GRU.step(*_)))


def test_a_cell_of_ones_own_gets_roads_by_an_entry(monkeypatch):
    own = replace(lj.RNN, step=lambda params, carry, x: lj.RNN.step(params, carry, x))
    monkeypatch.setitem(ROADS, own, ROADS[lj.RNN])
    assert edges_of(lj.residual(own)).names == ("h",)


@in_float64
def test_an_entry_that_changed_counts_also_in_wrappers(monkeypatch):
    own = replace(lj.GRU, step=lambda params, carry, x: lj.GRU.step(params, carry, x))
    params = make_params(lj.GRU), make_params(lj.cells.JANET)
    residual, zoned = lj.residual(own), lj.zoneout(own, 0.5)
    for edges in (ROADS[lj.GRU], one_edge(own)):
        monkeypatch.setitem(ROADS, own, edges)
        for cell in (own, residual, zoned, lj.stack(residual, lj.cells.janet(0.3))):
            by_edge = cell_of_copies(cell)
            carry = by_edge.init_carry(params if cell.layers else params[0])
            assert tuple(carry) == edges_of(cell).names
            # One function for equal cells, so that they are compiled once.
            assert cell_of_copies(cell) is by_edge


def halved(step):
    """The step of a cell that loses half of its memory before it begins."""

    @wraps(step)
    def decorated(params, carry, x):
        return step(params, jax.tree.map(lambda leaf: leaf / 2, carry), x)

    return decorated


@pytest.mark.parametrize(
    "known", [*WIRED, lj.cells.janet(0.3)], ids=lambda cell: cell.name
)
def test_a_decorated_step_is_not_the_librarys(known):
    own = replace(known, name="own", step=halved(known.step))
    with pytest.raises(ValueError, match="cell: got 'own'; it must be one that has"):
        edges_of(own)


# -- the carousel -------------------------------------------------------------------


@in_float64
def test_the_carousel_is_the_product_of_the_forget_gates():
    params, xs = make_params(lj.LSTM), draw(TIME, BATCH, INPUT, seed=100)
    lengths = jnp.array([TIME, TIME - 2])

    @jax.jit
    def measured():
        arguments = lj.LSTM, params, xs
        carries, _ = lj.unroll_carries(*arguments, lengths=lengths)
        before = jnp.concatenate([jnp.zeros((1, BATCH, HIDDEN)), carries.h[:-1]])
        return (
            lj.lstm_gates(params, before, xs).f,
            lj.carry_gradients(*arguments, every_output_counts, lengths=lengths).c,
            forget_factors(*arguments, lengths=lengths),
            log_carousel_norms(*arguments, every_output_counts, lengths=lengths),
        )

    gates, total, factors, norms = measured()
    counts = np.arange(TIME)[:, None] < np.asarray(lengths)
    gates = np.where(counts[..., None], gates, 1)
    assert_allclose(factors, gates, rtol=1e-13)
    for example, length in enumerate(lengths.tolist()):
        carousel = np.array(total[:, example])
        for t in reversed(range(length - 1)):
            carousel[t] = gates[t, example] * carousel[t + 1]
        rest = total[:, example] - carousel
        expected = total[:, example], carousel, rest
        for found, part in zip(norms, expected, strict=True):
            norm = np.linalg.norm(part, axis=-1)
            assert_allclose(np.exp(found[:, example]), norm, 1e-11, 1e-13)
        assert np.linalg.norm(rest[0]) > 1e-3


@in_float64
def test_forget_factors_are_the_gate_that_each_cell_keeps_with():
    xs = draw(1, BATCH, INPUT, seed=100)
    params = make_params(lj.GRU)
    carry = make_carry(lj.GRU, params)
    z = xs[0] @ params.w_ih + carry.h @ params.w_hh + params.b
    expected = jax.nn.sigmoid(z[:, HIDDEN : 2 * HIDDEN])
    found = forget_factors(lj.GRU, params, xs, carry)
    assert_allclose(found[0], expected, rtol=1e-13)
    never = forget_factors(lj.cells.LSTM97, make_params(lj.cells.LSTM97), xs)
    assert_array_equal(never, 1)


def test_nothing_underflows_on_the_carousel():
    """Zero weights and b_f = -1: the adjoint of c shrinks by σ(-1), to 1e-283."""
    time = 500
    zeros = jax.tree.map(jnp.zeros_like, lj.LSTM.init(jax.random.key(0), 1, HIDDEN))
    params = zeros._replace(b=zeros.b.at[HIDDEN : 2 * HIDDEN].set(-1.0))
    xs = jnp.zeros((time, 1))
    norms = jax.jit(lambda: log_carousel_norms(lj.LSTM, params, xs, last_output))()
    # At the last step c gets o = σ(0) of the output's 1, times f as at every other.
    steps = np.arange(time, 0, -1)
    expected = np.log(0.5 * np.sqrt(HIDDEN)) - steps * np.log1p(np.exp(1.0))
    assert expected[0] < np.log(1e-280)
    assert_allclose(norms.total, expected, rtol=1e-5)
    assert_allclose(norms.carousel, expected, rtol=1e-5)
    assert_array_equal(norms.rest, -np.inf)


def test_a_reset_stops_the_carousel_and_a_hole_does_not():
    params = lj.LSTM.init(jax.random.key(0), INPUT, HIDDEN)
    factors = forget_factors(
        lj.LSTM,
        params,
        jnp.ones((3, INPUT)),
        mask=jnp.array([True, False, True]),
        resets=jnp.array([False, False, True]),
    )
    assert np.all((factors[0] > 0) & (factors[0] < 1))
    assert_array_equal(factors[1], 1)
    assert_array_equal(factors[2], 0)


def test_a_cell_without_a_kept_memory_is_refused():
    params = lj.RNN.init(jax.random.key(0), INPUT, HIDDEN)
    with pytest.raises(ValueError, match="cell: got 'rnn'; it must be one that keeps"):
        forget_factors(lj.RNN, params, jnp.ones((2, INPUT)))


# -- time constants -----------------------------------------------------------------


@in_float64
def test_a_memory_has_lost_all_but_1_over_e_after_its_time_constant():
    factors = jnp.array([0.1, 0.5, 0.9, 0.999, 1 - 1e-12])
    assert_allclose(factors ** time_constants(factors), np.exp(-1), rtol=1e-9)
    assert_array_equal(time_constants(jnp.array([0.0, 1.0])), [0, np.inf])


@in_float64
def test_a_units_time_constant_is_that_of_its_whole_product():
    factors = jax.nn.sigmoid(draw(TIME, BATCH, HIDDEN))
    kept = np.prod(np.asarray(factors), axis=(0, 1))
    expected = -TIME * BATCH / np.log(kept)
    assert_allclose(unit_time_constants(factors), expected, rtol=1e-12)
    never = unit_time_constants(jnp.ones((TIME, 2)).at[0, 1].set(0.0))
    assert_array_equal(never, [np.inf, 0])


@pytest.mark.parametrize("wrong", [-0.1, 1.1])
def test_factors_outside_0_and_1_are_refused(wrong):
    with pytest.raises(ValueError, match=r"factors: got an array with .*\[0, 1\]"):
        time_constants(jnp.array([0.5, wrong]))
