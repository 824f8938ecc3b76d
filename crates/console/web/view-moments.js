// Moments: anomalies, the newest first, with the entity at that time a click away.

import { labelList } from "./alert-lists.js";
import { literal, sqlObjects } from "./api.js";
import { bdi, el, field, fill, link, select } from "./dom.js";
import { millis, number, seconds, time } from "./format.js";
import { live } from "./live.js";
import { note, showError, table } from "./table.js";

const MOST = 500;
const AROUND = 10 * 60_000; // ms before and after a moment that its link shows

// A text of JSON in answers of SQL, an object in the live stream, absent of a series without labels.
function labelsOf(row) {
  return typeof row.labels === "string" ? JSON.parse(row.labels) : row.labels;
}

function mount(root, page) {
  const state = Object.fromEntries(page.parameters);
  const range = select(
    [
      ["1 hour", "an hour"],
      ["1 day", "a day"],
      ["7 days", "a week"],
      ["30 days", "30 days"],
    ],
    state.range ?? "1 day",
    { onchange: choose },
  );
  const text = el("input", {
    type: "search",
    value: state.entity ?? "",
    placeholder: "all",
    onchange: choose,
    spellcheck: "false",
  });
  const list = el("section", { class: "panel" });
  const words = el("div", { role: "status" });
  const moments = new Map(); // by id
  let isHistory = false;
  fill(
    root,
    el(
      "form",
      { class: "controls", onsubmit: (event) => event.preventDefault() },
      page.session.sql ? field("The last", range) : null,
      field("Entity", text),
    ),
    words,
    list,
  );

  function choose() {
    page.setParameters({ range: range.value, entity: text.value });
    moments.clear();
    load();
  }

  // SQL has all of a range; the live stream has the newest ones and those that change.
  async function load() {
    if (!page.session.sql) {
      show();
      return;
    }
    const span = /^\d+ (hour|day)s?$/.test(range.value) ? range.value : "1 day";
    const named = text.value ? `AND entity_id = ${literal(text.value)}` : "";
    try {
      const rows = await sqlObjects(
        `SELECT * FROM moments WHERE started_at > now() - INTERVAL '${span}' ${named} ORDER BY started_at DESC LIMIT ${MOST}`,
        { signal: page.signal },
      );
      isHistory = true;
      rows.forEach(take);
      show();
    } catch (error) {
      showError(words, error);
    }
  }

  // Whether it is news: another moment, or a later revision of a known one.
  function take(row) {
    const known = moments.get(row.moment_id);
    const isNews = !known || (row.revision ?? 0) > (known.revision ?? 0);
    if (isNews) {
      moments.set(row.moment_id, row);
    }
    return isNews;
  }

  function show() {
    const wanted = [...moments.values()]
      .filter((row) => !text.value || row.entity_id === text.value)
      .sort((a, b) => millis(b.started_at) - millis(a.started_at))
      .slice(0, MOST);
    // Memory is bounded: what is not shown is forgotten.
    if (moments.size > 2 * MOST) {
      moments.clear();
      wanted.forEach(take);
    }
    if (wanted.length === 0) {
      fill(
        list,
        note(isHistory ? "Nothing out of the ordinary in this time." : "Nothing out of the ordinary was told yet."),
      );
      return;
    }
    const rows = wanted.map((row) => {
      const start = millis(row.started_at);
      const end = row.ended_at ? millis(row.ended_at) : null;
      const from = start - AROUND;
      const to = (end ?? start) + AROUND;
      return [
        time(start),
        end === null ? "lasts" : seconds((end - start) / 1000),
        bdi(row.kind),
        link("entity", { kind: row.kind, entity: row.entity_id, signal: row.signal, from, to }, bdi(row.entity_id)),
        el("div", {}, bdi(row.signal), labelList(labelsOf(row))),
        el("b", { title: String(row.value) }, number(row.value)),
        number(row.expected),
        number(row.stddev),
        number(row.score),
        row.method ?? "",
      ];
    });
    fill(
      list,
      table(
        "Moments",
        [
          "Began (UTC)",
          "Lasted",
          "Kind",
          "Entity",
          "Signal",
          ["Value", "n"],
          ["Expected", "n"],
          ["Deviation", "n"],
          ["Score", "n"],
          "Found by",
        ],
        rows,
      ),
      wanted.length === MOST ? note(`The newest ${MOST}.`) : null,
    );
  }

  const end = live.subscribe({ topic: "moments" }, (message) => {
    if (message.topic === "error") {
      return;
    }
    if (message.value.filter(take).length > 0) {
      show();
    }
  });
  load();
  return { unmount: end };
}

export default { title: "Moments", mount };
