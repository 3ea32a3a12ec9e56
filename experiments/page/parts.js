// The parts of the page, each drawn from what was measured.

import {
  coloursOf,
  decadesOf,
  drawFilm,
  drawHeat,
  drawImage,
  drawStack,
  gradientChart,
  lightened,
} from "./drawing.js";
import { CELLS } from "./memory.js";
import { LIMITS } from "./settings.js";
import {
  NAMES,
  SIGNED,
  gatesOf,
  headline,
  leafName,
  leavesOf,
  memoryInWords,
  said,
  signed,
  two,
} from "./words.js";

export const LABELS = 92; // pixels left of what is drawn over the steps, as in style.css
export const VALUES = 46; // and right of it
const FLOOR = Math.log(2 ** -24); // half a unit in the last place of 1, in float32

export function drawAll(root, page, state) {
  const { settings, found } = state;
  drawHeadline(root.querySelector("h1"), page, state);
  drawStrip(root, page, settings);
  drawControls(root, page, state);
  const curves = Object.fromEntries(
    Object.entries(found.cells).map(([kind, of]) => [kind, curvesOf(kind, of)]),
  );
  const logs = Object.values(curves).flatMap((lines) => lines.map((line) => line.logs));
  const decades = decadesOf(logs, FLOOR);
  for (const kind of Object.keys(CELLS)) {
    const [answer, card] = root.querySelectorAll(`[data-cell=${kind}]`);
    for (const part of [answer, card]) colourPart(part, page.colours[kind]);
    drawAnswer(answer, page, settings, found.cells[kind]);
    drawCard(card, page, state, kind);
    drawGradient(card, curves[kind], decades);
  }
}

/** A cell keeps its colour, lighter on a dark page. */
function colourPart(part, colour) {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  part.style.setProperty("--cell", dark ? lightened(colour) : colour);
}

const isScene = ({ scenes }, name) => [...scenes.forest, ...scenes.home].includes(name);

const sceneOf = (page, strip) => strip.find((name) => isScene(page, name));

// ---- the film ----

function drawStrip(root, page, { strip }) {
  const list = root.querySelector(".strip");
  while (list.children.length > strip.length) list.lastChild.remove();
  while (list.children.length < strip.length) list.append(tile(page, list.children.length));
  const colour = coloursOf(root);
  strip.forEach((name, step) => {
    const item = list.children[step];
    const [canvas, select, text] = item.children;
    const images = page.images[name];
    drawImage(canvas, images[step % images.length], colour);
    select.value = name;
    text.textContent = name === "question" ? "which?" : name;
    item.className = isScene(page, name) ? "scene" : name === "question" ? "asked" : "";
  });
}

function tile({ images }, step) {
  const item = document.createElement("li");
  const options = Object.keys(images).map(
    (name) => `<option value="${name}">${name === "question" ? "dog or wolf?" : name}</option>`,
  );
  item.innerHTML = `<canvas aria-hidden="true"></canvas>
    <select data-step="${step}" aria-label="Step ${step + 1} shows">${options.join("")}</select>
    <span aria-hidden="true"></span>`;
  return item;
}

// ---- controls ----

function drawControls(root, page, { settings, step, found }) {
  const { strip, forgetBias, gain, trained } = settings;
  const swap = root.querySelector("[data-do=swap]");
  const scene = sceneOf(page, strip);
  swap.disabled = !scene;
  swap.textContent = scene ? `Show ${article(page.opposite[scene])} instead` : "No scene to exchange";
  const [least, most] = LIMITS.steps;
  root.querySelector("[data-do=longer]").disabled = strip.length >= most;
  root.querySelector("[data-do=shorter]").disabled = strip.length <= least;
  const { forgetBiases } = found.cells.lstm;
  const mean = forgetBiases.reduce((a, b) => a + b) / forgetBiases.length;
  const forget = `${signed(forgetBias)}; LSTM: σ(${two(mean)}) = ${two(1 / (1 + Math.exp(-mean)))}`;
  moveSlider(root, "forgetBias", forgetBias, forget);
  moveSlider(root, "gain", gain, `× ${two(gain)}`);
  root.querySelector(trained ? "#after" : "#before").checked = true;
  const cursor = root.querySelector("#step");
  cursor.max = strip.length;
  cursor.value = step + 1;
  const where = `${step + 1} of ${strip.length}: ${strip[step]}`;
  root.querySelector("output[for=step]").textContent = where;
  cursor.setAttribute("aria-valuetext", `${where}. ${stepInWords(page, found, step)}`);
}

const article = (name) => `${"aeiou".includes(name[0]) ? "an" : "a"} ${name}`;

function moveSlider(root, name, value, text) {
  const input = root.querySelector(`[name=${name}]`);
  input.value = value;
  input.setAttribute("aria-valuetext", text);
  input.parentElement.querySelector("output").textContent = text;
}

function stepInWords({ answers }, { cells }, step) {
  const ofCell = ([kind, { steps }]) => {
    const { probabilities, gates } = steps[step];
    const forget = gates.f ? `, forget gates ${two(meanOf(gates.f))}` : "";
    const answer = said(answers, probabilities);
    return `${NAMES[kind]}: ${answer} ${two(Math.max(...probabilities))}${forget}`;
  };
  return Object.entries(cells).map(ofCell).join("; ");
}

const meanOf = (numbers) => numbers.reduce((a, b) => a + b) / numbers.length;

// ---- the answers ----

function drawAnswer(part, page, { strip }, { steps, otherwise }) {
  const { probabilities } = steps.at(-1);
  const scene = sceneOf(page, strip);
  const { answers } = page;
  part.querySelector("b").textContent = memoryInWords(answers, probabilities, otherwise, scene);
  part.querySelectorAll(".bar").forEach((bar, k) => {
    bar.children[0].style.width = `${100 * probabilities[k]}%`;
    bar.children[1].style.left = `${100 * otherwise[k]}%`;
    bar.children[1].hidden = !scene;
    bar.previousElementSibling.textContent = two(probabilities[k]);
    const best = answers[k] === said(answers, probabilities);
    bar.parentElement.classList.toggle("best", best);
  });
  const wolf = answers.indexOf("wolf");
  part.querySelector("p").textContent = scene
    ? `after ${article(page.opposite[scene])}: wolf ${two(otherwise[wolf])}`
    : "";
}

/** What all three say, in one sentence. */
export function verdict(page, state) {
  const memories = memoriesOf(page, state);
  const ofCell = ([kind, { steps }]) => {
    const { probabilities } = steps.at(-1);
    const answer = said(page.answers, probabilities);
    return `${NAMES[kind]} ${memories[kind]} and says ${answer}, ${two(Math.max(...probabilities))}`;
  };
  return `${Object.entries(state.found.cells).map(ofCell).join("; ")}.`;
}

function drawHeadline(element, page, state) {
  const sentences = headline(memoriesOf(page, state), sceneOf(page, state.settings.strip));
  element.innerHTML = sentences.map((sentence) => `<span>${sentence}</span>`).join(" ");
}

/** What each network does with the scene, in words, by its name. */
function memoriesOf(page, { settings, found }) {
  const scene = sceneOf(page, settings.strip);
  const ofCell = ([kind, { steps, otherwise }]) => {
    const { probabilities } = steps.at(-1);
    return [kind, memoryInWords(page.answers, probabilities, otherwise, scene)];
  };
  return Object.fromEntries(Object.entries(found.cells).map(ofCell));
}

// ---- inside a network ----

function drawCard(card, page, { settings, found, step }, kind) {
  const { steps, gradients } = found.cells[kind];
  const order = page.orders[kind];
  const colour = coloursOf(card);
  const put = (of, value, text, draw) => {
    const canvas = card.querySelector(`[data-is="${of}"]`);
    draw(canvas);
    canvas.setAttribute("aria-label", text);
    card.querySelector(`output[data-of="${of}"]`).textContent = value;
  };
  put("film", "", "the film", (canvas) => drawFilm(canvas, found.inputs, colour));
  const { probabilities } = steps[step];
  const leading = `${two(Math.max(...probabilities))}`;
  put("answers", leading, "probabilities of dog, wolf and goldfish at every step", (canvas) =>
    drawStack(canvas, steps.map((at) => at.probabilities), page.answers, colour),
  );
  const heat = (part, name, limit, value, text) =>
    put(`${part}.${name}`, value, `${text}, ${order.length} units at every step`, (canvas) =>
      drawHeat(canvas, steps.map((at) => at[part][name]), order, limit, colour),
    );
  for (const leaf of leavesOf(kind)) {
    const largest = Math.max(...steps.flatMap((at) => [...at.carry[leaf]].map(Math.abs)));
    const limit = Math.max(1, largest);
    heat("carry", leaf, limit, `±${limit.toFixed(1)}`, leafName(kind, leaf));
  }
  for (const gate of gatesOf(kind)) {
    const mean = meanOf(steps[step].gates[gate]);
    heat("gates", gate, 1, SIGNED.includes(gate) ? signed(mean) : two(mean), `gate ${gate}`);
  }
  for (const [path, shares] of Object.entries(gradients.shares)) {
    const value = Number.isFinite(shares[step]) ? two(shares[step]) : "";
    put(`shares.${path}`, value, `share of the gradient through ${path}`, (canvas) =>
      drawHeat(canvas, shares.map((share) => [share || 0]), [0], 1, colour),
    );
  }
  const here = card.querySelector(".here");
  const width = (card.clientWidth - LABELS - VALUES) / settings.strip.length;
  here.style.left = `${LABELS + step * width}px`;
  here.style.width = `${width}px`;
}

/** The curves of a cell: shares of the gradient that enters the last step, in nats. */
function curvesOf(kind, { steps, gradients, forgetBiases }) {
  const last = gradients.whole.at(-1);
  const share = (logs) => logs.map((log) => log - last);
  const ink = "var(--ink)";
  const { memory } = CELLS[kind];
  const lines = leavesOf(kind).map((leaf, k) => ({
    name: leafName(kind, leaf),
    logs: share(gradients.leaves[leaf]),
    width: k === 0 ? 2.4 : 1.2,
    colour: "var(--cell)",
  }));
  if (!memory) return lines;
  const start = share(gradients.leaves[memory]).at(-1);
  const rate = -Math.log1p(Math.exp(-meanOf(forgetBiases)));
  const theory = steps.map((_, step) => start + (steps.length - 1 - step) * rate);
  const carousel = share(gradients.carousel);
  lines.push({ name: "carousel", logs: carousel, width: 1.4, dashes: "5 3", colour: ink });
  lines.push({ name: "σ(b)ᵏ", logs: theory, width: 1.4, dashes: "1 3", colour: ink });
  return lines;
}

function drawGradient(card, lines, decades) {
  const svg = card.querySelector("svg");
  const height = svg.height.baseVal.value;
  const width = card.clientWidth;
  const box = { width, left: LABELS, right: VALUES, height, decades, floor: FLOOR };
  svg.setAttribute("width", width);
  svg.innerHTML = gradientChart(lines, box);
  const first = ({ name, logs }) => `${name} ${powerOfTen(logs[0])}`;
  const text = lines.map(first).join(", ");
  svg.setAttribute("aria-label", `Share of the gradient left at the first step: ${text}`);
}

const powerOfTen = (log) =>
  Number.isFinite(log) ? `10 to the ${(log / Math.LN10).toFixed(1)}` : "zero";
