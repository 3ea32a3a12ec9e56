// What the reader chooses, checked, and as the end of a link. No DOM.

export const LIMITS = { forgetBias: [-10, 10], gain: [0, 3], steps: [2, 64] };

export const initialSettings = ({ strip }) => ({
  strip: [...strip],
  forgetBias: 0,
  gain: 1,
  trained: true,
});

const CHECKS = {
  strip(value, { images, also }) {
    const [least, most] = LIMITS.steps;
    const names = [...Object.keys(images), ...Object.keys(also)];
    if (!Array.isArray(value) || value.length < least || value.length > most) {
      refuse("strip", value?.length ?? value, `a list of ${least} to ${most} names`);
    }
    const odd = value.find((name) => !names.includes(name));
    if (odd !== undefined) refuse("strip", odd, `one of ${names.join(", ")}`);
    return value.map((name) => also[name] ?? name);
  },
  forgetBias: (value) => numberWithin("forgetBias", value),
  gain: (value) => numberWithin("gain", value),
  trained(value) {
    if (typeof value !== "boolean") refuse("trained", value, "true or false");
    return value;
  },
};

function numberWithin(name, value) {
  const [least, most] = LIMITS[name];
  if (typeof value !== "number" || !(least <= value && value <= most)) {
    refuse(name, value, `a number from ${least} to ${most}`);
  }
  return value;
}

function refuse(name, value, allowed) {
  const got = typeof value === "string" ? value : JSON.stringify(value);
  throw new RangeError(`${name}: got ${got}; it must be ${allowed}`);
}

/** The settings with some of them changed; throws a RangeError that says what is wrong. */
export function changed(settings, changes, stored) {
  const next = { ...settings };
  for (const [name, value] of Object.entries(changes)) {
    if (!Object.hasOwn(CHECKS, name)) {
      refuse("settings", name, `one of ${Object.keys(CHECKS).join(", ")}`);
    }
    next[name] = CHECKS[name](value, stored);
  }
  return next;
}

/** The end of a link that opens the page with these settings. */
export function linkOf({ strip, forgetBias, gain, trained }) {
  const when = trained ? "after" : "before";
  return `#strip=${strip.join(",")}&forgetBias=${forgetBias}&gain=${gain}&training=${when}`;
}

const READERS = {
  strip: (text) => ({ strip: text.split(",") }),
  forgetBias: (text) => ({ forgetBias: text.trim() ? Number(text) : NaN }),
  gain: (text) => ({ gain: text.trim() ? Number(text) : NaN }),
  training(text) {
    if (!["before", "after"].includes(text)) refuse("training", text, "before or after");
    return { trained: text === "after" };
  },
};

/** The settings in the end of a link; throws a RangeError where it is broken. */
export function settingsIn(link, stored) {
  let settings = initialSettings(stored);
  for (const [name, text] of new URLSearchParams(link.replace(/^#/, ""))) {
    if (!Object.hasOwn(READERS, name)) {
      refuse("link", name, `one of ${Object.keys(READERS).join(", ")}`);
    }
    settings = changed(settings, READERS[name](text), stored);
  }
  return settings;
}
