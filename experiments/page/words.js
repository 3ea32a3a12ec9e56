// What the page says: names, sentences, and the HTML of its parts. No state.

import { CELLS } from "./memory.js";
import { LIMITS } from "./settings.js";

export const NAMES = { rnn: "RNN", lstm: "LSTM", four_gate: "Four-gate" };

const CALLED = { rnn: "the RNN", lstm: "the LSTM", four_gate: "the four-gate cell" };

const LEAVES = {
  h: "short-term h",
  c: "long-term c",
  ltm: "long-term LTM",
  stm: "short-term STM",
};

const GATES = {
  lstm: { i: "input i", f: "forget f", g: "candidate g", o: "output o" },
  four_gate: { n: "new n", i: "learn i", f: "forget f", u: "use u", v: "use v" },
};

/** The gates that are a tanh: they lie between -1 and 1. */
export const SIGNED = ["g", "n", "u"];

export const leafName = (kind, leaf) => (kind === "rnn" ? "memory h" : LEAVES[leaf]);

export const pathName = (path) => (path === "cell" ? "kept as it is" : `through ${path}`);

/** The leaves of a cell's carry, the one that is kept first. */
export const leavesOf = (kind) => {
  const { leaves, memory } = CELLS[kind];
  return [...leaves].sort((a, b) => (b === memory) - (a === memory));
};

export const gatesOf = (kind) => Object.keys(GATES[kind] ?? {});

export const two = (number) => number.toFixed(2).replace(/^-(0\.00)$/, "$1").replace("-", "−");

export const signed = (number) => `${number < 0 ? "−" : "+"}${two(Math.abs(number))}`;

/** The answer that is likeliest. */
export const said = (answers, probabilities) =>
  answers[probabilities.indexOf(Math.max(...probabilities))];

/** How much an answer depends on the scene, in a word or two. */
export function memoryInWords(answers, probabilities, otherwise, scene) {
  const wolf = answers.indexOf("wolf");
  if (!scene) return "has no scene to remember";
  const apart = Math.abs(probabilities[wolf] - otherwise[wolf]);
  if (apart > 0.5) return `keeps the ${scene}`;
  return apart > 0.1 ? `half forgets the ${scene}` : `forgets the ${scene}`;
}

/**
 * What was measured, as sentences: one for all networks that do the same.
 *
 * @param memories what `memoryInWords` says of each network, by its name.
 */
export function headline(memories, scene) {
  if (!scene) return ["Without a scene, nothing to remember."];
  return [...new Set(Object.values(memories))].map((memory, place) => {
    const alike = Object.keys(memories).filter((kind) => memories[kind] === memory);
    const words = alike.length > 1 ? memory.replace("s ", " ") : memory;
    const names = alike.map((kind) => CALLED[kind]).join(" and ");
    const who = alike.length > 2 ? "all three" : names;
    const sentence = `${who} ${place ? words.replace(`the ${scene}`, "it") : words}.`;
    return sentence[0].toUpperCase() + sentence.slice(1);
  });
}

export const skeleton = (page) => `
<header>
<h1></h1>
<p>Three networks watch the same film and are asked at its end: dog or wolf? The last image
is half of each. A bear at the start means forest, so wolf; an armchair means home, so dog.
8&nbsp;x&nbsp;8 handwritten digits stand in for the animals.</p>
</header>
<p class="notice" role="status"></p>
<ol class="strip" aria-label="The film, one image per step"></ol>
<div class="tools">
  <button type="button" class="first" data-do="swap"></button>
  <button type="button" data-do="longer">One step more</button>
  <button type="button" data-do="shorter">One step less</button>
  <button type="button" data-do="reset">As at first</button>
</div>
<section class="answers" aria-label="Answers">
  ${Object.keys(CELLS).map((kind) => answerPanel(kind, page.answers)).join("")}
</section>
<p class="hidden" role="status" data-is="verdict"></p>
<section class="controls" aria-label="Controls">
  ${slider("forgetBias", "Forget bias")}${slider("gain", "Recurrent weights")}
  <fieldset class="choice"><legend class="hidden">Weights</legend>
    <input type="radio" name="trained" id="before" value="before">
    <label for="before">before training</label>
    <input type="radio" name="trained" id="after" value="after">
    <label for="after">after training</label>
  </fieldset>
</section>
<div class="cursor-control">
  <label for="step">Step</label><input type="range" id="step" min="1" step="1">
  <output for="step"></output>
</div>
<section class="inside" aria-label="Inside the networks">
  ${Object.keys(CELLS).map(card).join("")}
</section>`;

const slider = (name, label) => `
<div class="slider"><label for="${name}">${label}</label><output for="${name}"></output>
  <input type="range" id="${name}" name="${name}" min="${LIMITS[name][0]}" max="${LIMITS[name][1]}" step="0.01">
</div>`;

const answerPanel = (kind, answers) => `
<article class="answer" data-cell="${kind}">
  <h2>${NAMES[kind]} <b></b></h2>
  <div class="bars">${answers.map(answerBar).join("")}</div>
  <p></p>
</article>`;

const answerBar = (answer) => `
<div><span>${answer}</span><span class="value"></span>
<span class="bar" style="--animal:var(--${answer})"><i></i><u></u></span></div>`;

const row = (name, of, height) =>
  `<span>${name}</span><canvas data-is="${of}" style="height:${height}px" role="img"></canvas>` +
  `<output data-of="${of}"></output>`;

const chip = (colour, text) =>
  `<i class="chip" style="--animal:var(--${colour})"></i>${text}`;

function card(kind) {
  const heat = (part, name, label) => row(label, `${part}.${name}`, 34);
  const gates = gatesOf(kind).map((gate) => heat("gates", gate, GATES[kind][gate]));
  const none =
    "<p>It has none: at every step all it keeps passes through the same weights and one tanh.</p>";
  const paths = kind === "rnn" ? CELLS.rnn.gates : ["cell", ...CELLS[kind].gates];
  return `
<article class="cell" data-cell="${kind}">
  <h2>${NAMES[kind]}</h2>
  <div class="rows">${row("film", "film", 14)}
    ${row(["goldfish", "dog", "wolf"].map((name) => chip(name, name)).join("<br>"), "answers", 54)}</div>
  <div class="rows"><h3>Memory, a row per unit: ${chip("cell", "above")} ${chip("ink", "below 0")}</h3>
    ${leavesOf(kind).map((leaf) => heat("carry", leaf, leafName(kind, leaf))).join("")}</div>
  <div class="rows"><h3>Gates</h3>${gates.join("") || none}</div>
  <div class="rows"><h3>Gradient of the answer: the share that is left</h3>
    <svg class="wide" height="190" role="img"></svg>
    <h3>By which path it passes a step</h3>
    ${paths.map((path) => row(pathName(path), `shares.${path}`, 11)).join("")}</div>
  <div class="here" aria-hidden="true"></div>
</article>`;
}

/** The foot of the page: where the networks come from, and how to read it. */
export function aboutText({ cells, testShows }) {
  const networks = Object.entries(cells).map(
    ([kind, { about, accuracy }]) => `${NAMES[kind]}: ${two(accuracy)} (${escaped(about)})`,
  );
  return `
<p>The mark on each bar is the answer after the opposite scene, all else the same. A network
that remembers has mark and bar far apart.</p>
<p>The gradient is that of the margin, logit of the wolf minus logit of the dog at the last
step, with respect to the memory that enters each step, over that of all memory entering the
last. Dashed: the carousel, what the forget gates alone keep of it. Dotted: σ(b)<sup>k</sup>,
b the mean forget bias, which holds for gates that read nothing. No number underflows: it is
kept with its exponent. A path's share is its part of the whole, drawn like a memory: below 0, it works
against the others.</p>
<p>Right in what share of the ambiguous ones of ${testShows} shows, of images never drawn in
training; without memory it is 0.50. ${networks.join(". ")}.</p>
<p>All is computed here. <code>lstmJax.set({strip, forgetBias, gain, trained})</code> and
<code>lstmJax.get()</code> do what the controls do. Digits: Alpaydin &amp; Kaynak (1998), in
scikit-learn. Story: Luis Serrano's lesson in the Udacity deep-learning course.</p>`;
}

const escaped = (text) =>
  text.replace(/[&<>]/g, (letter) => `&#${letter.charCodeAt(0)};`);
