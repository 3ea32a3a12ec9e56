"""Cells made of cells, and what limits the signal that travels back."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import drawn_like, equations_of

import lstm_jax as lj

TIME, BATCH, INPUT, HIDDEN = 7, 3, 4, 5


def close(one, other, tolerance=1e-12):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def sequence(key, width=INPUT, dtype=jnp.float64):
    return jax.random.normal(key, (TIME, BATCH, width), dtype)


MASKS = {
    "none": {},
    "lengths": {"lengths": jnp.array([7, 0, 4])},
    "resets": {"resets": jnp.zeros((TIME, BATCH), bool).at[3, 0].set(True)},
    "reverse": {"reverse": True, "lengths": jnp.array([7, 2, 4])},
}


def stepwise(cell):
    """The same cell, of which `unroll` does not know that it has layers."""
    return lj.Cell(
        name=cell.name, init=cell.init, init_carry=cell.init_carry, step=cell.step
    )


@pytest.mark.parametrize("masks", MASKS.values(), ids=MASKS.keys())
def test_a_stack_layer_by_layer_equals_the_stack_step_by_step(key, x64, masks):
    cell = lj.stack(lj.LSTM, lj.GRU, lj.RNN)
    params = cell.init(key, INPUT, HIDDEN, dtype=jnp.float64)
    xs = sequence(key)

    def loss(cell, params, xs, carry):
        carry, ys = lj.unroll(cell, params, xs, carry, **masks)
        leaves = jax.tree.leaves(carry)
        return jnp.sum(ys**2) + sum(jnp.sum(jnp.sin(leaf)) for leaf in leaves)

    carry = jax.tree.map(lambda leaf: leaf + 0.1, cell.init_carry(params, (BATCH,)))
    layerwise, by_steps = (
        jax.jit(jax.value_and_grad(partial(loss, one), (0, 1, 2)))(params, xs, carry)
        for one in (cell, stepwise(cell))
    )
    close(layerwise, by_steps)


def test_adjoints_of_a_stack_are_those_of_every_layer(key, x64):
    cell = lj.stack(lj.LSTM, lj.RNN)
    params = cell.init(key, INPUT, HIDDEN, dtype=jnp.float64)
    xs = sequence(key)
    adjoints = lj.carry_gradients(cell, params, xs, lambda ys: jnp.sum(ys[-1] ** 2))
    _, first = lj.unroll(lj.LSTM, params[0], xs)
    top = lj.carry_gradients(lj.RNN, params[1], first, lambda ys: jnp.sum(ys[-1] ** 2))
    close(adjoints[1], top)
    assert jnp.all(jnp.abs(adjoints[0].c) > 0)


def test_a_stack_knows_the_width_of_what_a_layer_shows(key):
    cell = lj.stack(lj.cells.PROJECTION_LSTM, lj.LSTM)
    params = cell.init(key, INPUT, 6)
    narrow = jax.eval_shape(
        lambda: lj.unroll(
            lj.cells.PROJECTION_LSTM, params[0], sequence(key, dtype=jnp.float32)
        )[1]
    ).shape[-1]
    assert params[1].w_ih.shape[0] == narrow < 6
    assert lj.stack(lj.cells.PROJECTION_LSTM, lj.LSTM) is cell
    with pytest.raises(ValueError, match="at least one"):
        lj.stack()


def test_layers_of_a_stack_are_drawn_apart_and_known_to_unroll(key):
    cell = lj.stack(lj.RNN, lj.RNN)
    assert cell.layers == (lj.RNN, lj.RNN)
    first, second = cell.init(key, HIDDEN, HIDDEN)
    for name in ("w_ih", "w_hh"):
        assert not jnp.any(getattr(first, name) == getattr(second, name))


def test_residual_adds_the_input(key, x64):
    cell = lj.residual(lj.LSTM)
    params = cell.init(key, HIDDEN, HIDDEN, dtype=jnp.float64)
    xs = sequence(key, HIDDEN)
    carry, ys = lj.unroll(cell, params, xs)
    plain_carry, plain_ys = lj.unroll(lj.LSTM, params, xs)
    close((carry, ys), (plain_carry, plain_ys + xs))
    narrow = cell.init(key, INPUT, HIDDEN, dtype=jnp.float64)
    with pytest.raises(ValueError, match="x: the last axis is 4 and 'lstm' shows 5"):
        lj.unroll(cell, narrow, sequence(key))


def test_zoneout_keeps_the_memory_of_the_units_it_picks(key):
    rates = {"h": 0.2, "c": 0.6}
    cell = lj.zoneout(lj.LSTM, rates["c"], h=rates["h"])
    hidden = 400
    params = lj.LSTM.init(key, INPUT, hidden)
    carry = jax.tree.map(lambda leaf: leaf + 0.5, lj.LSTM.init_carry(params, (BATCH,)))
    x = jax.random.normal(key, (BATCH, INPUT))
    new, _ = lj.LSTM.step(params, carry, x)
    zoned, y = cell.step(params, carry, lj.Keyed(x, key))
    for name in ("h", "c"):
        after, before, full = (getattr(z, name) for z in (zoned, carry, new))
        kept = after == before
        assert jnp.array_equal(after, jnp.where(kept, before, full))
        assert abs(jnp.mean(kept) - rates[name]) < 0.06
    h_kept, c_kept = zoned.h == carry.h, zoned.c == carry.c
    assert abs(jnp.mean(h_kept & c_kept) - rates["h"] * rates["c"]) < 0.04
    assert abs(jnp.mean(c_kept[0] & c_kept[1]) - rates["c"] ** 2) < 0.08
    assert jnp.array_equal(y, zoned.h)
    never = lj.zoneout(lj.LSTM, 0.0).step(params, carry, lj.Keyed(x, key))
    close(never, lj.LSTM.step(params, carry, x), 0)


def test_zoneout_refuses_a_field_that_the_carry_does_not_have(key):
    cell = lj.zoneout(lj.RNN, c=0.5)
    params = cell.init(key, INPUT, HIDDEN)
    keyed = lj.Keyed(jnp.ones((BATCH, INPUT)), key)
    with pytest.raises(ValueError, match="rates: got c; the carry has the fields h"):
        cell.step(params, cell.init_carry(params, (BATCH,)), keyed)


def test_zoneout_draws_anew_at_every_step_and_is_the_same_for_the_same_key(key):
    cell = lj.zoneout(lj.RNN, 0.5)
    params = cell.init(key, INPUT, 64)
    xs = sequence(key, dtype=jnp.float32)
    keyed = lj.with_keys(key, xs)
    ys, again = (lj.unroll(cell, params, keyed)[1] for _ in range(2))
    assert jnp.array_equal(ys, again)
    kept = ys[1:] == ys[:-1]
    assert not jnp.array_equal(kept[0], kept[1])
    other = lj.unroll(cell, params, lj.with_keys(jax.random.key(1), xs))[1]
    assert not jnp.array_equal(ys, other)


def test_variational_dropout_has_one_mask_for_the_sequence(key, x64):
    rate = 0.25
    cell = lj.cells.variational_dropout(lj.LSTM, input_rate=rate)
    params = cell.init(key, INPUT, HIDDEN, dtype=jnp.float64)
    xs = sequence(key)
    _, ys = lj.unroll(cell, params, lj.with_keys(key, xs, per="sequence"))
    key_x, _ = jax.random.split(key)
    kept = jax.random.bernoulli(key_x, 1 - rate, (BATCH, INPUT))
    mask = kept.astype(xs.dtype) / (1 - rate)
    assert 0 < jnp.sum(mask == 0) < mask.size
    close(ys, lj.unroll(lj.LSTM, params, xs * mask)[1])
    _, renewed = lj.unroll(cell, params, lj.with_keys(key, xs))
    assert not jnp.allclose(renewed, ys)


def test_variational_dropout_hides_h_from_the_gates_and_leaves_c(key):
    cell = lj.cells.variational_dropout(lj.LSTM, hidden_rate=0.5)
    params = lj.LSTM.init(key, INPUT, HIDDEN)
    closed = params._replace(w_ih=params.w_ih * 0, w_hh=params.w_hh * 0)
    carry = lj.LSTMCarry(h=jnp.ones((BATCH, HIDDEN)), c=jnp.ones((BATCH, HIDDEN)))
    x = jnp.zeros((BATCH, INPUT))
    close(
        cell.step(closed, carry, lj.Keyed(x, key)),
        lj.LSTM.step(closed, carry, x),
        0,
    )
    dropped, _ = cell.step(params, carry, lj.Keyed(x, key))
    assert not jnp.allclose(dropped.c, lj.LSTM.step(params, carry, x)[0].c)


def test_variational_dropout_draws_the_masks_of_x_and_h_apart(key):
    def show_what_is_seen(params, carry, x):
        return carry, jnp.stack([carry.h @ jnp.eye(100), x])

    seeing = lj.Cell(
        name="seeing",
        init=lj.LSTM.init,
        init_carry=lj.LSTM.init_carry,
        step=show_what_is_seen,
    )
    cell = lj.cells.variational_dropout(seeing, input_rate=0.5, hidden_rate=0.5)
    ones = jnp.ones((BATCH, 100))
    _, (h, x) = cell.step((), lj.LSTMCarry(h=ones, c=ones), lj.Keyed(ones, key))
    assert set(np.unique(h)) == set(np.unique(x)) == {0.0, 2.0}
    assert abs(jnp.mean(h == x) - 0.5) < 0.12


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lj.zoneout(lj.RNN, 1.0), r"rate: got 1\.0; it must be in \[0, 1\)"),
        (lambda: lj.zoneout(lj.LSTM, h=0.1, c=-0.5), "c: got -0.5"),
        (
            lambda: lj.cells.variational_dropout(lj.RNN, input_rate=2),
            "input_rate: got 2",
        ),
        (
            lambda: lj.cells.variational_dropout(lj.RNN, hidden_rate=1),
            "hidden_rate: got 1",
        ),
        (lambda: lj.with_keys(jax.random.key(0), jnp.ones((2, 3)), "epoch"), "per: "),
        (lambda: lj.mixed(lj.LSTM, jnp.int32), "compute_dtype: got"),
        (lambda: lj.clip_backward(jnp.ones(3), 0), "max_norm: got 0"),
    ],
)
def test_options_that_are_not_allowed(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_a_stochastic_cell_asks_for_its_keys(key):
    cell = lj.zoneout(lj.RNN, 0.5)
    params = cell.init(key, INPUT, HIDDEN)
    xs = sequence(key, dtype=jnp.float32)
    with pytest.raises(TypeError, match=r"xs: 'zoneout\(rnn\)' .* with_keys"):
        lj.unroll(cell, params, xs)
    with pytest.raises(ValueError, match=r"xs.key: .* shape \(7,\)"):
        lj.unroll(cell, params, lj.Keyed(xs, jax.random.split(key, 3)))


def test_a_learned_carry_starts_as_the_cells_and_has_a_gradient(key, x64):
    cell = lj.learned_carry(lj.LSTM)
    params = cell.init(key, INPUT, HIDDEN, dtype=jnp.float64)
    xs = sequence(key)
    close(lj.unroll(cell, params, xs), lj.unroll(lj.LSTM, params.cell, xs))

    def loss(params, carry):
        return jnp.sum(lj.unroll(cell, params, xs, carry)[1] ** 2)

    learned = jax.grad(loss)(params, None).carry
    given = jax.grad(loss, 1)(params, cell.init_carry(params, (BATCH,)))
    close(learned, jax.tree.map(lambda leaf: leaf.sum(0), given))


def test_mixed_multiplies_in_half_precision_and_remembers_in_full(key):
    cell = lj.mixed(lj.LSTM)
    params = cell.init(key, INPUT, HIDDEN)
    carry = lj.LSTMCarry(h=jnp.zeros((BATCH, HIDDEN)), c=jnp.full((BATCH, HIDDEN), 1.0))
    x = jax.random.normal(key, (BATCH, INPUT))
    half, _ = cell.step(params, carry, x)
    full, _ = lj.LSTM.step(params, carry, x)
    assert half.c.dtype == jnp.float32
    rounded = params._replace(
        w_ih=params.w_ih.astype(jnp.bfloat16).astype(jnp.float32),
        w_hh=params.w_hh.astype(jnp.bfloat16).astype(jnp.float32),
    )
    x_rounded = x.astype(jnp.bfloat16).astype(jnp.float32)
    close(half, lj.LSTM.step(rounded, carry, x_rounded)[0], 1e-6)
    assert not jnp.allclose(half.c, full.c, atol=1e-6)


def test_mixed_hands_half_precision_to_every_product(key):
    """Rounded and widened again the numbers would be the same, and nothing faster."""
    params = lj.LSTM.init(key, INPUT, HIDDEN)
    carry, x = lj.LSTM.init_carry(params), jnp.ones(INPUT)
    program = jax.make_jaxpr(lj.mixed(lj.LSTM).step)(params, carry, x).jaxpr
    products = [e for e in equations_of(program) if e.primitive.name == "dot_general"]
    assert len(products) == 2
    for product in products:
        assert {var.aval.dtype.name for var in product.invars} == {"bfloat16"}
        assert {var.aval.dtype.name for var in product.outvars} == {"float32"}


def test_mixed_trains_with_the_engine_as_without(key):
    cell = lj.mixed(lj.LSTM)
    params = cell.init(key, INPUT, HIDDEN)
    xs = sequence(key, dtype=jnp.float32)

    def loss(params, implementation):
        _, ys = lj.unroll(cell, params, xs, implementation=implementation)
        return jnp.sum(ys**2)

    auto, plain = (jax.grad(loss)(params, name) for name in ("auto", "plain"))
    close(auto, plain, 5e-2)
    assert jax.tree.leaves(auto)[0].dtype == jnp.float32


@pytest.mark.parametrize(
    ("window", "reverse"),
    [(1, False), (3, False), (3, True), (TIME, False), (100, True)],
)
def test_truncated_gradients_are_those_of_windows_with_given_carries(
    key, x64, window, reverse
):
    params = lj.LSTM.init(key, INPUT, HIDDEN, dtype=jnp.float64)
    xs = sequence(key)

    def truncated(params, xs):
        carry, ys = lj.unroll_truncated(
            lj.LSTM, params, xs, window=window, reverse=reverse
        )
        return jnp.sum(ys**2), carry

    def in_pieces(params, xs):
        starts = range(0, TIME, window)
        carry, total = lj.LSTM.init_carry(params, (BATCH,)), 0.0
        for start in reversed(starts) if reverse else starts:
            carry, ys = lj.unroll(
                lj.LSTM,
                params,
                xs[start : start + window],
                jax.lax.stop_gradient(carry),
                reverse=reverse,
            )
            total += jnp.sum(ys**2)
        return total, carry

    @jax.jit
    def both(params, xs):
        return [
            jax.value_and_grad(f, (0, 1), has_aux=True)(params, xs)
            for f in (truncated, in_pieces)
        ]

    close(*both(params, xs))
    with pytest.raises(ValueError, match="window: got 0; it must be at least 1"):
        lj.unroll_truncated(lj.LSTM, params, xs, window=0)


def test_clip_backward_limits_the_adjoint_at_every_step(key, x64):
    params = lj.RNN.init(key, INPUT, HIDDEN, gain=3.0, dtype=jnp.float64)
    xs = sequence(key)
    limit = 0.01
    probes = jnp.zeros((TIME, BATCH, HIDDEN))

    def adjoints(step):
        def probed(params, carry, x_and_probe):
            x, probe = x_and_probe
            return step(params, lj.RNNCarry(h=carry.h + probe), x)

        def loss(probes):
            start = lj.RNN.init_carry(params, (BATCH,))
            return jnp.sum(lj.scan(probed, params, start, (xs, probes))[1][-1])

        return jnp.linalg.norm(jax.grad(loss)(probes), axis=-1)

    def clipped(params, carry, x):
        return lj.RNN.step(params, lj.clip_backward(carry, limit), x)

    free, limited = adjoints(lj.RNN.step), adjoints(clipped)
    assert jnp.all(free[-1] > limit)
    np.testing.assert_allclose(limited[-1], limit)
    assert jnp.all(limited <= limit * (1 + 1e-12))
    assert (
        lj.scan_report(
            clipped, params, lj.RNN.init_carry(params, (BATCH,)), xs
        ).implementation
        == "weighted"
    )
    same, pullback = jax.vjp(lambda h: lj.clip_backward(h, 100.0), xs)
    close((same, *pullback(xs)), (xs, xs), 0)


@pytest.mark.parametrize("lengths", [None, jnp.array([7, 0, 4])])
def test_bidirectional_is_one_cell_each_way(key, x64, lengths):
    cells = (lj.LSTM, lj.GRU)
    params = tuple(c.init(key, INPUT, HIDDEN, dtype=jnp.float64) for c in cells)
    xs = sequence(key)
    carries, ys = lj.unroll_bidirectional(cells, params, xs, lengths=lengths)
    forward = lj.unroll(lj.LSTM, params[0], xs, lengths=lengths)
    backward = lj.unroll(lj.GRU, params[1], xs, lengths=lengths, reverse=True)
    close(carries, (forward[0], backward[0]))
    close(ys, jnp.concatenate([forward[1], backward[1]], -1))
    if lengths is not None:
        # Element 2 has 4 steps: what its backward cell shows at step 3 is the first
        # thing it shows, and knows of x_3 alone.
        alone = lj.GRU.step(params[1], lj.GRU.init_carry(params[1]), xs[3, 2])[1]
        close(ys[3, 2, HIDDEN:], alone)
    with pytest.raises(ValueError, match="cells: got 1 entries; it must be a pair"):
        lj.unroll_bidirectional((lj.LSTM,), params, xs)


@pytest.mark.parametrize("name", lj.CELLS)
def test_a_sequence_in_pieces_is_the_sequence_whole(key, x64, name):
    cell, time = lj.CELLS[name], 6
    init = partial(cell.init, key, INPUT, HIDDEN, dtype=jnp.float64)
    params = drawn_like(jax.eval_shape(init), seed=1)
    start = cell.init_carry(params, (BATCH,))
    xs = sequence(key)[:time]
    lengths = np.array([6, 0, 4])
    resets = np.zeros((time, BATCH), bool)
    resets[[1, 5], [0, 2]] = True
    whole = lj.unroll(cell, params, xs, start, lengths=lengths, resets=resets)

    def piece(carry, begin):  # of one length, so that both share a compilation
        end = begin + 3
        left = np.clip(lengths - begin, 0, 3)
        masks = {"lengths": left, "resets": resets[begin:end]}
        return lj.unroll(cell, params, xs[begin:end], carry, **masks)

    carry, first = piece(start, 0)
    carry, rest = piece(carry, 3)
    close((carry, jnp.concatenate([first, rest])), whole)


def test_params_of_another_cell_are_refused(key):
    params = lj.RNN.init(key, INPUT, HIDDEN)
    xs = sequence(key, dtype=jnp.float32)
    message = "params: got RNNParams; 'lstm' wants LSTMParams"
    with pytest.raises(TypeError, match=message):
        jax.jit(lambda xs: lj.unroll(lj.LSTM, params, xs))(xs)


def test_unroll_compiles_once_for_equal_cells_without_a_jit_around_it(key):
    traces = []

    def counting(params, carry, x):
        traces.append(x.shape)
        return lj.RNN.step(params, carry, x)

    cell = lj.Cell(
        name="counting", init=lj.RNN.init, init_carry=lj.RNN.init_carry, step=counting
    )
    params = cell.init(key, INPUT, HIDDEN)
    xs = sequence(key, dtype=jnp.float32)
    lj.unroll(cell, params, xs)
    first = len(traces)
    lj.unroll(cell, params, xs + 1)
    assert len(traces) == first
