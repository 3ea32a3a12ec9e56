// The mathematics of the page: three recurrent cells, forwards and backwards. No DOM.
//
// The equations are those of lstm_jax/cells/{rnn,lstm,four_gate}.py. Vectors are
// Float64Arrays, weights {rows, columns, values} row by row. With a_t the adjoint of the
// memories that ENTER step t, J_t and C_t the Jacobians of memories and output that
// leave it,
//
//     a_t = J_t^T a_{t+1} + C_t^T dM/dy_t
//
// and M the margin, logit of the wolf minus logit of the dog at the last step.

// ---- numbers ----

const sigma = (z) => 1 / (1 + Math.exp(-z));

// The slopes of sigma and tanh at z, right where a float has 1 - tanh^2 = 0.
const sigmaSlope = (z) => {
  const e = Math.exp(-Math.abs(z));
  return e / (1 + e) ** 2;
};
const tanhSlope = (z) => 4 * sigmaSlope(2 * z);

const map = (f, a, b = a, c = a, d = a) => a.map((number, j) => f(number, b[j], c[j], d[j]));
const zeros = (length) => new Float64Array(length);
const vector = (length, of) => zeros(length).map((_, j) => of(j));
const sum = (a, b) => map((x, y) => x + y, a, b);
const add = (...vectors) => vectors.reduce(sum);
const dot = (u, v) => u.reduce((sum, number, j) => sum + number * v[j], 0);
const scaled = (v, factor) => v.map((number) => number * factor);

/** x W, or with `from` only the rows of W that begin there. */
function times(x, weights, from = 0) {
  const { columns, values } = weights;
  const product = zeros(columns);
  for (let row = 0; row < x.length; row++) {
    const number = x[row];
    const start = (from + row) * columns;
    for (let j = 0; j < columns; j++) product[j] += number * values[start + j];
  }
  return product;
}

/** W delta^T, of the first `rows` rows of W and the columns that begin at `from`. */
function back(delta, weights, rows, from = 0) {
  const { columns, values } = weights;
  const product = zeros(rows);
  for (let row = 0; row < rows; row++) {
    const start = row * columns + from;
    for (let j = 0; j < delta.length; j++) product[row] += delta[j] * values[start + j];
  }
  return product;
}

// ---- cells ----
//
// step(params, carry, x) -> {gates, slopes, carry, y, ...} and
// stepBack(params, at, adjoint) -> {path: {leaf: part of the adjoint that enters}},
// `at` what `step` returned, with `entering`; the adjoint is that of the carry that
// leaves, to whose output leaf dM/dy has been added.

const rnn = {
  leaves: ["h"],
  output: "h",
  memory: null,
  gates: ["h"],

  step({ w_ih, w_hh, b }, { h }, x) {
    const z = add(times(x, w_ih), times(h, w_hh), b);
    const after = z.map(Math.tanh);
    return { gates: { h: after }, slopes: { h: z.map(tanhSlope) }, carry: { h: after } };
  },

  stepBack({ w_hh }, { slopes }, adjoint) {
    const delta = map((a, slope) => a * slope, adjoint.h, slopes.h);
    return { h: { h: back(delta, w_hh, delta.length) } };
  },
};

const lstm = {
  leaves: ["h", "c"],
  output: "h",
  memory: "c",
  gates: ["i", "f", "g", "o"],

  step({ w_ih, w_hh, b }, { h, c }, x) {
    const z = add(times(x, w_ih), times(h, w_hh), b);
    const units = h.length;
    const of = (gate) => z.subarray(gate * units, (gate + 1) * units);
    const [i, f, o] = [0, 1, 3].map((gate) => of(gate).map(sigma));
    const g = of(2).map(Math.tanh);
    const after = map((f, c, i, g) => f * c + i * g, f, c, i, g);
    const slopes = { g: of(2).map(tanhSlope), c: after.map(tanhSlope) };
    ["i", "f", null, "o"].forEach((name, gate) => {
      if (name) slopes[name] = of(gate).map(sigmaSlope);
    });
    const carry = { h: map((o, c) => o * Math.tanh(c), o, after), c: after };
    return { gates: { i, f, g, o }, slopes, carry };
  },

  stepBack({ w_hh }, { gates, slopes, carry, entering }, adjoint) {
    const { i, f, g, o } = gates;
    const ofC = map((c, h, o, s) => c + h * o * s, adjoint.c, adjoint.h, o, slopes.c);
    const deltas = {
      i: map((a, g, s) => a * g * s, ofC, g, slopes.i),
      f: map((a, c, s) => a * c * s, ofC, entering.c, slopes.f),
      g: map((a, i, s) => a * i * s, ofC, i, slopes.g),
      o: map((a, c, s) => a * Math.tanh(c) * s, adjoint.h, carry.c, slopes.o),
    };
    const paths = { cell: { c: map((a, f) => a * f, ofC, f) } };
    lstm.gates.forEach((gate, number) => {
      const delta = deltas[gate];
      paths[gate] = { h: back(delta, w_hh, delta.length, number * delta.length) };
    });
    return paths;
  },
};

const fourGate = {
  leaves: ["ltm", "stm"],
  output: "stm",
  memory: "ltm",
  gates: ["n", "i", "f", "u", "v"],

  step(params, { ltm, stm }, x) {
    const z = {};
    for (const gate of ["n", "i", "f", "v"]) {
      const weights = params[`w_${gate}`];
      z[gate] = add(times(stm, weights), times(x, weights, stm.length), params[`b_${gate}`]);
    }
    const n = z.n.map(Math.tanh);
    const [i, f, v] = ["i", "f", "v"].map((gate) => z[gate].map(sigma));
    const kept = map((ltm, f) => ltm * f, ltm, f);
    z.u = add(times(kept, params.w_u), params.b_u);
    const u = z.u.map(Math.tanh);
    const slopes = {};
    for (const gate of ["n", "u"]) slopes[gate] = z[gate].map(tanhSlope);
    for (const gate of ["i", "f", "v"]) slopes[gate] = z[gate].map(sigmaSlope);
    const carry = {
      ltm: map((kept, n, i) => kept + n * i, kept, n, i),
      stm: map((u, v) => u * v, u, v),
    };
    return { gates: { n, i, f, u, v }, slopes, carry };
  },

  stepBack(params, { gates, slopes, entering }, adjoint) {
    const { n, i, f, u, v } = gates;
    const units = u.length;
    const ofU = map((a, v, s) => a * v * s, adjoint.stm, v, slopes.u);
    const throughU = back(ofU, params.w_u, units);
    const ofKept = add(adjoint.ltm, throughU);
    const deltas = {
      n: map((a, i, s) => a * i * s, adjoint.ltm, i, slopes.n),
      i: map((a, n, s) => a * n * s, adjoint.ltm, n, slopes.i),
      f: map((a, ltm, s) => a * ltm * s, ofKept, entering.ltm, slopes.f),
      v: map((a, u, s) => a * u * s, adjoint.stm, u, slopes.v),
    };
    const through = (gate) => ({ stm: back(deltas[gate], params[`w_${gate}`], units) });
    return {
      cell: { ltm: map((a, f) => a * f, adjoint.ltm, f) },
      n: through("n"),
      i: through("i"),
      f: through("f"),
      u: { ltm: map((a, f) => a * f, throughU, f) },
      v: through("v"),
    };
  },
};

export const CELLS = { rnn, lstm, four_gate: fourGate };

// ---- weights ----

/** Weights from {name: {shape, float32}}, float32 in base64, little-endian. */
export function decoded(stored) {
  const numbers = Float64Array.from(floatsOf(stored.float32));
  if (stored.shape.length < 2) return numbers;
  return { rows: stored.shape[0], columns: stored.shape[1], values: numbers };
}

function floatsOf(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return vector(bytes.length / 4, (j) => view.getFloat32(4 * j, true));
}

/** {params, readout} from {"cell/w_ih": ..., "readout/w": ...}. */
export function networkOf(stored) {
  const network = { cell: {}, readout: {} };
  for (const [path, array] of Object.entries(stored)) {
    const [part, name] = path.split("/");
    network[part][name] = decoded(array);
  }
  return { params: network.cell, readout: network.readout };
}

/** The network with its forget bias shifted and its recurrent weights scaled. */
export function adjusted(kind, network, forgetBias, gain) {
  const { params } = network;
  if (kind === "rnn") {
    return { ...network, params: { ...params, w_hh: withGain(params.w_hh, gain) } };
  }
  if (kind === "lstm") {
    const units = params.w_hh.rows;
    const isForget = (j) => Math.floor(j / units) === 1;
    const b = params.b.map((bias, j) => (isForget(j) ? bias + forgetBias : bias));
    return { ...network, params: { ...params, w_hh: withGain(params.w_hh, gain), b } };
  }
  const changed = { ...params, b_f: params.b_f.map((bias) => bias + forgetBias) };
  for (const gate of fourGate.gates) {
    changed[`w_${gate}`] = withGain(params[`w_${gate}`], gain, params.w_u.rows);
  }
  return { ...network, params: changed };
}

/** Weights whose first `rows` rows, those that read a memory, are scaled. */
function withGain(weights, gain, rows = weights.rows) {
  const values = weights.values.slice();
  for (let j = 0; j < rows * weights.columns; j++) values[j] *= gain;
  return { ...weights, values };
}

/** The biases of the forget gates; empty for the RNN, which has none. */
export function forgetBiases(kind, { params }) {
  if (kind === "rnn") return zeros(0);
  const units = (params.w_hh ?? params.w_u).rows;
  return kind === "lstm" ? params.b.slice(units, 2 * units) : params.b_f;
}

// ---- forwards ----

/** Every step: gates, slopes, the carry that enters and leaves, and probabilities. */
export function forward(kind, { params, readout }, inputs) {
  const cell = CELLS[kind];
  const units = (params.w_hh ?? params.w_u).rows;
  let entering = Object.fromEntries(cell.leaves.map((leaf) => [leaf, zeros(units)]));
  return inputs.map((x) => {
    const at = { entering, ...cell.step(params, entering, x) };
    entering = at.carry;
    const logits = add(times(at.carry[cell.output], readout.w), readout.b);
    return { ...at, probabilities: softmax(logits) };
  });
}

function softmax(logits) {
  const top = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - top));
  return scaled(powers, 1 / powers.reduce((a, b) => a + b));
}

// ---- backwards ----

/** Vectors over their largest number, and its logarithm added to `log`. */
function renormalised(parts, log) {
  const largest = Math.max(...parts.map((part) => Math.max(...part.map(Math.abs))));
  if (!(largest > 0)) return { parts, factor: 1, log: -Infinity };
  const factor = 1 / largest;
  return { parts: parts.map((part) => scaled(part, factor)), factor, log: log + Math.log(largest) };
}

const logNorm = (part, log) => 0.5 * Math.log(dot(part, part)) + log;

/**
 * ln of the gradient's norm entering every step: {leaves: {name: [t]}, whole: [t],
 * carousel: [t] or null, shares: {path: [t]}}.
 *
 * The adjoint is renormalised at every step, so nothing underflows. The carousel is what
 * the forget gates alone keep of the adjoint that enters the last step; the share of a
 * path is its inner product with the whole over that of the whole with itself.
 */
export function gradients(kind, { params, readout }, steps, [wolf, dog]) {
  const cell = CELLS[kind];
  const units = steps[0].entering[cell.output].length;
  const none = () => zeros(units);
  const towards = vector(units, (j) => {
    const row = j * readout.w.columns;
    return readout.w.values[row + wolf] - readout.w.values[row + dog];
  });
  let adjoint = Object.fromEntries(
    cell.leaves.map((leaf) => [leaf, leaf === cell.output ? towards : none()]),
  );
  let log = 0;
  const found = [...steps].reverse().map((at) => {
    const paths = cell.stepBack(params, at, adjoint);
    const sums = cell.leaves.map((leaf) =>
      add(none(), ...Object.values(paths).flatMap((path) => path[leaf] ?? [])),
    );
    const { parts, factor, log: total } = renormalised(sums, log);
    log = total;
    adjoint = Object.fromEntries(cell.leaves.map((leaf, k) => [leaf, parts[k]]));
    const square = parts.reduce((sum, part) => sum + dot(part, part), 0);
    const along = (path) => (sum, leaf, k) =>
      sum + (path[leaf] ? factor * dot(path[leaf], parts[k]) : 0);
    const shares = mapped(paths, (path) => cell.leaves.reduce(along(path), 0) / square);
    return { at, adjoint, log, shares };
  });
  return curves(cell, found.reverse());
}

function curves(cell, found) {
  const over = (leaves) => ({ adjoint, log }) =>
    0.5 * Math.log(leaves.reduce((sum, leaf) => sum + dot(adjoint[leaf], adjoint[leaf]), 0)) + log;
  return {
    leaves: Object.fromEntries(cell.leaves.map((leaf) => [leaf, found.map(over([leaf]))])),
    whole: found.map(over(cell.leaves)),
    carousel: cell.memory && carousel(cell.memory, found),
    shares: mapped(found[0].shares, (_, path) => found.map(({ shares }) => shares[path])),
  };
}

function carousel(memory, found) {
  const last = found.at(-1);
  let part = last.adjoint[memory];
  let log = last.log;
  const norms = [logNorm(part, log)];
  for (const { at } of found.slice(0, -1).reverse()) {
    const kept = map((a, f) => a * f, part, at.gates.f);
    ({ parts: [part], log } = renormalised([kept], log));
    norms.unshift(logNorm(part, log));
  }
  return norms;
}

/** The object with `of(value, key)` in place of every value. */
export const mapped = (object, of) =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, of(value, key)]));
