// Top: the entities with the greatest values of a signal, as they change.

import { kinds } from "./api.js";
import { bdi, el, field, fill, link, select } from "./dom.js";
import { number, time } from "./format.js";
import { live } from "./live.js";
import { note, showError, table } from "./table.js";

const STATISTICS = ["avg", "max", "min", "sum", "count", "last", "stddev", "p50", "p95", "p99"];
const WINDOWS = ["1m", "5m", "15m", "1h", "6h", "24h"];

async function mountInto(root, page) {
  const list = await kinds();
  if (page.signal.aborted) {
    return () => {};
  }
  const wanted = Object.fromEntries(page.parameters);
  const first =
    wanted.kind ??
    (list.find(({ name, first: since }) => name === "cell" && since) ?? list.find((kind) => kind.first) ?? list[0])
      ?.name;
  const kind = select(
    list.map(({ name }) => name),
    first,
    { onchange: () => choose(true) },
  );
  const signal = el("select", { onchange: () => choose() });
  const other = el("input", {
    value: wanted.signal ?? "",
    onchange: () => choose(),
    spellcheck: "false",
    placeholder: "name of the signal",
  });
  const signalPlace = el("div");
  const stat = select(STATISTICS, wanted.stat ?? "avg", { onchange: () => choose() });
  const span = select(WINDOWS, wanted.window ?? "5m", { onchange: () => choose() });
  const count = el("input", { type: "number", min: 1, max: 100, value: wanted.n ?? 10, onchange: () => choose() });
  const place = el("section", { class: "panel" });
  let end = () => {};

  // Signals that are declared or were seen; a kind of one signal an event has names that are not known beforehand.
  function offerSignals(chosen) {
    const known = list.find(({ name }) => name === kind.value)?.signals?.filter(({ type }) => type !== "string") ?? [];
    if (known.length === 0) {
      fill(signalPlace, field("Signal", other));
      return;
    }
    const names = known.map(({ name }) => name);
    const usual = names.includes("dl_prb_util_pct") ? "dl_prb_util_pct" : names[0];
    fill(
      signal,
      (chosen && !names.includes(chosen) ? [...names, chosen] : names).map((name) =>
        el("option", { value: name, selected: name === (chosen ?? usual) }, name),
      ),
    );
    fill(signalPlace, field("Signal", signal));
  }

  function choice() {
    const isListed = signalPlace.contains(signal);
    return {
      kind: kind.value,
      signal: isListed ? signal.value : other.value.trim(),
      stat: stat.value,
      window: span.value,
      n: Math.min(100, Math.max(1, Number(count.value) || 10)),
    };
  }

  function choose(isOtherKind = false) {
    if (isOtherKind) {
      other.value = "";
      offerSignals();
    }
    page.setParameters(choice());
    follow();
  }

  function follow() {
    end();
    const { kind: name, signal: of, stat: by, window, n } = choice();
    if (!of) {
      fill(place, note("Name a signal."));
      return;
    }
    fill(place, note("Waiting for the first answer."));
    const declared = list.find((one) => one.name === name)?.signals?.find((one) => one.name === of);
    const unit = by === "count" ? "" : (declared?.unit ?? "");
    end = live.subscribe({ topic: "top", kind: name, signal: of, window, n, stat: by }, (message) => {
      if (message.topic === "error") {
        fill(place, el("p", { class: "error", role: "alert" }, message.message));
        return;
      }
      show(message, { name, of, by, window, unit });
    });
  }

  function show({ rows, at }, { name, of, by, window, unit }) {
    const most = Math.max(...rows.map(({ value }) => (typeof value === "number" ? Math.abs(value) : 0)), 0);
    const heads = [
      ["#", "n"],
      "Entity",
      [`${by} ${of}${unit ? ` (${unit})` : ""}`, "n"],
      "Share of the greatest",
      ["Values", "n"],
    ];
    const lines = rows.map(({ entity, value, count: values }, index) => {
      const bar = el("i", {});
      bar.style.width = `${most > 0 && typeof value === "number" ? Math.max(1, (Math.abs(value) / most) * 100) : 0}%`;
      return [
        String(index + 1),
        link("entity", { kind: name, entity, signal: of }, bdi(entity)),
        el("span", { title: String(value) }, number(value)),
        el("div", { class: "share", "aria-hidden": "true" }, bar),
        values,
      ];
    });
    const region = place.querySelector(".scroll");
    const left = region?.scrollTop ?? 0;
    const hadFocus =
      region !== null && region.contains(document.activeElement)
        ? [...region.querySelectorAll("a")].indexOf(document.activeElement)
        : -1;
    fill(
      place,
      rows.length ? table(`Top ${rows.length} by ${by} of ${of}`, heads, lines) : note("No values in this window."),
      el(
        "p",
        { class: "caption" },
        `Of the last ${window}, as of ${time(at ?? Date.now())} UTC; it goes on by itself.`,
      ),
    );
    if (region) {
      place.querySelector(".scroll")?.scrollTo(0, left);
    }
    if (hadFocus >= 0) {
      place.querySelectorAll("a")[hadFocus]?.focus();
    }
  }

  offerSignals(wanted.signal);
  fill(
    root,
    el(
      "form",
      { class: "controls", onsubmit: (event) => event.preventDefault() },
      field("Kind", kind),
      signalPlace,
      field("Statistic", stat),
      field("Window", span),
      field("Rows", count),
    ),
    place,
  );
  page.setParameters(choice(), true);
  follow();
  return () => end();
}

function mount(root, page) {
  const ready = mountInto(root, page).catch((error) => {
    showError(root, error);
    return () => {};
  });
  return { unmount: () => ready.then((end) => end()) };
}

export default { title: "Top", mount };
