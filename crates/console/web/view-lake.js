// Lake: the objects of the bucket by folders, and what is in one of them.

import { query } from "./api.js";
import { address, bdi, el, fill, link } from "./dom.js";
import { bytes, millis, moment, number } from "./format.js";
import { note, panel, showError, table } from "./table.js";

function mount(root, page) {
  const { prefix = "", key, after } = Object.fromEntries(page.parameters);
  const list = el("section", { class: "panel" }, note("Asking."));
  const object = el("div");
  fill(root, crumbs(prefix), object, list);

  async function browse() {
    try {
      const answer = await query("/v1/lake", { prefix, after }, page.signal);
      const folders = answer.folders.map((name) => [
        link("lake", { prefix: name }, bdi(name.slice(prefix.length))),
        "",
        "",
      ]);
      const objects = answer.objects.map((one) => [
        link("lake", { prefix, after, key: one.key }, bdi(one.key.slice(prefix.length))),
        el("span", { title: `${one.size} bytes` }, bytes(one.size)),
        moment(millis(one.last_modified)),
      ]);
      const all = [...folders, ...objects];
      fill(
        list,
        all.length
          ? table(`Folders and objects under ${prefix || "the bucket"}`, ["Name", ["Size", "n"], "Changed (UTC)"], all)
          : note("Nothing is here."),
        answer.next ? el("p", {}, link("lake", { prefix, after: answer.next }, "The next page")) : null,
      );
    } catch (error) {
      showError(list, error);
    }
  }

  async function look() {
    fill(object, panel(key, note("Asking.")));
    try {
      show(await query("/v1/lake/object", { key }, page.signal));
    } catch (error) {
      showError(object, error);
    }
  }

  function show(one) {
    const download = `/console/api/v1/lake/download?key=${encodeURIComponent(one.key)}`;
    const parts = [
      el(
        "div",
        { class: "titled" },
        el("h2", {}, bdi(one.key.split("/").at(-1))),
        el(
          "span",
          { class: "caption" },
          [
            bytes(one.size),
            one.form,
            one.rows === null || one.rows === undefined ? null : `${number(one.rows)} rows`,
            `changed ${moment(millis(one.last_modified))} UTC`,
          ]
            .filter(Boolean)
            .join(" · "),
        ),
        el("a", { href: download, download: true }, "Download"),
        el("a", { href: address("lake", { prefix, after }) }, "Close"),
      ),
    ];
    if (one.error) {
      parts.push(el("p", { class: "error", role: "alert" }, one.error));
    }
    if (one.lines?.length) {
      parts.push(
        note(one.lines.length === 1 ? "The first line." : `The first ${one.lines.length} lines.`),
        el("pre", { class: "lines", tabindex: "0", role: "region", "aria-label": "First lines" }, bdi(readable(one))),
      );
    }
    if (one.schema?.length) {
      parts.push(
        el(
          "details",
          {},
          el("summary", {}, `Schema: ${one.schema.length} columns`),
          table(
            "Schema",
            ["Column", "Type"],
            one.schema.map(({ name, type }) => [bdi(name), bdi(type)]),
          ),
        ),
      );
    }
    if (one.first_rows?.length) {
      const names = one.schema?.length ? one.schema.map(({ name }) => name) : Object.keys(one.first_rows[0]);
      parts.push(
        note(`The first ${one.first_rows.length} rows.`),
        table(
          "First rows",
          names,
          one.first_rows.map((row) => names.map((name) => cell(row[name]))),
        ),
      );
    }
    fill(object, el("section", { class: "panel object" }, parts));
  }

  browse();
  if (key) {
    look();
  }
  return {};
}

// A document of one line is laid out; one that was cut is shown as it came.
function readable({ form, lines }) {
  if (form === "json" && lines.length === 1) {
    try {
      return JSON.stringify(JSON.parse(lines[0]), null, 2);
    } catch {
      return lines[0];
    }
  }
  return lines.join("\n");
}

function cell(value) {
  if (value === null || value === undefined) {
    return el("span", { class: "null" }, "null");
  }
  return bdi(typeof value === "object" ? JSON.stringify(value) : String(value));
}

function crumbs(prefix) {
  const folders = prefix.split("/").slice(0, -1);
  const steps = folders.flatMap((name, index) => [
    " / ",
    link("lake", { prefix: `${folders.slice(0, index + 1).join("/")}/` }, bdi(name)),
  ]);
  return el("nav", { class: "crumbs", "aria-label": "Folders" }, link("lake", {}, "lake"), steps);
}

export default { title: "Lake", mount };
