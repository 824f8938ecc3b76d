// Ticks of axes.

const STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600,
  2592000,
].map((step) => step * 1000);

/** An axis from `low` to `high`, widened to round numbers, with about `count` ticks: `{low, high, ticks}`. */
export function numberAxis(low, high, count) {
  const raw = (high - low) / Math.max(1, count);
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * size >= raw * 0.999) * size;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  const ticks = Array.from({ length: last - first + 1 }, (_, index) =>
    Number(((first + index) * step).toPrecision(12)),
  );
  return { low: ticks[0], high: ticks.at(-1), ticks };
}

/** Round times in UTC from `from` to `to` (ms), at most `count` of them. */
export function timeTicks(from, to, count) {
  const step =
    STEPS.find((length) => (to - from) / length <= count) ?? Math.ceil((to - from) / count / 2.592e9) * 2.592e9;
  const ticks = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    ticks.push(at);
  }
  return { ticks, step };
}

/** A tick's text, as exact as its step. */
export function timeTick(at, step) {
  const text = new Date(at).toISOString();
  if (step >= 86_400_000 || (step >= 3_600_000 && text.slice(11, 16) === "00:00")) {
    return text.slice(5, 10);
  }
  return step >= 60_000 ? text.slice(11, 16) : text.slice(11, 19);
}

/** The range of an axis for values from `low` to `high`: with some air, and from 0 where 0 is near. */
export function valueRange(low, high, fromZero) {
  if (!(low <= high)) {
    return [0, 1];
  }
  if (low === high) {
    if (low === 0) {
      return [0, 1];
    }
    const air = Math.abs(low) * 0.1;
    return fromZero && low > 0 ? [0, low * 1.2] : [low - air, high + air];
  }
  const air = (high - low) * 0.02;
  if (low >= 0 && (fromZero || low < (high - low) * 0.5)) {
    return [0, high + air];
  }
  return [low - air, high + air];
}

/** Index of the time nearest to `at` in rising `times`; -1 if there is none. */
export function nearest(times, at) {
  if (times.length === 0) {
    return -1;
  }
  const right = firstAtLeast(times, at);
  if (right === 0) {
    return 0;
  }
  if (right === times.length) {
    return right - 1;
  }
  return at - times[right - 1] <= times[right] - at ? right - 1 : right;
}

/** Index of the first of rising `times` that is not below `at`. */
export function firstAtLeast(times, at) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < at) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}
