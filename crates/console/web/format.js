// How numbers and times look. All times are in UTC, as in the lake and in SQL.

const plain = new Intl.NumberFormat("en", { maximumSignificantDigits: 6 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** A number with at most six digits, or a dash where it is unknown. */
export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) {
    return "–";
  }
  if (typeof value !== "number") {
    return String(value);
  }
  if (!Number.isFinite(value)) {
    return value > 0 ? "∞" : "−∞";
  }
  const size = Math.abs(value);
  if (size >= 1e15 || (size > 0 && size < 1e-4)) {
    return value.toExponential(3);
  }
  return size >= 1e6 ? whole.format(value) : plain.format(value);
}

/** A number in the few characters that a tile or an axis has. */
export function short(value) {
  if (value === null || value === undefined || Number.isNaN(value)) {
    return "–";
  }
  const size = Math.abs(value);
  const units = [
    [1e12, "T"],
    [1e9, "G"],
    [1e6, "M"],
    [1e4, "k"],
  ];
  const found = units.find(([least]) => size >= least);
  if (found) {
    const [least, unit] = found;
    return `${trim(value / (least === 1e4 ? 1e3 : least), 3)}${unit}`;
  }
  if (size > 0 && size < 1e-3) {
    return value.toExponential(1);
  }
  return trim(value, size >= 1000 ? 5 : 4);
}

function trim(value, digits) {
  return String(Number(value.toPrecision(digits)));
}

/** Dollars, to the cent where they are many. */
export function dollars(value) {
  if (value === null || value === undefined) {
    return "–";
  }
  return `$${value >= 100 ? whole.format(value) : value.toFixed(value >= 1 ? 2 : 3)}`;
}

/** Seconds as a duration: `1.2 s`, `3 min 20 s`. */
export function seconds(value) {
  if (value === null || value === undefined || Number.isNaN(value)) {
    return "–";
  }
  if (value < 60) {
    return `${trim(value, value < 10 ? 2 : 3)} s`;
  }
  const parts = [
    [86400, "d"],
    [3600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  const words = [];
  let left = Math.round(value);
  for (const [length, unit] of parts) {
    const count = Math.floor(left / length);
    left -= count * length;
    if (count > 0 && words.length < 2) {
      words.push(`${count} ${unit}`);
    }
  }
  return words.join(" ");
}

/** Bytes with a unit of 1,024. */
export function bytes(value) {
  let size = value;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (size < 1024) {
      return `${unit === "B" ? size : size.toFixed(1)} ${unit}`;
    }
    size /= 1024;
  }
  return `${size.toFixed(1)} TiB`;
}

/** Time of day: `16:01:03`, or with the day where that is another than today. */
export function time(ms) {
  const text = new Date(ms).toISOString();
  const today = new Date().toISOString().slice(0, 10);
  const clock = text.slice(11, 19);
  return text.startsWith(today) ? clock : `${text.slice(0, 10)} ${clock}`;
}

/** Day and time of day, with milliseconds where there are any. */
export function moment(ms) {
  const text = new Date(ms).toISOString();
  return `${text.slice(0, 10)} ${text.slice(11, ms % 1000 ? 23 : 19)}`;
}

/** Milliseconds of a time that is a number or a text in RFC 3339; null if it is neither. */
export function millis(value) {
  if (typeof value === "number") {
    return value;
  }
  const ms = typeof value === "string" ? Date.parse(value) : NaN;
  return Number.isNaN(ms) ? null : ms;
}
