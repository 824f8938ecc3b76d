// Tables, and the small words beside them.

import { el, fill } from "./dom.js";
import { number } from "./format.js";

/**
 * A table in a region that scrolls. `heads` are texts, or `[text, "n"]` for a column of numbers; each of `rows` is a
 * list of cells: nodes, texts, or numbers.
 */
export function table(label, heads, rows) {
  const isNumber = heads.map((head) => Array.isArray(head) && head[1] === "n");
  const head = heads.map((name, index) =>
    el("th", { scope: "col", class: isNumber[index] ? "n" : null }, Array.isArray(name) ? name[0] : name),
  );
  const body = rows.map((cells) => row(cells, isNumber));
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, body)),
  );
}

/** One row of a table whose columns are numbers where `isNumber` says so. */
export function row(cells, isNumber = []) {
  return el(
    "tr",
    {},
    cells.map((content, index) => {
      const isPlain = typeof content === "number";
      return el(
        "td",
        { class: isNumber[index] ? "n" : null, title: isPlain ? String(content) : null },
        isPlain ? number(content) : content,
      );
    }),
  );
}

/** Says that something is missing, or why it could not be had. */
export function note(...words) {
  return el("p", { class: "note" }, ...words);
}

/** Shows an error in `place`; an aborted request is none. */
export function showError(place, error) {
  if (error.name === "AbortError") {
    return;
  }
  if (error.status === undefined) {
    console.error(error);
  }
  fill(place, el("p", { class: "error", role: "alert" }, error.message));
}

/** A panel with a heading. */
export function panel(title, ...children) {
  return el("section", { class: "panel" }, el("h2", {}, title), ...children);
}

/** Links that choose one of several; the chosen one is marked. */
export function tabs(label, options, chosen, address) {
  return el(
    "nav",
    { class: "tabs", "aria-label": label },
    options.map(([value, text]) =>
      el("a", { href: address(value), "aria-current": value === chosen ? "true" : null }, text),
    ),
  );
}
