// The rows of a statement, as a table and as a chart.

import { Chart } from "./chart.js";
import { bdi, el } from "./dom.js";
import { millis } from "./format.js";

const SHOWN = 200; // rows that are shown first, and each time more are asked for
const MOST_LINES = 6;
const MOST_POINTS = 20_000;

/**
 * A chart of the result, if it has a column of times and one of numbers with two values: a line for each column of
 * numbers, or of the first one for each of the texts that come again and again. Else null.
 */
export function chartOf({ columns, rows }) {
  const timeColumn = columns.findIndex(({ type }) => /^(timestamp|date)/.test(type));
  const numbers = columns
    .map((column, index) => [column, index])
    .filter(([{ type }, index]) => isNumeric(type) && rows.filter((row) => row[index] !== null).length > 1);
  if (timeColumn < 0 || numbers.length === 0) {
    return null;
  }
  const texts = columns
    .map((column, index) => [column, index])
    .filter(([{ type }, index]) => isRepeated(type, index, rows));
  const points = rows
    .map((row) => [millis(row[timeColumn]), row])
    .filter(([at]) => at !== null)
    .sort((a, b) => a[0] - b[0])
    .slice(-MOST_POINTS);
  const { lines, times, values, isLess } =
    texts.length > 0 ? byText(points, texts, numbers) : byColumn(points, numbers);
  if (times.length < 2) {
    return null;
  }
  const chart = new Chart({
    title: texts.length > 0 || lines.length === 1 ? numbers[0][0].name : "Result",
    lines: lines.length === 1 ? [""] : lines,
    height: "tall",
    caption: `Over ${columns[timeColumn].name}.${isLess ? " There are more lines: the first six are drawn." : ""}`,
  });
  chart.set({ times, values }, times[0], times.at(-1));
  return chart;
}

// Whether a column tells lines apart: texts of which there are several, each in two rows at least on average.
function isRepeated(type, index, rows) {
  if (type !== "text" && type !== "character varying") {
    return false;
  }
  const count = new Set(rows.map((row) => row[index])).size;
  return count > 1 && count <= rows.length / 2;
}

// Each column of numbers is a line.
function byColumn(points, numbers) {
  const drawn = numbers.slice(0, MOST_LINES);
  return {
    lines: drawn.map(([{ name }]) => name),
    times: points.map(([at]) => at),
    values: drawn.map(([, index]) => points.map(([, row]) => toNumber(row[index]))),
    isLess: numbers.length > MOST_LINES,
  };
}

// The first column of numbers, with a line for each combination of texts.
function byText(points, texts, numbers) {
  const [, index] = numbers[0];
  const lines = new Map();
  const times = [];
  const rows = [];
  for (const [at, row] of points) {
    const name = texts.map(([, text]) => row[text] ?? "").join(" · ");
    if (!lines.has(name)) {
      if (lines.size === MOST_LINES) {
        continue;
      }
      lines.set(name, lines.size);
    }
    if (times.at(-1) !== at) {
      times.push(at);
      rows.push([]);
    }
    rows.at(-1)[lines.get(name)] = toNumber(row[index]);
  }
  const count = new Set(points.map(([, row]) => texts.map(([, text]) => row[text] ?? "").join(" · "))).size;
  // A line has values at its own times: those of others are no gaps in it.
  const values = [...lines.values()].map((line) => carry(rows.map((row) => row[line] ?? NaN)));
  return { lines: [...lines.keys()], times, values, isLess: count > MOST_LINES };
}

// Between two values of a line those in between are on the straight way from one to the other.
function carry(column) {
  let last = -1;
  column.forEach((value, index) => {
    if (Number.isNaN(value)) {
      return;
    }
    for (let between = last + 1; last >= 0 && between < index; between += 1) {
      column[between] = column[last] + ((value - column[last]) * (between - last)) / (index - last);
    }
    last = index;
  });
  return column;
}

function isNumeric(type) {
  return /^(double|real|numeric|integer|bigint|smallint|decimal|float)/.test(type);
}

function toNumber(value) {
  return value === null || value === undefined ? NaN : Number(value);
}

/** A table of the result: some rows, and a button for more. */
export function tableOf({ columns, rows }) {
  const isNumber = columns.map(({ type }) => isNumeric(type));
  const body = el("tbody", {});
  const more = el("button", { type: "button", class: "small", onclick: add }, "More rows");
  const said = el("span", { class: "caption" });
  let shown = 0;

  function add() {
    const next = rows.slice(shown, shown + SHOWN);
    body.append(
      ...next.map((cells) =>
        el(
          "tr",
          {},
          cells.map((value, index) => el("td", { class: isNumber[index] ? "n" : null }, shownCell(value))),
        ),
      ),
    );
    shown += next.length;
    more.hidden = shown >= rows.length;
    said.textContent = shown < rows.length ? ` ${shown} of ${rows.length} rows are shown.` : "";
  }

  add();
  const head = columns.map(({ name, type }, index) =>
    el("th", { scope: "col", class: isNumber[index] ? "n" : null, title: type }, bdi(name)),
  );
  return el(
    "section",
    { class: "panel" },
    rows.length ? null : el("p", { class: "note" }, "No rows."),
    el(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Rows" },
      el("table", {}, el("thead", {}, el("tr", {}, head)), body),
    ),
    el("div", {}, more, said),
  );
}

function shownCell(value) {
  if (value === null || value === undefined) {
    return el("span", { class: "null" }, "null");
  }
  const whole = typeof value === "object" ? JSON.stringify(value) : String(value);
  return el(
    "bdi",
    { title: whole.length > 60 ? whole.slice(0, 2000) : null },
    whole.length > 4000 ? `${whole.slice(0, 4000)}…` : whole,
  );
}
