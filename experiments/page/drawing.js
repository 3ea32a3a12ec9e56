// Drawing: images and heat maps on canvases, the gradient as SVG.

/** The colours of the page as [red, green, blue], by the name of a CSS variable. */
export function coloursOf(element) {
  const style = getComputedStyle(element);
  return (name) => {
    const hex = style.getPropertyValue(`--${name}`).trim();
    return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  };
}

/** A colour "#rrggbb", nearer to white. */
export function lightened(hex) {
  const parts = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const numbers = blend(parts, [255, 255, 255], 0.3).map((part) => Math.round(part));
  return `#${numbers.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

const blend = (from, to, share) => from.map((of, k) => of + share * (to[k] - of));

/** Fills a canvas of `columns` by `rows` with `colour(row, column)`. */
function fill(canvas, columns, rows, colour) {
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(columns, rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      pixels.data.set([...colour(row, column), 255], 4 * (row * columns + column));
    }
  }
  context.putImageData(pixels, 0, 0);
}

/** An image of 8 x 8 pixels in [0, 1], in ink on paper. */
export function drawImage(canvas, pixels, colour) {
  const [paper, ink] = [colour("paper"), colour("ink")];
  fill(canvas, 8, 8, (row, column) => blend(paper, ink, pixels[8 * row + column]));
}

/** Images side by side, one of each step. */
export function drawFilm(canvas, images, colour) {
  const [paper, ink] = [colour("paper"), colour("ink")];
  fill(canvas, 8 * images.length, 8, (row, column) =>
    blend(paper, ink, images[Math.floor(column / 8)][8 * row + (column % 8)]),
  );
}

/** Steps by units: 0 is paper, +limit the colour of the cell, -limit ink. */
export function drawHeat(canvas, steps, order, limit, colour) {
  const [paper, ink, cell] = ["shade", "ink", "cell"].map(colour);
  fill(canvas, steps.length, order.length, (row, column) => {
    const value = steps[column][order[row]] / limit;
    return blend(paper, value > 0 ? cell : ink, Math.min(1, Math.abs(value)));
  });
}

/** Probabilities stacked at every step, in the order and colours of `answers`. */
export function drawStack(canvas, probabilities, answers, colour) {
  const rows = 48;
  const colours = answers.map(colour);
  fill(canvas, probabilities.length, rows, (row, column) => {
    let left = (row + 0.5) / rows;
    const at = answers.findIndex((_, k) => (left -= probabilities[column][k]) < 0);
    return colours.at(at);
  });
}

/** The decades that hold all curves: [lowest, highest]. */
export function decadesOf(curves, floor) {
  const values = curves.flat().filter(Number.isFinite).map((log) => log / Math.LN10);
  const lowest = Math.min(floor / Math.LN10 - 1, ...values);
  return [Math.floor(lowest), Math.max(0.4, Math.ceil(2 * Math.max(...values)) / 2)];
}

/**
 * The gradient against the steps, on a log axis, as the text of an SVG.
 *
 * @param lines [{name, logs, width, dashes, colour}], logs in nats, by step.
 * @param box {width, left, right, height, decades, floor, marker}
 */
export function gradientChart(lines, box) {
  const { width, left, right, height, decades, floor } = box;
  const [low, high] = decades;
  const bottom = height - 18;
  const number = lines[0].logs.length;
  const x = (step) => left + ((step + 0.5) / number) * (width - left - right);
  const y = (log) => 6 + ((high - log / Math.LN10) / (high - low)) * (bottom - 6);
  const parts = [
    ...decadeTicks(low, high).map((power) => decadeLine(power, y(power * Math.LN10), box)),
    ...stepTicks(number).map((k) => label(x(number - 1 - k), height - 4, `${k}`, "middle")),
    label(left - 5, height - 4, "steps to the end", "end"),
    `<path class="marked" d="M${left} ${y(floor)}H${width - right}"/>`,
    label(width - right - 2, y(floor) + 13, "below, float32 drops it from a sum", "end"),
    ...lines.map((line) => curve(line, x, y)),
    ...namesApart(lines.map((line) => ({ ...line, at: y(line.logs[0]) })), bottom).map(
      ({ name, at }) => label(left - 5, at + 3.5, name, "end", "name"),
    ),
  ];
  return parts.join("");
}

const label = (x, y, text, anchor, kind = "halo") =>
  `<text class="${kind}" x="${x}" y="${y}" text-anchor="${anchor}">${text}</text>`;

function decadeTicks(low, high) {
  const apart = [1, 2, 5, 10, 20, 50, 100].find((n) => (high - low) / n <= 6) ?? 200;
  const ticks = [];
  for (let power = 0; power >= low; power -= apart) ticks.push(power);
  for (let power = apart; power <= high; power += apart) ticks.push(power);
  return ticks;
}

function decadeLine(power, y, { width, left, right }) {
  const raised = power === 0 ? "1" : `10<tspan dy="-4" font-size="8.5">${power}</tspan>`;
  return (
    `<path class="axis" d="M${left} ${y}H${width - right}"/>` +
    label(width - right + 5, y + 4, raised, "start")
  );
}

const stepTicks = (number) => {
  const apart = number > 32 ? 10 : number > 8 ? 5 : 1;
  return Array.from({ length: number }, (_, k) => k).filter((k) => k % apart === 0);
};

function curve({ logs, width, dashes = "", colour }, x, y) {
  const points = logs.map((log, step) => (Number.isFinite(log) ? [x(step), y(log)] : null));
  const path = points.map((point, k) => {
    if (!point) return "";
    return `${points[k - 1] ? "L" : "M"}${point.map((number) => number.toFixed(1)).join(" ")}`;
  });
  const style = `stroke:${colour};stroke-width:${width};stroke-dasharray:${dashes}`;
  return `<path class="curve" d="${path.join("")}" style="${style}"/>`;
}

/** Labels at the left ends of curves, moved so that none covers another. */
function namesApart(names, bottom) {
  const apart = 12;
  const found = names
    .map((name) => ({ ...name, at: Number.isFinite(name.at) ? name.at : bottom }))
    .sort((a, b) => a.at - b.at);
  found.forEach((name, k) => {
    if (k) name.at = Math.max(name.at, found[k - 1].at + apart);
  });
  let lowest = bottom;
  for (const name of found.reverse()) {
    name.at = Math.min(name.at, lowest);
    lowest = name.at - apart;
  }
  return found;
}
