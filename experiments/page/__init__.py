"""Watch an RNN forget a bear and an LSTM remember it, in a page that computes both.

Question: what do the gates, the memories and the gradient of three trained networks do
when the show, the forget bias or the recurrent weights are changed by hand?

  python -m experiments.page
  python -m experiments.page --checkpoint=out/show

The second command takes the network of a run, such as that of

  python -m experiments.train --task=nature_show --cell=lstm --length=22 --out=out/show

in place of the page's own of that cell. Written is one file, `page.html`, which needs
neither a network nor a server: an RNN, an LSTM and the four-gate cell, trained side by
side on the nature show (8 x 8 handwritten digits stand in for the animals), with their
weights before and after training. All that is drawn is computed in the page, forwards
and backwards, whenever the reader changes something; no result is stored in it.

In the page, and so in its links,

  lstmJax.set({strip: ["bear", "oak", "pine", "question"], forgetBias: 0, gain: 1,
               trained: true})
  lstmJax.get().cells.lstm.logGradient.c

A strip is 2 to 64 names: bear, fox, cat, armchair, oak (or tree), pine, squirrel, dog,
wolf, goldfish, and question, the ambiguous last image, half a dog and half a wolf. Step
t shows image t modulo `images.PER_ROLE` of that name, none of which was drawn in
training. `forgetBias` is added to every unit's bias of the forget gate; `gain`
multiplies all weights that the `gain` of the cell's `init` does. `get()` returns, time
first, what `lj.trace` calls gates and memory; the probabilities of dog, wolf and
goldfish; and `lj.log_gradient_norms` of the margin, logit of the wolf minus logit of
the dog at the last step (its sign, and so the right answer, changes no norm), null
where the gradient is zero. Also `pathShares`, `logCarousel`, as `lj.gradients` has
them, and `inputs`. The page computes in float64, from float32 weights.

Expected: asked 21 steps after the bear, the LSTM, whose forget bias is matched to the
lag, says wolf, and dog after the armchair; the RNN says the same after both.

Source: the story of Luis Serrano's lesson in the Udacity deep-learning course; task and
setting are this project's own (`experiments.nature_show`).
"""

from experiments.page.config import NAME as NAME
from experiments.page.config import Config as Config
from experiments.page.networks import run as run
from experiments.page.writing import page as page
