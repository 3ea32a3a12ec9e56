// The page: what the reader does, and what is drawn of it.

import { exchanged, measured, plain, unpacked } from "./measuring.js";
import { LABELS, VALUES, drawAll, verdict } from "./parts.js";
import { LIMITS, changed, initialSettings, linkOf, settingsIn } from "./settings.js";
import { skeleton } from "./words.js";

const QUIET_MS = 300; // without a change, before the link and the spoken answer follow

/**
 * Builds the page in `root` and returns {set, get}.
 *
 * @param stored what the page was made with.
 * @param inLink whether the settings stand in the end of the page's link.
 */
export function mount(root, stored, inLink = true) {
  const page = unpacked(stored);
  root.innerHTML = skeleton(page);
  const state = { settings: initialSettings(page), step: 0 };
  state.found = measured(page, state.settings);
  const draw = onNextFrame(() => drawAll(root, page, state));
  const tell = whenQuiet(() => {
    root.querySelector("[data-is=verdict]").textContent = verdict(page, state);
    if (inLink) history.replaceState(null, "", linkOf(state.settings));
  });

  function apply(settings) {
    state.settings = settings;
    state.step = Math.min(state.step, settings.strip.length - 1);
    state.found = measured(page, settings);
    draw();
  }
  function set(changes) {
    apply(changed(state.settings, changes, page));
    say(root, "");
    tell();
  }
  function readLink() {
    try {
      apply(settingsIn(location.hash, page));
      say(root, "");
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      apply(initialSettings(page));
      say(root, `This link is broken, so the page begins as always. ${error.message}.`);
    }
  }
  const move = (step) => {
    state.step = Math.max(0, Math.min(step, state.settings.strip.length - 1));
    draw();
  };
  listen(root, page, state, { set, move });
  new ResizeObserver(draw).observe(root);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  if (inLink) {
    addEventListener("hashchange", readLink);
    readLink();
  }
  drawAll(root, page, state);
  return { set, get: () => plain(state.found, state.settings) };
}

function say(root, text) {
  root.querySelector(".notice").textContent = text;
}

function onNextFrame(work) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      work();
    });
  };
}

function whenQuiet(work) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, QUIET_MS);
  };
}

// ---- what the reader does ----

function listen(root, page, state, { set, move }) {
  const actions = {
    swap: () => set({ strip: exchanged(page, state.settings.strip) }),
    longer: () => set({ strip: withStep(state.settings.strip) }),
    shorter: () => set({ strip: state.settings.strip.toSpliced(-2, 1) }),
    reset: () => set(initialSettings(page)),
  };
  root.addEventListener("click", ({ target }) => actions[target.dataset.do]?.());
  root.addEventListener("input", ({ target }) => {
    if (target.name in LIMITS) set({ [target.name]: Number(target.value) });
    if (target.name === "trained") set({ trained: target.value === "after" });
    if (target.id === "step") move(Number(target.value) - 1);
  });
  root.addEventListener("change", ({ target }) => {
    if (!target.dataset.step) return;
    set({ strip: state.settings.strip.with(Number(target.dataset.step), target.value) });
  });
  root.querySelectorAll(".cell").forEach((card) =>
    card.addEventListener("pointermove", (event) => {
      const { left, width } = card.getBoundingClientRect();
      const share = (event.clientX - left - LABELS) / (width - LABELS - VALUES);
      if (share >= 0 && share < 1) move(Math.floor(share * state.settings.strip.length));
    }),
  );
}

/** The strip with one distractor more before its last step. */
const withStep = (strip) => strip.toSpliced(-1, 0, ["oak", "pine", "squirrel"][strip.length % 3]);
