"""from_torch and to_torch against the real modules of torch."""

import subprocess
import sys
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from adapters.torch_modules import (
    BATCH,
    GATES,
    HIDDEN,
    INPUT,
    KINDS,
    TIME,
    draw,
    make_module,
    state_dict,
)
from problems import slow_but

import lstm_jax as lj

ENDS = ("", "_reverse")


def make_params(kind, layers, bidirectional) -> Any:
    """Weights of our own in the structure that from_torch promises."""
    seeds = count()

    def layer(input_size):
        if not bidirectional:
            return draw(kind, input_size=input_size, seed=next(seeds))
        return lj.adapters.Directions(
            forward=draw(kind, input_size=input_size, seed=next(seeds)),
            backward=draw(kind, input_size=input_size, seed=next(seeds)),
        )

    later = HIDDEN * (2 if bidirectional else 1)
    made = (layer(INPUT), *(layer(later) for _ in range(layers - 1)))
    return made[0] if layers == 1 else made


def make_inputs(dtype: Any = np.float32, input_size=INPUT):
    rng = np.random.default_rng(1)
    return rng.standard_normal((TIME, BATCH, input_size)).astype(dtype)


def by_layer_and_direction(params):
    """Pairs of the end of torch's keys and the weights of one layer and direction."""
    layers = params if type(params) is tuple else (params,)
    for k, layer in enumerate(layers):
        ones = layer if isinstance(layer, lj.adapters.Directions) else (layer,)
        yield [(f"_l{k}{end}", one) for end, one in zip(ENDS, ones, strict=False)]


@partial(jax.jit, static_argnums=(0, 4))  # compiled once for all depths
def unroll(cell, params, xs, lengths, reverse):
    return lj.unroll(cell, params, xs, lengths=lengths, reverse=reverse)


def run_ours(cell, params, xs, lengths=None):
    """Returns ys, and the final h (and c) stacked in torch's order."""
    finals = []
    for layer in by_layer_and_direction(params):
        sides = []
        for end, one in layer:
            final, ys = unroll(cell, one, xs, lengths, end.endswith("_reverse"))
            finals.append(final)
            sides.append(ys)
        xs = jnp.concatenate(sides, axis=-1)
    return xs, *jax.tree.map(lambda *leaves: jnp.stack(leaves), *finals)


def run_torch(module, xs, lengths=None):
    """Returns the same from the module of torch."""
    if lengths is not None:
        xs = torch.nn.utils.rnn.pack_padded_sequence(
            xs, torch.from_numpy(lengths), enforce_sorted=False
        )
    ys, final = module(xs)
    if lengths is not None:
        ys, _ = torch.nn.utils.rnn.pad_packed_sequence(ys, total_length=TIME)
    return ys, *(final if isinstance(final, tuple) else (final,))


@partial(jax.jit, static_argnums=0)
def gradients_ours(cell, params, xs, weights, lengths=None):
    def loss(params, xs):
        outputs = run_ours(cell, params, xs, lengths)
        return sum(map(jnp.vdot, outputs, weights)), outputs

    grads, outputs = jax.grad(loss, argnums=(0, 1), has_aux=True)(params, xs)
    return outputs, *grads


def check_agreement(kind, module, lengths=None):
    """Outputs, final states and all gradients of one random loss, here and there."""
    xs = make_inputs()
    torch_xs = torch.from_numpy(xs.copy()).requires_grad_()
    wanted = run_torch(module, torch_xs, lengths)
    rng = np.random.default_rng(2)
    weights = [rng.standard_normal(out.shape).astype(np.float32) for out in wanted]
    pairs = zip(wanted, map(torch.from_numpy, weights), strict=True)
    torch.stack([torch.vdot(o.ravel(), w.ravel()) for o, w in pairs]).sum().backward()

    params = lj.from_torch(module.state_dict())
    got, grads, grad_xs = gradients_ours(KINDS[kind][1], params, xs, weights, lengths)

    for ours, theirs in zip(got, wanted, strict=True):
        close(ours, theirs.detach())
    close(grad_xs, torch_xs.grad)
    theirs = {name: parameter.grad for name, parameter in module.named_parameters()}
    for layer in by_layer_and_direction(grads):
        for end, one in layer:
            close(one.w_ih.T, theirs.pop(f"weight_ih{end}"))
            close(one.w_hh.T, theirs.pop(f"weight_hh{end}"))
            if module.bias:
                close(one.b, theirs.pop(f"bias_ih{end}"))
                close(gradient_of_b_hh(one), theirs.pop(f"bias_hh{end}"))
    assert not theirs


def gradient_of_b_hh(grads):
    """What torch finds for its second bias: the last third of a GRU's is b_hn."""
    if not isinstance(grads, lj.GRUParams):
        return grads.b
    return jnp.concatenate([grads.b[: 2 * HIDDEN], grads.b_hn])


def close(ours, theirs, tolerance=1e-5):
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def assert_same(got, wanted):
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def as_tensors(arrays):
    return {key: torch.from_numpy(array) for key, array in arrays.items()}


@pytest.mark.parametrize("bias", slow_but([True], [True, False]))
@pytest.mark.parametrize("bidirectional", slow_but([True], [False, True]))
@pytest.mark.parametrize("layers", slow_but([2], [1, 2, 3]))
@pytest.mark.parametrize("kind", slow_but(["rnn", "lstm", "gru"], KINDS))
def test_outputs_states_and_gradients_agree(kind, layers, bidirectional, bias):
    module = make_module(
        kind, num_layers=layers, bidirectional=bidirectional, bias=bias
    )
    check_agreement(kind, module)


def test_bidirectional_lstm_agrees_on_sequences_of_different_lengths():
    module = make_module("lstm", bidirectional=True, num_layers=2)
    check_agreement("lstm", module, lengths=np.array([2, 4, 1]))


@pytest.mark.parametrize("input_size", [1, 2, 4 * HIDDEN])
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_agree_for_other_input_sizes(kind, input_size):
    module = make_module(kind, input_size=input_size)
    xs = make_inputs(input_size=input_size)
    got = run_ours(KINDS[kind][1], lj.from_torch(module.state_dict()), xs)
    for ours, theirs in zip(got, run_torch(module, torch.from_numpy(xs)), strict=True):
        close(ours, theirs.detach())


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_structure_follows_layers_and_directions(kind, layers, bidirectional):
    module = make_module(kind, num_layers=layers, bidirectional=bidirectional)
    got = lj.from_torch(module.state_dict())
    wanted = make_params(kind, layers, bidirectional)
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    assert jax.tree.map(jnp.shape, got) == jax.tree.map(jnp.shape, wanted)


def test_the_two_biases_add():
    state = state_dict()
    params = lj.from_torch(state)
    np.testing.assert_array_equal(
        params.b, state["bias_ih_l0"].numpy() + state["bias_hh_l0"].numpy()
    )


def test_only_the_last_third_of_the_second_bias_of_a_gru_does_not_add():
    state = state_dict("gru")
    params = lj.from_torch(state)
    b_ih, b_hh = (state[f"bias_{which}_l0"].numpy() for which in ("ih", "hh"))
    two_thirds = 2 * HIDDEN
    np.testing.assert_array_equal(params.b[:two_thirds], (b_ih + b_hh)[:two_thirds])
    np.testing.assert_array_equal(params.b[two_thirds:], b_ih[two_thirds:])
    np.testing.assert_array_equal(params.b_hn, b_hh[two_thirds:])


@pytest.mark.parametrize("kind", KINDS)
def test_without_bias_every_bias_is_zero(kind):
    _, _, *biases = lj.from_torch(state_dict(kind, bias=False))
    assert biases[0].shape == (GATES[kind] * HIDDEN,)
    for bias in biases:
        np.testing.assert_array_equal(bias, np.zeros_like(bias))


def test_values_may_be_tensors_parameters_numpy_or_jax_arrays():
    module = make_module("lstm", bidirectional=True)
    wanted = lj.from_torch(module.state_dict())
    arrays = {key: value.numpy() for key, value in module.state_dict().items()}
    assert_same(lj.from_torch(dict(module.named_parameters())), wanted)
    assert_same(lj.from_torch(arrays), wanted)
    assert_same(lj.from_torch(jax.tree.map(jnp.asarray, arrays)), wanted)


@pytest.mark.parametrize("bias", [True, False])
def test_from_torch_copies(bias):
    # 1 input and 16 units: here the transpose is contiguous, so it could be shared.
    module = make_module("rnn", input_size=1, hidden_size=16, bias=bias)
    params = lj.from_torch(module.state_dict())
    before = jax.tree.map(np.array, params)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(7.0)
    assert_same(params, before)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_round_trip_is_exact(kind, layers, bidirectional):
    params = make_params(kind, layers, bidirectional)
    assert_same(lj.from_torch(lj.to_torch(params)), params)


def test_more_than_ten_layers_keep_their_order():
    params = make_params("rnn", 12, bidirectional=False)
    shuffled = dict(sorted(lj.to_torch(params).items(), reverse=True))
    assert_same(lj.from_torch(shuffled), params)


def test_a_tuple_of_one_layer_is_written_as_that_layer():
    params = make_params("lstm", 1, bidirectional=True)
    assert_same(lj.from_torch(lj.to_torch((params,))), params)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_torch_loads_what_to_torch_writes(kind, layers, bidirectional):
    params = make_params(kind, layers, bidirectional)
    module = make_module(kind, num_layers=layers, bidirectional=bidirectional)
    module.load_state_dict(as_tensors(lj.to_torch(params)), strict=True)
    xs = make_inputs()
    got = run_ours(KINDS[kind][1], params, xs)
    for ours, theirs in zip(got, run_torch(module, torch.from_numpy(xs)), strict=True):
        close(ours, theirs.detach())


@pytest.mark.parametrize("sizes", [(1, 1), (1, 4), (3, 2)])
def test_to_torch_returns_arrays_of_its_own(sizes):
    params = draw("rnn", input_size=sizes[0], hidden_size=sizes[1])
    before = jax.tree.map(np.array, params)
    for key, array in lj.to_torch(params).items():
        assert type(array) is np.ndarray, key
        assert array.flags.writeable and array.flags.c_contiguous, key
        array.fill(7.0)
    assert_same(params, before)


def test_everything_is_in_bias_ih():
    params = make_params("lstm", 1, bidirectional=False)
    written = lj.to_torch(params)
    np.testing.assert_array_equal(written["bias_ih_l0"], params.b)
    np.testing.assert_array_equal(written["bias_hh_l0"], np.zeros_like(params.b))


def test_of_a_gru_everything_but_b_hn_is_in_bias_ih():
    params = make_params("gru", 1, bidirectional=False)
    written = lj.to_torch(params)
    np.testing.assert_array_equal(written["bias_ih_l0"], params.b)
    np.testing.assert_array_equal(written["bias_hh_l0"][2 * HIDDEN :], params.b_hn)
    assert not written["bias_hh_l0"][: 2 * HIDDEN].any()


@pytest.mark.parametrize("bias", slow_but([True], [True, False]))
@pytest.mark.parametrize("kind", KINDS)
def test_float64_stays_float64(kind, bias):
    with jax.enable_x64(True):
        module = make_module(kind, bias=bias, bidirectional=True).double()
        params = lj.from_torch(module.state_dict())
        assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype("float64")}
        xs = make_inputs(np.float64)
        got = run_ours(KINDS[kind][1], params, xs)
        theirs = run_torch(module, torch.from_numpy(xs))
        for a, b in zip(got, theirs, strict=True):
            close(a, b.detach(), tolerance=1e-12)
        written = lj.to_torch(params)
        assert {array.dtype for array in written.values()} == {np.dtype("float64")}
        assert_same(lj.from_torch(written), params)


def test_float64_without_x64_becomes_float32_as_everywhere_in_jax():
    with jax.enable_x64(False):
        params = lj.from_torch(make_module("lstm").double().state_dict())
    assert {leaf.dtype for leaf in params} == {np.dtype("float32")}


def test_float16_stays_float16():
    params = lj.from_torch(make_module("lstm").half().state_dict())
    assert {leaf.dtype for leaf in params} == {np.dtype("float16")}
    assert_same(lj.from_torch(lj.to_torch(params)), params)


@pytest.mark.slow
def test_the_library_does_not_import_torch():
    code = "import sys, lstm_jax; sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)
