// All that the page shows of three networks at one setting. No DOM.

import {
  CELLS,
  adjusted,
  decoded,
  forgetBiases,
  forward,
  gradients,
  mapped,
  networkOf,
} from "./memory.js";

/** The networks and images of a page, ready to be computed with. */
export function unpacked(stored) {
  const cells = {};
  for (const [kind, { initial, trained }] of Object.entries(stored.cells)) {
    cells[kind] = { before: networkOf(initial), after: networkOf(trained) };
  }
  const images = {};
  for (const [name, array] of Object.entries(stored.images)) {
    const { rows, columns, values } = decoded(array);
    images[name] = Array.from({ length: rows }, (_, k) =>
      values.subarray(k * columns, (k + 1) * columns),
    );
  }
  const colours = mapped(stored.cells, ({ colour }) => colour);
  const page = { ...stored, cells, images, colours, opposite: opposites(stored.scenes) };
  return { ...page, orders: keepersFirst(page) };
}

/** What is shown at every step: image t modulo their number of each name. */
export const inputsOf = ({ images }, strip) =>
  strip.map((name, step) => images[name][step % images[name].length]);

/** By name: bear and armchair, fox and cat stand for the opposite of one another. */
function opposites({ forest, home }) {
  const others = [...home].reverse();
  const pairs = forest.map((name, k) => [name, others[k]]);
  return Object.fromEntries([...pairs, ...pairs.map(([a, b]) => [b, a])]);
}

/** The strip with every scene of the forest exchanged for one of the home, and back. */
export const exchanged = (page, strip) => strip.map((name) => page.opposite[name] ?? name);

/** The units of each cell, those first whose trained forget gates are open the most. */
const keepersFirst = ({ cells }) =>
  mapped(cells, ({ after }, kind) => {
    const biases = forgetBiases(kind, after);
    const units = Array.from({ length: after.readout.w.rows }, (_, unit) => unit);
    return units.sort((a, b) => (biases[b] ?? 0) - (biases[a] ?? 0));
  });

/** By cell: steps, gradients, forget biases, and the answer after the opposite scene. */
export function measured(page, settings) {
  const [dog, wolf] = ["dog", "wolf"].map((animal) => page.answers.indexOf(animal));
  const inputs = inputsOf(page, settings.strip);
  const others = inputsOf(page, exchanged(page, settings.strip));
  const found = {};
  for (const kind of Object.keys(CELLS)) {
    const given = page.cells[kind][settings.trained ? "after" : "before"];
    const network = adjusted(kind, given, settings.forgetBias, settings.gain);
    const steps = forward(kind, network, inputs);
    found[kind] = {
      steps,
      gradients: gradients(kind, network, steps, [wolf, dog]),
      forgetBiases: forgetBiases(kind, network),
      otherwise: forward(kind, network, others).at(-1).probabilities,
    };
  }
  return { inputs, cells: found };
}

/** The same as plain JSON: time first, null for the logarithm of a zero. */
export function plain({ inputs, cells }, settings) {
  const numbers = (values) => Array.from(values, (x) => (Number.isFinite(x) ? x : null));
  const all = (object) => mapped(object, numbers);
  const overTime = (steps, part) =>
    mapped(steps[0][part], (_, name) => steps.map((at) => numbers(at[part][name])));
  const ofCell = ({ steps, gradients }) => ({
    gates: overTime(steps, "gates"),
    memory: overTime(steps, "carry"),
    probabilities: steps.map((at) => numbers(at.probabilities)),
    logGradient: all(gradients.leaves),
    logCarousel: gradients.carousel && numbers(gradients.carousel),
    pathShares: all(gradients.shares),
  });
  return { ...settings, inputs: inputs.map(numbers), cells: mapped(cells, ofCell) };
}
