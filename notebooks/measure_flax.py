# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Measure a Flax model
#
# You have a recurrent model in Flax, and it does not learn what lies far back. Does the
# gradient reach that far? Which gate loses it? This takes your cell and your weights as
# they are. It needs the extras `flax` and `plots`.

# %%
# %matplotlib inline
from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
from matplotlib.figure import Figure

import lstm_jax as lj
from lstm_jax import plots

# %% [markdown]
# ## Your model
#
# A classifier of sequences as one writes it in Flax: an LSTM, and a dense layer on its
# last output. Here its weights are new; yours are perhaps trained.


# %%
class Classifier(nn.Module):
    """An LSTM over the sequence, and a dense layer on its last output."""

    features: int = 32
    classes: int = 10

    @nn.compact
    def __call__(self, xs):
        """Returns logits (batch, classes) of xs (batch, time, input)."""
        ys = nn.RNN(nn.LSTMCell(self.features, name="cell"))(xs)
        return nn.Dense(self.classes, name="head")(jnp.asarray(ys)[:, -1])


model = Classifier()
xs = jax.random.normal(jax.random.key(0), (16, 100, 8))
variables = model.init(jax.random.key(1), xs)
print("parameters:", jax.tree.map(jnp.shape, variables["params"]).keys())

# %% [markdown]
# ## The same cell, here
#
# `lj.from_linen` makes an `lj.Cell` of the Flax cell; its params are the variables of
# that cell, taken from the model. Time comes first. The outputs are those of Flax:

# %%
cell = lj.from_linen(nn.LSTMCell(model.features))
weights = {"params": variables["params"]["cell"]}
head = variables["params"]["head"]
by_time = xs.swapaxes(0, 1)


def logits_of(ys):
    """Returns the logits, from the outputs (time, batch, features)."""
    return ys[-1] @ head["kernel"] + head["bias"]


carry, ys = lj.unroll(cell, weights, by_time)
theirs = jnp.asarray(model.apply(variables, xs))
print("the same:", bool(jnp.allclose(logits_of(ys), theirs, atol=1e-5)))

# %% [markdown]
# ## How far does the gradient reach?
#
# Any scalar of the outputs will do. A logit, and not the loss: after training the loss
# has a small gradient because the task is solved, which says nothing about memory.


# %%
def first_logit(ys):
    """Returns the first logit, summed over the batch."""
    return logits_of(ys)[:, 0].sum()


norms = lj.joint_log_norms(lj.log_gradient_norms(cell, weights, by_time, first_logit))
rate = float(lj.decay_rate(norms).mean())
print(f"{rate:+.3f} nats per step; half is left after {lj.half_life(rate):.1f} steps")
print(f"1e-6 is left after {float(lj.horizon(norms, 1e-6).mean()):.0f} steps")

# %% [markdown]
# ## Which gate loses it?
#
# The gradient goes back through every place at which a step reads its memory: what the
# cell keeps, and the gates. Flax's cell doesn't name its gates; found in the step, in
# the order of its weights (hf, hg, hi, ho), they are named here. The shares add up to
# 1.

# %%
named = replace(cell, gates=("f", "g", "i", "o"))
share = lj.gradients.path_shares(named, weights, by_time, first_logit)
for name, value in share.items():
    print(f"{name:<4} {float(jnp.nanmean(value)):+.2f}")

# %% [markdown]
# ## Would another forget bias help?
#
# Flax starts all biases at zero: half of the memory is lost at every step. The forget
# gate's bias is in `hf` of the cell's params; a copy with larger ones is one line.


# %% tags=["hide-input"]
def with_forget_bias(weights, bias):
    """Returns the weights with that forget bias."""
    params = dict(weights["params"])
    params["hf"] = {**params["hf"], "bias": jnp.full_like(params["hf"]["bias"], bias)}
    return {"params": params}


def log_share(weights):
    """Returns ln(share left), lag first."""
    norms = lj.log_gradient_norms(cell, weights, by_time, first_logit)
    return lj.log_shares(lj.joint_log_norms(norms))[::-1]


@plots.styled
def draw():
    """Draws the median over the batch, in its quartile band."""
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.subplots()
    for place, bias in enumerate((0.0, 1.0, 5.0)):
        quartiles = jnp.percentile(
            log_share(with_forget_bias(weights, bias)),
            jnp.array([25.0, 50.0, 75.0]),
            axis=1,
        )
        label = f"forget bias {bias:.0f}"
        plots.share_curve(axes, jax.device_get(quartiles), "lstm", label, variant=place)
    plots.log_axis(axes, 99, "Flax LSTM: share of the gradient left")
    axes.legend()
    return figure


figure = draw()
figure

# %% [markdown]
# ## And faster
#
# Training it spends most of its time in the backward pass of the scan. `lj.unroll`
# finds the products with the weights in the step, Flax's too, and forms their gradients
# after the loop, in one product:

# %%
print(lj.scan_report(cell.step, weights, cell.init_carry(weights, (16,)), by_time))
