"""Paths and carousel against hand-written Jacobians, closed forms and the whole."""

from dataclasses import replace
from functools import partial
from typing import Any

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numpy.testing import assert_allclose, assert_array_equal

import lstm_jax as lj
from lstm_jax.cells.layer_norm_lstm import layer_norm_lstm
from lstm_jax.cells.lstm97_input_gate import LSTM97_INPUT_GATE
from lstm_jax.cells.lstm2000 import LSTM2000, lstm2000
from lstm_jax.gradients.carousel import (
    forget_factors,
    log_carousel_norms,
    time_constants,
    unit_time_constants,
)
from lstm_jax.gradients.paths import (
    log_path_norms,
    path_gradients,
    path_jacobians,
    path_names,
    path_shares,
)

TIME, INPUT, HIDDEN, BATCH = 5, 3, 4, 2

in_float64 = pytest.mark.usefixtures("x64")


def draw(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def drawn_like(tree, seed=0, scale=1.0) -> Any:
    """Every leaf drawn: no zero in it, biases included."""
    leaves, structure = jax.tree.flatten(tree)
    drawn = [scale * draw(*leaf.shape, seed=seed + n) for n, leaf in enumerate(leaves)]
    return structure.unflatten(drawn)


def make_params(cell, input_size=INPUT) -> Any:
    sizes = {"input_size": input_size, "hidden_size": HIDDEN}
    init = partial(cell.init, **sizes, dtype=jnp.float64)
    return drawn_like(jax.eval_shape(init, jax.random.key(0)), scale=0.5)


def make_carry(cell, params) -> Any:
    return drawn_like(cell.init_carry(params, (BATCH,)), seed=200)


def every_output_counts(ys):
    return jnp.sqrt(1 + jnp.sum(jnp.sin(ys)) ** 2)


def last_output(ys):
    return jnp.sum(ys[-1])


def summed(paths):
    return jax.tree.map(lambda *parts: sum(parts), *paths.values())


def assert_trees_close(found, expected, **tolerance):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(lambda a, b: assert_allclose(a, b, **tolerance), found, expected)


# -- names and Jacobians ------------------------------------------------------------

LSTM_PATHS = ("cell", "i", "f", "g", "o")
NAMES: dict[Any, tuple[str, ...]] = {
    **dict.fromkeys(map(lj.rnn, ("tanh", "relu", "logistic", "linear")), ("h",)),
    lj.cells.IRNN: ("h",),
    lj.cells.INDRNN: ("h",),
    lj.LSTM: LSTM_PATHS,
    lj.cells.CIFG_LSTM: ("cell", "f", "g", "o"),
    lj.cells.PROJECTION_LSTM: LSTM_PATHS,
    lj.cells.LAYER_NORM_LSTM: LSTM_PATHS,
    layer_norm_lstm(0.1): LSTM_PATHS,
    lj.cells.PEEPHOLE_LSTM: LSTM_PATHS,
    lj.cells.peephole_lstm("NIG"): ("cell", "f", "g", "o"),
    lj.cells.peephole_lstm("NFG"): ("cell", "i", "g", "o"),
    lj.cells.peephole_lstm("NOG"): ("cell", "i", "f", "g"),
    **dict.fromkeys(
        map(lj.cells.peephole_lstm, ("NIAF", "NOAF", "NP", "FGR")), LSTM_PATHS
    ),
    lj.cells.LESSON_PEEPHOLE_LSTM: ("cell", "n", "i", "f", "v", "u"),
    lj.FOUR_GATE: ("cell", "n", "i", "f", "u", "v"),
    lj.four_gate("ltm"): ("cell", "n", "i", "f", "v"),
    lj.cells.LSTM97: ("cell", "i", "o", "g"),
    lj.cells.lstm97(2, biased="gates"): ("cell", "i", "o", "g"),
    lj.cells.lstm97(2, truncated=True): ("cell", "i", "o", "g"),
    LSTM97_INPUT_GATE: ("cell",),
    LSTM2000: ("cell", "i", "f", "o", "g"),
    lstm2000(2, truncated=True): ("cell", "i", "f", "o", "g"),
    lj.GRU: ("cell", "r", "z", "n"),
    lj.cells.GRU_RESET_BEFORE: ("cell", "r", "z", "n"),
    lj.cells.MGU: ("cell", "f", "n"),
    lj.cells.JANET: ("cell", "f", "g"),
    lj.cells.janet(1 / 3): ("cell", "f", "g"),
    lj.cells.MINIMAL_RNN: ("cell", "u"),
    lj.cells.ANTISYMMETRIC_RNN: ("cell", "n"),
    lj.cells.antisymmetric_rnn(0.2, 1 / 3): ("cell", "n"),
    lj.residual(lj.RNN): ("h",),
    lj.learned_carry(lj.cells.MGU): ("cell", "f", "n"),
    lj.stack(lj.GRU, lj.cells.janet(0.5)): (
        *("0.cell", "0.r", "0.z", "0.n"),
        *("1.cell", "1.f", "1.g"),
    ),
    lj.stack(lj.RNN, lj.stack(lj.cells.MGU, lj.RNN)): (
        *("0.h", "1.0.cell", "1.0.f", "1.0.n", "1.1.h"),
    ),
    # What zoneout keeps is kept: "cell", also of a cell that keeps nothing itself.
    lj.zoneout(lj.LSTM, 0.5): LSTM_PATHS,
    lj.zoneout(lj.cells.PEEPHOLE_LSTM, 0.5): LSTM_PATHS,
    lj.zoneout(lj.stack(lj.cells.MGU, lj.RNN), 0.3): (
        *("0.cell", "0.f", "0.n"),
        *("1.cell", "1.h"),
    ),
    lj.residual(lj.stack(lj.cells.MGU, lj.RNN)): ("0.cell", "0.f", "0.n", "1.h"),
    lj.cells.variational_dropout(lj.LSTM, hidden_rate=0.5): LSTM_PATHS,
}


def inputs_of(cell):
    width = HIDDEN if cell.name.startswith("residual") else INPUT
    xs = draw(2, BATCH, width, seed=100)
    keyed = isinstance(cell, lj.cells.KeyedCell)
    return width, lj.with_keys(jax.random.key(0), xs, cell.per) if keyed else xs


def path_and_whole_jacobians(cell, params, xs, carry):
    @jax.jit
    def both(carry):
        arguments = cell, params, xs, carry
        return path_jacobians(*arguments), lj.step_jacobians(*arguments)

    return both(carry)


def test_every_cell_of_the_library_is_among_them():
    assert set(lj.CELLS.values()) <= NAMES.keys()


@in_float64
@pytest.mark.parametrize("cell", NAMES, ids=lambda cell: cell.name)
def test_paths_have_the_names_of_the_gates_and_add_up_to_the_step(cell):
    width, xs = inputs_of(cell)
    params = make_params(cell, width)
    first = jax.tree.map(lambda leaf: leaf[0], xs)
    assert path_names(cell, params, first) == NAMES[cell]
    carry = make_carry(cell, params)
    paths, whole = path_and_whole_jacobians(cell, params, xs, carry)
    assert set(paths) == {*NAMES[cell]}
    assert_allclose(sum(paths.values()), whole, rtol=0, atol=1e-13)
    silent = {name for name, path in paths.items() if np.abs(path).max() < 1e-3}
    truncated = "truncated" in cell.name
    assert silent == ({*NAMES[cell]} - {"cell"} if truncated else set())


@in_float64
def test_any_number_of_batch_axes():
    params, xs = make_params(lj.cells.PEEPHOLE_LSTM), draw(2, 2, 3, INPUT)
    whole = path_jacobians(lj.cells.PEEPHOLE_LSTM, params, xs)
    for form in (lambda leaf: leaf[:, 1], lambda leaf: leaf[:, 1, 2]):
        found = path_jacobians(lj.cells.PEEPHOLE_LSTM, params, form(xs))
        assert_trees_close(found, jax.tree.map(form, whole), rtol=0, atol=1e-14)


def silent_columns(params, gate, order, name="w_hh"):
    """Params in which the columns of one gate, of those in `order`, are zero."""
    blocks = jnp.split(getattr(params, name), len(order), axis=-1)
    blocks[order.index(gate)] *= 0
    return params._replace(**{name: jnp.concatenate(blocks, axis=-1)})


def silent_peephole(params, gate, order):
    params = silent_columns(params, gate, order)
    peeping = order.replace("g", "")
    return params if gate == "g" else silent_columns(params, gate, peeping, "p")


def silent_full_gate(params, gate, order):
    params = silent_peephole(params, gate, order)
    return params if gate == "g" else silent_columns(params, gate, "ifo", "w_gates")


def silent_lesson(params, gate, order):
    if gate in order:
        return silent_columns(params, gate, order, "w_ifv")
    return silent_one(params, gate, order)


def silent_one(params, gate, _):
    return params._replace(**{f"w_{gate}": 0 * getattr(params, f"w_{gate}")})


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
def test_a_gate_that_reads_no_memory_has_no_path(cell):
    """So each path is that of the gate of its name, and the rest is what is kept."""
    order, silent = SILENT[cell]
    params, xs = make_params(cell), draw(1, INPUT, seed=100)
    carry = drawn_like(cell.init_carry(params), seed=200)
    weights = drawn_like(cell.init_carry(params), seed=300)

    @jax.jit
    def paths_of(params):
        jacobians = path_jacobians(cell, params, xs, carry)
        row = jnp.concatenate(jax.tree.leaves(weights))
        return {name: row @ jacobian[0] for name, jacobian in jacobians.items()}

    ends = np.cumsum([leaf.size for leaf in carry])[:-1]
    for gate in cell.gates:
        paths = paths_of(silent(params, gate, order))
        kept = dict(zip(carry._fields, np.split(paths["cell"], ends), strict=True))
        for field, part in kept.items():
            assert np.all(part != 0) == np.any(part) == (field == cell.memory)
        assert not np.any(paths[gate]), gate


@in_float64
def test_what_is_kept_is_kept_unit_by_unit():
    """The cell path of the antisymmetric RNN is all of it; of a JANET, σ(s)."""
    cell, xs = lj.cells.ANTISYMMETRIC_RNN, draw(1, INPUT, seed=100)
    params = make_params(cell)
    assert_allclose(path_jacobians(cell, params, xs)["cell"][0], np.eye(HIDDEN), 1e-14)
    params = make_params(lj.cells.JANET)
    carry = drawn_like(lj.cells.JANET.init_carry(params), seed=200)
    kept = path_jacobians(lj.cells.JANET, params, xs, carry)["cell"][0]
    s = (xs[0] @ params.w_ih + carry.c @ params.w_hh + params.b)[:HIDDEN]
    assert_allclose(kept, np.diag(jax.nn.sigmoid(s)), rtol=1e-14)


@in_float64
def test_what_zoneout_keeps_is_on_the_cell_path():
    cell = lj.zoneout(lj.LSTM, 0.5)
    params = make_params(cell)
    xs = lj.with_keys(jax.random.key(0), draw(1, INPUT, seed=100))
    carry = drawn_like(cell.init_carry(params), seed=200)
    paths = path_jacobians(cell, params, xs, carry)
    of_h = paths["cell"][0][:HIDDEN, :HIDDEN]
    assert np.any(of_h) and not np.all(np.diag(of_h))
    assert np.all(np.diag(paths["cell"][0][HIDDEN:, HIDDEN:]))
    for gate in "ifgo":
        assert np.any(paths[gate]) and not np.any(paths[gate][..., HIDDEN:])


@in_float64
def test_a_layer_reads_what_the_one_below_makes_and_not_its_memory():
    """Also where the lower one is zoned out, and shows a choice of old and new."""
    cell = lj.stack(lj.zoneout(lj.cells.JANET, 0.5), lj.RNN)
    params = make_params(lj.cells.JANET), make_params(lj.RNN, HIDDEN)
    xs = lj.with_keys(jax.random.key(0), draw(1, INPUT, seed=100))
    carry = drawn_like(cell.init_carry(params), seed=200)
    paths = path_jacobians(cell, params, xs, carry)
    assert set(paths) == {"0.cell", "0.f", "0.g", "1.h"}
    for name, path in paths.items():
        below, above = np.split(path[0], 2, axis=-1)
        assert (np.any(below), np.any(above)) == ((True, False), (False, True))[
            int(name[0])
        ]


def test_jacobians_of_a_saturated_unit_keep_their_slope():
    """tanh'(12) = 4 e^-24 = 1.5e-10, where 1 - tanh² is 0 in float32."""
    params = lj.RNNParams(jnp.zeros((1, 1)), jnp.ones((1, 1)), jnp.full(1, 12.0))
    found = path_jacobians(lj.RNN, params, jnp.zeros((1, 1)))["h"]
    assert_allclose(found, 4 * np.exp(-24.0), rtol=1e-5)


# -- cells of others ----------------------------------------------------------------


def own_step(params, carry, x):
    f = jax.nn.sigmoid(x @ params["w_f"] + carry @ params["u_f"])
    g = jnp.tanh(x @ params["w_g"] + carry @ params["u_g"])
    new = f * carry + (1 - f) * g
    return new, new


def looped_step(params, carry, x):
    carry, _ = jax.lax.scan(lambda c, _: own_step(params, c, x), carry, length=2)
    return carry, carry


def begin(params, batch_shape):
    return jnp.zeros((*batch_shape, HIDDEN))


def own_params():
    shapes = {"w": (INPUT, HIDDEN), "u": (HIDDEN, HIDDEN)}
    names = ("w_f", "u_f", "w_g", "u_g")
    return drawn_like({n: jnp.zeros(shapes[n[0]]) for n in names}, scale=0.5)


OWN = lj.from_function(own_step, begin)


def initial(cell):
    return drawn_like(cell.init(jax.random.key(0), INPUT, HIDDEN), scale=0.5)


def of_linen(module):
    cell = lj.from_linen(module(HIDDEN))
    return cell, initial(cell)


def of_nnx(module):
    made = module(INPUT, HIDDEN, rngs=nnx.Rngs(0))
    params = drawn_like(nnx.state(made, nnx.Param), scale=0.5)
    return lj.from_nnx(made), params


def of_haiku(core):
    cell = lj.from_haiku(lambda: core(HIDDEN))
    return cell, initial(cell)


def of_equinox(module):
    made = module(INPUT, HIDDEN, key=jax.random.key(0))
    params = drawn_like(eqx.filter(made, eqx.is_inexact_array), scale=0.5)
    return lj.from_equinox(made), params


SIGMOIDS = ["sigmoid"] * 3
FOREIGN = {
    "linen LSTM": (lambda: of_linen(nn.LSTMCell), [*SIGMOIDS, "tanh"]),
    "linen optimized LSTM": (
        lambda: of_linen(nn.OptimizedLSTMCell),
        [*SIGMOIDS, "tanh"],
    ),
    "linen GRU": (lambda: of_linen(nn.GRUCell), ["sigmoid", "sigmoid", "tanh"]),
    "nnx LSTM": (lambda: of_nnx(nnx.LSTMCell), [*SIGMOIDS, "tanh"]),
    "nnx GRU": (lambda: of_nnx(nnx.GRUCell), ["sigmoid", "sigmoid", "tanh"]),
    "haiku LSTM": (lambda: of_haiku(hk.LSTM), [*SIGMOIDS, "tanh"]),
    "haiku GRU": (lambda: of_haiku(hk.GRU), ["sigmoid", "sigmoid", "tanh"]),
    "equinox LSTM": (lambda: of_equinox(eqx.nn.LSTMCell), [*SIGMOIDS, "tanh"]),
    "equinox GRU": (lambda: of_equinox(eqx.nn.GRUCell), ["sigmoid", "sigmoid", "tanh"]),
    "a function": (lambda: (OWN, own_params()), ["sigmoid", "tanh"]),
    "a loop": (lambda: (lj.from_function(looped_step, begin), own_params()), []),
}


@in_float64
@pytest.mark.parametrize("name", FOREIGN)
def test_a_cell_of_others_has_its_paths_untouched(name):
    make, squashes = FOREIGN[name]
    cell, params = make()
    xs = draw(2, BATCH, INPUT, seed=100)
    names = path_names(cell, params, xs[0])
    assert names[0] == "cell"
    gates = [gate.split(" -> ")[-1].split() for gate in names[1:]]
    assert sorted(squash for squash, _ in gates) == squashes
    assert [int(at) for _, at in gates] == [*range(len(gates))]
    carry = make_carry(cell, params)
    paths, whole = path_and_whole_jacobians(cell, params, xs, carry)
    assert set(paths) == {*names}
    assert_allclose(sum(paths.values()), whole, rtol=0, atol=1e-13)
    assert all(np.abs(path).max() > 1e-3 for path in paths.values())


def test_a_gate_is_called_by_the_field_that_it_reads():
    cell, params = of_haiku(hk.LSTM)
    names = path_names(cell, params, jnp.ones(INPUT))
    assert names[1:3] == ("hidden -> sigmoid 0", "hidden -> tanh 1")


@in_float64
def test_a_cell_of_ones_own_names_its_gates():
    """Its field "f" is the forget gate: what it keeps is what `forget_factors` says."""
    cell = replace(OWN, gates=("f", "g"))
    params, xs = own_params(), draw(2, BATCH, INPUT, seed=100)
    assert path_names(cell, params, xs[0]) == ("cell", "f", "g")
    values = lj.trace(cell, params, xs)
    paths = path_jacobians(cell, params, xs)
    assert_allclose(jnp.diagonal(paths["cell"], axis1=-2, axis2=-1), values["f"], 1e-14)
    stacked = lj.stack(cell, lj.RNN)
    both = params, make_params(lj.RNN, HIDDEN)
    assert path_names(stacked, both, xs[0]) == ("0.cell", "0.f", "0.g", "1.h")


def test_gates_that_the_step_does_not_show_are_refused():
    cell, params = replace(OWN, gates=("f", "g", "o")), own_params()
    xs = jnp.ones((1, INPUT))
    for call in (
        lambda: path_names(cell, params, xs[0]),
        lambda: lj.trace(cell, params, xs),
        lambda: path_shares(cell, params, xs, last_output),
    ):
        with pytest.raises(ValueError, match=r"gates: got f, g, o of 'own_step'") as e:
            call()
        assert "2 that read the memory (sigmoid 0, tanh 1)" in str(e.value)
        assert "\n" not in str(e.value)


def own_edges(params, copies, x):
    f = jax.nn.sigmoid(x @ params["w_f"] + copies["f"] @ params["u_f"])
    g = jnp.tanh(x @ params["w_g"] + copies["g"] @ params["u_g"])
    new = f * copies["cell"] + (1 - f) * g
    return new, new


@in_float64
def test_edges_of_ones_own_stand_in_for_what_is_found():
    """The step in a `jax.checkpoint` shows one path; with its edges all three."""
    blind = lj.from_function(jax.checkpoint(own_step), begin)
    cell = replace(blind, gates=("f", "g"), edges=own_edges)
    params, xs = own_params(), draw(TIME, BATCH, INPUT, seed=100)
    mask = jnp.ones((TIME, BATCH), bool).at[1, 0].set(False)
    assert path_names(blind, params, xs[0]) == ("cell",)
    assert path_names(cell, params, xs[0]) == ("cell", "f", "g")
    named = replace(OWN, gates=("f", "g"))

    @jax.jit
    def both(cells=(cell, named)):
        return [
            (
                path_gradients(one, params, xs, every_output_counts, mask=mask),
                path_jacobians(one, params, xs),
            )
            for one in cells
        ]

    assert_trees_close(*both(), rtol=1e-12, atol=1e-14)
    assert set(lj.trace(cell, params, xs)) == {"carry"}
    with pytest.raises(ValueError, match="gates: got f, g of 'learned_carry"):
        path_names(
            lj.learned_carry(cell),
            lj.cells.LearnedCarryParams(params, jnp.zeros(HIDDEN)),
            xs[0],
        )


# -- what the gates say -------------------------------------------------------------


@in_float64
def test_the_trace_of_an_lstm_is_its_gates_and_its_memory():
    params, xs = make_params(lj.LSTM), draw(TIME, BATCH, INPUT, seed=100)
    carry = make_carry(lj.LSTM, params)
    values = lj.trace(lj.LSTM, params, xs, carry)
    assert set(values) == {*"ifgohc"}
    carries, _ = lj.unroll_carries(lj.LSTM, params, xs, carry)
    before = jnp.concatenate([carry.h[None], carries.h[:-1]])
    gates = lj.lstm_gates(params, before, xs)
    for name, expected in (gates._asdict() | carries._asdict()).items():
        assert_allclose(values[name], expected, rtol=1e-14, atol=1e-15)


@in_float64
def test_the_trace_of_other_cells():
    """GRU: z from its equation; the LSTM of 1997: g in (-2, 2), its gates the carry's;
    the lesson: gates of one squash; a stack: each layer's."""
    params, xs = make_params(lj.GRU), draw(1, BATCH, INPUT, seed=100)
    carry = make_carry(lj.GRU, params)
    values = lj.trace(lj.GRU, params, xs, carry)
    assert set(values) == {*"rznh"}
    z = jax.nn.sigmoid(xs @ params.w_ih + carry.h @ params.w_hh + params.b)
    assert_allclose(values["r"], z[..., :HIDDEN], rtol=1e-14)
    assert_allclose(values["z"], z[..., HIDDEN : 2 * HIDDEN], rtol=1e-14)
    h = values["z"] * carry.h + (1 - values["z"]) * values["n"]
    assert_allclose(values["h"], h, rtol=1e-14)
    params = make_params(lj.cells.LSTM97)
    values = lj.trace(lj.cells.LSTM97, params, xs)
    assert set(values) == {*"iogch"}
    assert_allclose(values["c"], values["i"] * values["g"], rtol=1e-14)
    cell = lj.cells.LESSON_PEEPHOLE_LSTM
    params = make_params(cell)
    carry = make_carry(cell, params)
    values = lj.trace(cell, params, xs, carry)
    ltm = values["f"] * carry.ltm + values["i"] * values["n"]
    assert_allclose(values["ltm"], ltm, rtol=1e-14)
    assert_allclose(values["stm"], values["u"] * values["v"], rtol=1e-14)
    cell = lj.stack(lj.LSTM, lj.RNN)
    params = make_params(lj.LSTM), make_params(lj.RNN, HIDDEN)
    values = lj.trace(cell, params, xs)
    assert set(values) == {*(f"0.{name}" for name in "ifgohc"), "1.h"}


@in_float64
def test_the_trace_of_a_cell_without_names_is_its_pre_activations():
    params, xs = own_params(), draw(TIME, BATCH, INPUT, seed=100)
    values = lj.trace(OWN, params, xs)
    assert set(values) == {"sigmoid 0", "tanh 1", "carry"}
    before = jnp.concatenate([jnp.zeros((1, BATCH, HIDDEN)), values["carry"][:-1]])
    expected = xs @ params["w_f"] + before @ params["u_f"]
    assert_allclose(values["sigmoid 0"], expected, rtol=1e-13, atol=1e-14)
    f, g = jax.nn.sigmoid(values["sigmoid 0"]), jnp.tanh(values["tanh 1"])
    assert_allclose(values["carry"], f * before + (1 - f) * g, rtol=1e-13)


@in_float64
def test_at_a_step_that_does_not_count_the_memory_stays_and_gates_are_silent():
    params, xs = make_params(lj.LSTM), draw(3, INPUT, seed=100)
    mask = jnp.array([True, False, True])
    values = lj.trace(lj.LSTM, params, xs, mask=mask, reverse=True)
    assert_array_equal(values["c"][1], values["c"][2])
    assert not np.any(values["f"][1]) and np.all(values["f"][::2])
    idle = lj.trace(lj.LSTM, params, xs, mask=jnp.zeros(3, bool))
    assert not any(np.any(value) for value in idle.values())


# -- the gradient -------------------------------------------------------------------


def lstm_paths_by_hand(params, xs, dys):
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
    paths = []
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
        paths.append(at_t)
    return {
        name: lj.LSTMCarry(
            h=jnp.stack([at_t[name][0] for at_t in paths[::-1]]),
            c=jnp.stack([at_t[name][1] for at_t in paths[::-1]]),
        )
        for name in paths[0]
    }


@in_float64
def test_paths_of_an_lstm_are_those_written_out_by_hand():
    params, xs = make_params(lj.LSTM), draw(TIME, BATCH, INPUT, seed=100)
    weights = draw(TIME, BATCH, HIDDEN, seed=101)  # every output is read
    loss = lambda ys: jnp.sum(weights * ys)

    @jax.jit
    def measured():
        arguments = lj.LSTM, params, xs, loss
        measures = path_gradients, log_path_norms, path_shares
        return [measure(*arguments) for measure in measures]

    gradients, log_norms, shares = measured()
    expected = lstm_paths_by_hand(params, xs, np.asarray(weights))
    assert set(gradients) == {"cell", "i", "f", "g", "o"}
    assert_trees_close(gradients, expected, rtol=1e-12, atol=1e-13)
    whole = summed(expected)
    square = sum((leaf**2).sum(-1) for leaf in whole)
    for name, path in expected.items():
        for found, part in zip(log_norms[name], path, strict=True):
            assert_allclose(np.exp(found), np.linalg.norm(part, axis=-1), rtol=1e-12)
        inner = sum((a * b).sum(-1) for a, b in zip(path, whole, strict=True))
        assert_allclose(shares[name], inner / square, rtol=1e-11, atol=1e-13)
    assert_allclose(sum(shares.values()), 1, rtol=1e-12)


def mgu_paths_by_hand(params, h, x, a):
    """Paths of one step of an MGU, a = dL/dh_t; see its docstring."""
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


def janet_paths_by_hand(params, c, x, a, beta=1.0):
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
    [(lj.cells.MGU, mgu_paths_by_hand), (lj.cells.JANET, janet_paths_by_hand)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_paths_of_one_memory_are_those_written_out_by_hand(cell, by_hand):
    params, xs = make_params(cell), draw(TIME, BATCH, INPUT, seed=100)
    carry, weights = make_carry(cell, params), draw(TIME, BATCH, HIDDEN, seed=101)
    found = jax.jit(
        lambda carry: path_gradients(
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
        for name, path in expected.items():
            assert_allclose(found[name][0][t], path, rtol=1e-12, atol=1e-14)


@in_float64
def test_each_layer_of_a_stack_has_its_own_paths():
    cell = lj.stack(lj.cells.MGU, lj.RNN)
    params, xs = make_params(cell), draw(TIME, BATCH, INPUT, seed=100)
    mask = jnp.ones((TIME, BATCH), bool).at[1, 0].set(False)

    @jax.jit
    def both(carry):
        arguments = cell, params, xs, every_output_counts, carry
        return (
            path_gradients(*arguments, mask=mask),
            lj.carry_gradients(*arguments, mask=mask),
        )

    paths, whole = both(make_carry(cell, params))
    assert set(paths) == {"0.cell", "0.f", "0.n", "1.h"}
    assert_trees_close(summed(paths), whole, rtol=1e-12, atol=1e-13)
    for name, path in paths.items():
        layer = int(name[0])
        assert np.any(path[layer].h) and not np.any(path[1 - layer].h)
    # A step that does not count hands each layer on along its own first path.
    assert_allclose(paths["0.cell"][0].h[1, 0], whole[0].h[1, 0], rtol=1e-13)
    assert_allclose(paths["1.h"][1].h[1, 0], whole[1].h[1, 0], rtol=1e-13)


@in_float64
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_paths_add_up_under_every_mask(reverse):
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
            path_gradients(*arguments, **masks, reverse=reverse),
            lj.carry_gradients(*arguments, **masks, reverse=reverse),
        )

    paths, whole = both()
    assert_trees_close(summed(paths), whole, rtol=1e-12, atol=1e-13)
    # A step that does not count hands everything on along the first path.
    assert_allclose(paths["cell"].h[1, 0], whole.h[1, 0], rtol=1e-13)
    assert np.all(whole.h[1, 0] != 0)
    for gate in ("r", "z", "n"):
        assert not np.any(paths[gate].h[1, 0])
    if not reverse:  # what enters a reset is forgotten on every path
        assert all(not np.any(path.h[2, 1]) for path in paths.values())


def test_nothing_underflows_on_a_path():
    """A linear RNN of one unit: the adjoint is w^(T-t), down to 1e-600."""
    cell, time, w = lj.rnn("linear"), 300, 0.01
    params = lj.RNNParams(jnp.ones((1, 1)), jnp.full((1, 1), w), jnp.zeros(1))

    @jax.jit
    def measured():
        arguments = cell, params, jnp.ones((time, 1)), last_output
        return log_path_norms(*arguments)["h"], path_shares(*arguments)["h"]

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
    shares = path_shares(lj.LSTM, params, xs, last_output)
    assert_allclose(summed(shares), 1, rtol=1e-5)


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
