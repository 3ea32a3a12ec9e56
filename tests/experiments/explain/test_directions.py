"""Bidirectional layers, explained whole, beside loops of torch's own cells."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from weight_files import HIDDEN, INPUT, module_arrays, refusal, save_torch

import lstm_jax as lj
from experiments import explain
from experiments.common.records import take
from experiments.explain import network, weights_file

STEPS = 9
LAYERS = ("0 forward", "0 backward", "1 forward", "1 backward")


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(0)
    return torch.nn.LSTM(INPUT, HIDDEN, num_layers=2, bidirectional=True)


@pytest.fixture(scope="module")
def sequence():
    return np.random.default_rng(0).standard_normal((STEPS, INPUT)).astype(np.float32)


@pytest.fixture(scope="module")
def files(module, sequence, tmp_path_factory):
    folder = tmp_path_factory.mktemp("both")
    np.save(folder / "mine.npy", sequence)
    weights = save_torch(folder / "both.safetensors", module_arrays(module))
    return {"file": weights, "sequence": str(folder / "mine.npy"), "scale": "none"}


@pytest.fixture(scope="module")
def explained(files):
    return explain.run(explain.Config(**files, num_examples=1))


def _cell(module, layer, suffix):
    cell = torch.nn.LSTMCell(module.weight_ih_l0.shape[1], HIDDEN)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        setattr(cell, name, getattr(module, f"{name}_l{layer}{suffix}"))
    return cell


def _loop(module, xs):
    """Returns what each layer ends with, and what is added to all its memories."""
    lasts, memories = [], []
    for layer in range(2):
        shown = []
        for suffix, order in (("", 1), ("_reverse", -1)):
            cell, entered, ys = _cell(module, layer, suffix), [], []
            state = (torch.zeros(HIDDEN), torch.zeros(HIDDEN))
            for x in xs[::order]:
                entered.append([part.detach() * 0 for part in state])
                for probe in entered[-1]:
                    probe.requires_grad_()
                probed = [a + b for a, b in zip(state, entered[-1], strict=True)]
                state = cell(x, tuple(probed))
                ys.append(state[0])
            memories.append(entered)
            last = ys[-1]
            shown.append((ys[::order], last))
        (forward, at_end), (backward, at_start) = shown
        xs = [torch.cat(pair) for pair in zip(forward, backward, strict=True)]
        lasts.append(torch.cat([at_end, at_start]))
    return lasts, memories


def test_the_network_ends_where_torch_ends(module, sequence, files):
    weights = weights_file.read("file", files["file"], None)
    blocks, params = weights.network, weights.params
    xs = network.entering(blocks[0], jnp.asarray(sequence)[:, None])
    ys = lj.unroll(blocks[0].cell, params[0], xs)[1]
    wanted = module(torch.tensor(sequence)[:, None])[1][0][-2:, 0].reshape(-1)
    np.testing.assert_allclose(
        network.last_output(blocks, params, ys)[0], wanted.detach(), atol=1e-6
    )
    assert network.names(blocks) == LAYERS
    assert network.sizes(blocks, params) == (INPUT, HIDDEN, 2 * HIDDEN)


@pytest.mark.slow
def test_the_gradient_is_that_of_what_each_layer_ends_with(module, sequence, explained):
    key = jax.random.fold_in(jax.random.key(0), 1)
    u = torch.tensor(np.asarray(jax.random.normal(key, (1, 2 * HIDDEN))))[0]
    lasts, memories = _loop(module, list(torch.tensor(sequence)))
    own = module(torch.tensor(sequence)[:, None])[1][0][-2:, 0].reshape(-1)
    np.testing.assert_allclose(lasts[1].detach(), own.detach(), atol=1e-6)
    squares = []
    for layer, last in enumerate(lasts):
        probes = [p for of in memories[2 * layer :][:2] for at in of for p in at]
        found = torch.autograd.grad(last @ u, probes, retain_graph=True)
        found = np.array([float((part**2).sum()) for part in found])
        squares += [*found.reshape(2, STEPS, 2).sum(-1)]
    norms = np.log(squares)[:, ::-1] / 2
    shares = take(explained, "layer_log_share", stage="trained")[:, 0]
    np.testing.assert_allclose(shares, norms - norms[:, :1], atol=1e-4)
    whole = np.log(sum(squares[2:]))[::-1] / 2  # of the last layer
    share = take(explained, "log_share", stage="trained")[0]
    np.testing.assert_allclose(share, whole - whole[0], atol=1e-4)


@pytest.mark.slow
def test_the_gates_are_those_of_each_direction(module, sequence, explained):
    assert tuple(explained.axes["layer"]) == LAYERS
    assert tuple(row["layer"] for row in explained.rows) == LAYERS
    found = take(explained, "mean_log_gate", stage="trained", layer="0 backward")
    cell, state, kept = _cell(module, 0, "_reverse"), None, []
    for x in torch.tensor(sequence[::-1].copy()):
        h = torch.zeros(HIDDEN) if state is None else state[0]
        sums = cell.weight_ih @ x + cell.bias_ih + cell.weight_hh @ h + cell.bias_hh
        kept.append(torch.nn.functional.logsigmoid(sums[HIDDEN : 2 * HIDDEN]))
        state = cell(x, state)
    wanted = torch.stack(kept).mean(0).detach()
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.slow
def test_the_parts_of_the_answer_add_up_through_both(module, sequence, explained):
    def answer(xs):
        return module(xs[:, None])[1][0][-2:, 0].reshape(-1).detach().numpy()

    own, nothing = map(answer, (torch.tensor(sequence), torch.zeros(STEPS, INPUT)))
    length = np.linalg.norm(own)
    parts = take(explained, "attribution", stage="trained")[0]
    np.testing.assert_allclose(parts.sum(), length - own @ nothing / length, rtol=1e-4)


@pytest.mark.slow
def test_the_paths_through_each_layer_make_all_of_its_gradient(explained):
    paths = ["cell", "i", "f", "g", "o"]
    wanted = [f"layer {layer} {path}" for layer in LAYERS for path in paths]
    assert explained.axes["path"] == wanted
    shares = take(explained, "path_share").reshape(4, 5, STEPS)
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-5)
    (line,) = [of for of in explained.verdict if of.startswith("  through:  layer 1 f")]
    means = {path: shares[2, k].mean() for k, path in enumerate(paths)}
    first = max(means, key=lambda path: means[path])
    first = "the memory that is kept" if first == "cell" else first
    assert line.startswith(f"  through:  layer 1 forward, {first} ")


@pytest.mark.slow
def test_the_verdict_says_where_each_direction_ends(explained):
    text = "\n".join(explained.verdict)
    assert "lstm, 2 inputs, 3 units in 2 layers, in both directions" in text
    assert "gates:    layer 1 backward, half is kept by unit" in text
    assert "the backward one at the first step" in text
    assert "half of it comes from the first and the last" in text
    assert len(explain.plot(explained).axes[0].lines) == 5  # and the lag


def test_a_sequence_read_from_both_ends_is_read_whole(files):
    message = refusal(lambda: explain.run(explain.Config(**files, lag=4)))
    assert message.startswith("lag: got 4; it must not be given with ")
