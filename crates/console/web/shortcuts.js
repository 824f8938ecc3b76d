// Keys: `g` and a letter go to a view, `/` to the first field, `?` lists them.

import { el, fill } from "./dom.js";

const dialog = document.getElementById("shortcuts");
const VIEWS = { n: "now", e: "entity", t: "top", a: "alerts", m: "moments", s: "streams", l: "lake", q: "sql" };

const LIST = [
  ["g then n, e, t, a, m, s, l, q", "go to Now, Entity, Top, Alerts, Moments, Streams, Lake, SQL"],
  ["/", "go to the first field of the view"],
  ["d", "dark or light"],
  ["?", "this list; Escape closes it"],
  ["← → Home End", "on a chart: read its values; with Shift ten at a time"],
  ["+ − 0", "on a chart: zoom in, out, whole range"],
  ["Ctrl+Enter", "in SQL: run the statement"],
];

/** Opens the list of keys. */
export function openShortcuts() {
  if (dialog.open) {
    return;
  }
  fill(
    dialog,
    el("h2", { id: "shortcuts-title" }, "Keyboard shortcuts"),
    el(
      "dl",
      {},
      LIST.flatMap(([keys, what]) => [el("dt", {}, el("kbd", {}, keys)), el("dd", {}, what)]),
    ),
    el("form", { method: "dialog" }, el("button", { class: "main" }, "Close")),
  );
  dialog.showModal();
}

/** Listens to the keys of the page. */
export function listenToKeys({ go, switchTheme }) {
  let isGoing = false;
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches?.("input, textarea, select, [contenteditable]");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || dialog.open) {
      isGoing = false;
      return;
    }
    if (isGoing && VIEWS[event.key]) {
      go(`/console/${VIEWS[event.key]}`);
    } else if (event.key === "?") {
      openShortcuts();
    } else if (event.key === "d") {
      switchTheme();
    } else if (event.key === "/") {
      document.querySelector("main input, main select, main textarea")?.focus();
    } else {
      isGoing = event.key === "g";
      return;
    }
    isGoing = false;
    event.preventDefault();
  });
}
