// Ranges of time that a view looks at, and the width of buckets for them.

const MINUTE = 60_000;

/** Ranges by their names in addresses, in ms. */
export const RANGES = {
  "1m": MINUTE,
  "5m": 5 * MINUTE,
  "15m": 15 * MINUTE,
  "1h": 60 * MINUTE,
  "6h": 360 * MINUTE,
  "24h": 1440 * MINUTE,
  "7d": 7 * 1440 * MINUTE,
  "30d": 30 * 1440 * MINUTE,
};

/** Ranges up to this one are followed live. */
export const LIVE_UP_TO = 15 * MINUTE;

const STEPS = [
  [1, "1s"],
  [2, "2s"],
  [5, "5s"],
  [10, "10s"],
  [30, "30s"],
  [60, "1m"],
  [120, "2m"],
  [300, "5m"],
  [600, "10m"],
  [1800, "30m"],
  [3600, "1h"],
  [7200, "2h"],
  [21600, "6h"],
  [43200, "12h"],
  [86400, "24h"],
];

/** The narrowest step that cuts `span` ms into at most `most` buckets: `{text, ms}`. */
export function stepFor(span, most = 320) {
  const [length, text] = STEPS.find(([step]) => span / (step * 1000) <= most) ?? STEPS.at(-1);
  return { text, ms: length * 1000 };
}

/** The next wider or narrower range, for zooming by keys; null at the end. */
export function beside(name, by) {
  const names = Object.keys(RANGES);
  return names[names.indexOf(name) + by] ?? null;
}
