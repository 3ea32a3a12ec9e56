"""Networks for a small page, and what the library says that it must show."""

import jax
import jax.numpy as jnp

import lstm_jax as lj
from experiments.common.variants import TAUGHT
from experiments.page import Config
from experiments.page.images import first_strip, inputs_of
from experiments.page.networks import Network, Networks
from lstm_jax.tasks import NATURE_SHOW
from lstm_jax.tasks.nature_show import margins
from lstm_jax.training import loop

UNITS = 6
LAG = 5


def drawn_networks():
    """Untrained networks in the place of both: nothing is compiled for training."""
    cells = {name: _drawn(lj.CELLS[name]) for name in TAUGHT}
    return Networks(Config(lag=LAG, hidden_size=UNITS), cells, seconds=0.0)


def _drawn(cell):
    initial, trained = (
        loop.init_model(key, cell, 64, NATURE_SHOW.output_size, hidden_size=UNITS)
        for key in jax.random.split(jax.random.key(7))
    )
    # No bias stays zero, which a page might forget to read.
    trained = jax.tree.map(lambda leaf: leaf + 0.1, trained)
    return Network(initial, trained, accuracy=0.5, about="drawn <b>& not trained</b>")


def remembering(networks, *names):
    """The networks, of which those named answer wolf after a bear, else dog."""
    cells = {
        name: network._replace(trained=_telling_wolf(name, network.trained))
        if name in names
        else network
        for name, network in networks.cells.items()
    }
    return networks._replace(cells=cells)


def _telling_wolf(name, model):
    """The model with a readout between its outputs after a bear and an armchair."""
    _, *rest = first_strip(LAG)
    bear, armchair = (
        lj.unroll(lj.CELLS[name], model.cell, jnp.asarray(inputs_of([scene, *rest])))[1]
        for scene in ("bear", "armchair")
    )
    apart = bear[-1] - armchair[-1]
    wolf = 20 * apart / (apart @ apart)
    none = jnp.zeros_like(wolf)
    middle = wolf @ (bear[-1] + armchair[-1]) / 2
    readout = model.readout._replace(
        w=jnp.stack([none, wolf, none], axis=1), b=jnp.array([0, -middle, -20])
    )
    return model._replace(readout=readout)


def expected(networks, name, strip, forget_bias=0.0, gain=1.0, trained=True):
    """What `lstmJax.get().cells[name]` must be, computed in float64."""
    network = networks.cells[name]
    with jax.enable_x64():
        model = network.trained if trained else network.initial
        model = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), model)
        cell, params = lj.CELLS[name], adjusted(model.cell, forget_bias, gain)
        xs = jnp.asarray(inputs_of(strip), jnp.float64)

        def answers(ys):
            return ys @ model.readout.w + model.readout.b

        def margin(ys):
            return margins(answers(ys)[-1:], jnp.array([1]))[0]

        values, arguments = lj.trace(cell, params, xs), (cell, params, xs, margin)
        _, ys = lj.unroll(cell, params, xs)
        carousel = None
        if cell.memory is not None:
            carousel = lj.gradients.log_carousel_norms(*arguments).carousel
        return {
            "gates": {gate: values[gate] for gate in cell.gates},
            "memory": {of: values[of] for of in cell.init_carry(params)._fields},
            "probabilities": jax.nn.softmax(answers(ys)),
            "logGradient": lj.log_gradient_norms(*arguments)._asdict(),
            "logCarousel": carousel,
            "pathShares": lj.gradients.path_shares(*arguments),
        }


def adjusted(params, forget_bias, gain):
    """The weights as the two sliders change them."""
    if isinstance(params, lj.LSTMParams):
        forget = slice(UNITS, 2 * UNITS)
        return params._replace(
            w_hh=params.w_hh * gain, b=params.b.at[forget].add(forget_bias)
        )
    if isinstance(params, lj.RNNParams):
        return params._replace(w_hh=params.w_hh * gain)
    read_memory = {
        f"w_{gate}": getattr(params, f"w_{gate}").at[:UNITS].multiply(gain)
        for gate in "nifuv"
    }
    return params._replace(b_f=params.b_f + forget_bias, **read_memory)
