// SQL: a statement, its rows as a table, as a chart and as a file.

import { ApiError, request, sql } from "./api.js";
import { el, fill } from "./dom.js";
import { number } from "./format.js";
import { chartOf, tableOf } from "./sql-result.js";
import { note, showError } from "./table.js";

const FIRST =
  "SELECT kind, entity_id, event_time, signal, value\nFROM points\nWHERE event_time > now() - INTERVAL '5 minutes'\nORDER BY event_time DESC\nLIMIT 100";
const IN_QUERY = 4000; // characters of a statement that an address may have before its `#`, which servers bound
const KEPT = 65_536; // bytes that a statement may have: the bound of the service

function mount(root, page) {
  if (!page.session.sql) {
    fill(root, note("This program was built without SQL: build it with the feature sql, or run query beside it."));
    return {};
  }
  const hash = new URLSearchParams(location.hash.slice(1));
  const given = page.parameters.get("q") ?? hash.get("q");
  const editor = el("textarea", {
    class: "editor",
    rows: 8,
    spellcheck: "false",
    autocomplete: "off",
    autocapitalize: "off",
    "aria-label": "Statement of SQL",
    onkeydown: (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        run(true);
      }
    },
    oninput: () => {
      editor.removeAttribute("aria-invalid");
      tellSize();
    },
  });
  editor.value = given ?? FIRST;
  const button = el("button", { type: "button", class: "main", onclick: () => run(true) }, "Run");
  const stop = el("button", { type: "button", hidden: true, onclick: () => work?.abort() }, "Stop");
  const csv = el("button", { type: "button", disabled: true, onclick: download }, "Download CSV");
  const size = el("span", { class: "caption" });
  const words = el("div", { role: "status" });
  const chartPlace = el("div");
  const rows = el("div");
  let work = null;
  let chart = null;
  let ran = "";

  function tellSize() {
    const length = new TextEncoder().encode(editor.value).length;
    size.textContent = length > 1000 ? `${number(length)} of ${number(KEPT)} bytes` : "Ctrl+Enter runs it.";
    size.classList.toggle("bad", length > KEPT);
  }

  // A long statement stands behind `#`: it is in the address all the same, and never sent as part of it.
  function keepInAddress(statement, isNew) {
    const text = new URLSearchParams({ q: statement }).toString();
    const path = text.length <= IN_QUERY ? `/console/sql?${text}` : `/console/sql#${text}`;
    if (path !== location.pathname + location.search + location.hash) {
      history[isNew ? "pushState" : "replaceState"](null, "", path);
    }
  }

  async function run(isNew) {
    const statement = editor.value;
    work?.abort();
    const mine = new AbortController();
    work = mine;
    page.signal.addEventListener("abort", () => mine.abort());
    keepInAddress(statement, isNew);
    editor.removeAttribute("aria-invalid");
    fill(words, note("Running."));
    stop.hidden = false;
    csv.disabled = true;
    const begun = performance.now();
    try {
      const result = await sql(statement, { signal: mine.signal });
      if (work !== mine) {
        return;
      }
      const took = performance.now() - begun;
      ran = statement;
      csv.disabled = false;
      fill(
        words,
        note(
          `${number(result.rows.length)} ${result.rows.length === 1 ? "row" : "rows"} in ${number(Math.round(took))} ms`,
          result.truncated ? "; there are more: these are the first ones" : "",
          result.freshUntil ? `; of what had landed before ${result.freshUntil}` : "",
          ".",
        ),
      );
      show(result);
    } catch (error) {
      if (work !== mine) {
        return;
      }
      forget();
      if (error.name === "AbortError") {
        fill(words, note("Stopped."));
      } else {
        complain(error, statement);
      }
    } finally {
      if (work === mine) {
        stop.hidden = true;
        work = null;
      }
    }
  }

  function show(result) {
    forget();
    chart = chartOf(result);
    if (chart) {
      chartPlace.append(chart.root);
    }
    rows.append(tableOf(result));
  }

  function forget() {
    chart?.remove();
    chart = null;
    fill(chartPlace);
    fill(rows);
  }

  // Shows an error, and the place that it is about: the line with a mark beneath it.
  function complain(error, statement) {
    if (!(error instanceof ApiError)) {
      showError(words, error);
      return;
    }
    editor.setAttribute("aria-invalid", "true");
    const box = el("div", { class: "error", role: "alert" }, el("div", {}, error.message));
    if (error.line) {
      const line = statement.split("\n")[error.line - 1] ?? "";
      const column = Math.max(1, error.column ?? 1);
      const begin = Math.max(0, column - 61);
      box.append(
        el("pre", { class: "place" }, `${line.slice(begin, begin + 120)}\n${" ".repeat(column - 1 - begin)}^`),
        el(
          "button",
          { type: "button", class: "small", onclick: () => goTo(statement, error.line, column) },
          `Go to line ${error.line}, column ${column}`,
        ),
      );
    }
    fill(words, box);
  }

  function goTo(statement, line, column) {
    const start =
      statement
        .split("\n")
        .slice(0, line - 1)
        .reduce((sum, text) => sum + text.length + 1, 0) +
      column -
      1;
    editor.focus();
    const end = start + (/^\w+|^./u.exec(statement.slice(start))?.[0].length ?? 0);
    editor.setSelectionRange(start, end);
  }

  async function download() {
    csv.disabled = true;
    try {
      const answer = await request("/console/api/v1/sql", {
        method: "POST",
        headers: { "content-type": "application/json", accept: "text/csv" },
        body: JSON.stringify({ sql: ran }),
        signal: page.signal,
      });
      const url = URL.createObjectURL(await answer.blob());
      const link = el("a", {
        href: url,
        download: `headwater-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.csv`,
      });
      link.click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    } catch (error) {
      showError(words, error);
    } finally {
      csv.disabled = false;
    }
  }

  fill(root, editor, el("div", { class: "controls" }, button, stop, csv, size), words, chartPlace, rows);
  tellSize();
  if (given !== null) {
    run(false);
  }
  return {
    unmount() {
      work?.abort();
      chart?.remove();
    },
  };
}

export default { title: "SQL", mount };
