// A chart of numbers over time: canvas, legend that follows the crosshair, zoom by selection or keys, and the same
// numbers as a table.

import { el, fill, throttle } from "./dom.js";
import { moment, number, seconds, time } from "./format.js";
import { forgetColours, paint } from "./paint.js";
import { firstAtLeast, nearest } from "./scale.js";

const MOST_ROWS = 1000; // rows of the table that are shown; the newest ones
const charts = new Set();

/** Redraws all charts: their colours are others. */
export function themeChanged() {
  forgetColours();
  for (const chart of charts) {
    chart.draw();
  }
}

export class Chart {
  /**
   * `title` and `unit` as text, `lines` by name, `zero` for an axis from 0, `gapAfter` in ms: two samples that are
   * further apart are not joined. `caption` says what is shown. `onZoom({from, to})`, where given, is asked for other
   * data in place of a look at the same; it gets null for the whole range.
   */
  constructor({
    title,
    unit = "",
    lines = [""],
    zero = false,
    gapAfter = Infinity,
    caption = "",
    height = "",
    onZoom,
  }) {
    Object.assign(this, { title, unit, lines, onZoom });
    this.options = { zero, gapAfter };
    this.data = { times: [], values: lines.map(() => []), marks: [] };
    this.range = null; // what the data cover
    this.view = null; // what of it is looked at, if not all
    this.cursor = null;
    this.selection = null;
    this.canvas = el("canvas", {
      tabindex: "0",
      role: "img",
      class: height,
      onpointermove: (event) => this.onMove(event),
      onpointerdown: (event) => this.onDown(event),
      onpointerup: (event) => this.onUp(event),
      onpointerleave: () => this.point(null),
      ondblclick: () => this.zoom(null),
      onkeydown: (event) => this.onKey(event),
      onblur: () => this.point(null),
    });
    this.legend = el("p", { class: "legend" });
    this.whole = el(
      "button",
      { type: "button", class: "small", hidden: true, onclick: () => this.zoom(null) },
      "Whole range",
    );
    this.words = el("p", { class: "gaps", hidden: true });
    this.region = el("div", {
      class: "scroll numbers",
      tabindex: "0",
      role: "region",
      "aria-label": `Numbers of ${title}`,
    });
    this.details = el("details", { ontoggle: () => this.tabulate() }, el("summary", {}, "Table"), this.region);
    this.root = el(
      "figure",
      { class: "chart" },
      el(
        "figcaption",
        {},
        el("span", { class: "name" }, title),
        unit ? el("span", { class: "unit" }, unit) : null,
        this.whole,
      ),
      this.canvas,
      this.legend,
      caption ? el("p", { class: "caption" }, caption) : null,
      this.words,
      this.details,
    );
    this.tabulateSoon = throttle(1000, () => this.tabulate());
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.canvas);
    charts.add(this);
  }

  /** Takes the chart out of the page's books. */
  remove() {
    this.observer.disconnect();
    charts.delete(this);
    this.isRemoved = true;
  }

  /**
   * Shows other data: `times` in rising ms, `values` by line, perhaps `bands` of `{low, high}` by line, and `marks` of
   * `{from, to, why}` where something is missing; within `from` and `to`.
   */
  set(data, from, to) {
    const at = this.cursor === null ? null : this.data.times[this.cursor];
    this.data = { marks: [], ...data };
    this.range = { from, to };
    this.cursor = at === null ? null : nearest(data.times, at);
    if (this.cursor === -1) {
      this.cursor = null;
    }
    this.draw();
    this.tabulateSoon();
  }

  draw() {
    this.isPlanned ||= Boolean(
      requestAnimationFrame(() => {
        this.isPlanned = false;
        if (!this.isRemoved && this.range && this.canvas.clientWidth > 0) {
          this.plot = paint(this.canvas, this.data, this.view ?? this.range, this.options, this.cursor, this.selection);
          this.describe();
        }
      }),
    );
  }

  // The legend, with values at the crosshair or the newest ones; and the same for those who do not see the canvas.
  describe() {
    const { times, values } = this.data;
    const index = this.cursor ?? this.last();
    const parts = this.lines.map((name, line) => {
      const text = index < 0 ? "–" : number(values[line][index]);
      const dash = el("span", { class: `dash line-${(line % 6) + 1}`, "aria-hidden": "true" });
      return el(
        "span",
        { class: "entry" },
        this.lines.length > 1 ? dash : null,
        name ? el("bdi", {}, name) : null,
        " ",
        el("b", {}, text),
      );
    });
    const when = index < 0 ? "no data" : `${time(times[index])} UTC`;
    fill(this.legend, parts, el("span", { class: "when" }, when));
    const told =
      index < 0
        ? "no data"
        : this.lines.map((name, line) => `${name} ${number(values[line][index])}`.trim()).join(", ");
    this.canvas.setAttribute(
      "aria-label",
      `Chart of ${this.title}${this.unit ? ` in ${this.unit}` : ""}: ${told} at ${when}`,
    );
    this.tellMarks();
  }

  tellMarks() {
    const { from, to } = this.view ?? this.range;
    const seen = this.data.marks.filter((mark) => mark.to >= from && mark.from <= to);
    const words = seen
      .slice(-3)
      .map((mark) => `${time(mark.from)} to ${time(mark.to)} (${seconds((mark.to - mark.from) / 1000)}): ${mark.why}`);
    this.words.hidden = words.length === 0;
    fill(
      this.words,
      words.length ? `Gap ${words.join("; ")}` : "",
      seen.length > 3 ? `; and ${seen.length - 3} before` : "",
    );
  }

  // The newest sample in which some line has a value.
  last() {
    const { times, values } = this.data;
    for (let index = times.length - 1; index >= 0; index -= 1) {
      if (values.some((column) => Number.isFinite(column[index]))) {
        return index;
      }
    }
    return -1;
  }

  tabulate() {
    if (!this.details.open || this.isRemoved) {
      return;
    }
    const { times, values, bands } = this.data;
    const heads = ["Time (UTC)"];
    const columns = [];
    this.lines.forEach((name, line) => {
      heads.push(name || this.title);
      columns.push(values[line]);
      if (bands?.[line]) {
        heads.push("least", "greatest");
        columns.push(bands[line].low, bands[line].high);
      }
    });
    const first = Math.max(0, times.length - MOST_ROWS);
    const rows = [];
    for (let index = times.length - 1; index >= first; index -= 1) {
      rows.push(
        el(
          "tr",
          {},
          el("th", { scope: "row" }, moment(times[index])),
          columns.map((column) => cell(column[index])),
        ),
      );
    }
    const left = this.region.scrollTop;
    fill(
      this.region,
      first > 0 ? el("p", { class: "caption" }, `The newest ${MOST_ROWS} of ${times.length} rows.`) : null,
      el(
        "table",
        {},
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            heads.map((head) => el("th", { scope: "col" }, head)),
          ),
        ),
        el("tbody", {}, rows),
      ),
    );
    this.region.scrollTop = left;
  }

  at(event) {
    const { left, right, from, to } = this.plot;
    const x = event.clientX - this.canvas.getBoundingClientRect().left;
    return from + (Math.min(Math.max(x, left), right) - left) * ((to - from) / (right - left));
  }

  onMove(event) {
    if (!this.plot) {
      return;
    }
    const at = this.at(event);
    if (this.selection) {
      this.selection[1] = at;
    }
    this.point(nearest(this.data.times, at));
  }

  onDown(event) {
    if (this.plot && event.button === 0 && event.pointerType !== "touch") {
      this.selection = [this.at(event), this.at(event)];
      this.canvas.setPointerCapture(event.pointerId);
    }
  }

  onUp() {
    const chosen = this.selection?.toSorted((a, b) => a - b);
    this.selection = null;
    const width = this.plot
      ? ((chosen?.[1] - chosen?.[0]) / (this.plot.to - this.plot.from)) * (this.plot.right - this.plot.left)
      : 0;
    if (width > 6) {
      this.zoom({ from: Math.round(chosen[0]), to: Math.round(chosen[1]) });
    } else {
      this.draw();
    }
  }

  point(index) {
    const cursor = index === null || index < 0 ? null : index;
    if (cursor !== this.cursor || this.selection) {
      this.cursor = cursor;
      this.draw();
    }
  }

  onKey(event) {
    const { times } = this.data;
    const view = this.view ?? this.range;
    if (!view || times.length === 0 || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const first = firstAtLeast(times, view.from);
    const end = Math.max(first, firstAtLeast(times, view.to + 1) - 1);
    const now = this.cursor ?? end;
    const step = event.shiftKey ? 10 : 1;
    const moves = { ArrowLeft: now - step, ArrowRight: now + step, Home: first, End: end };
    if (event.key in moves) {
      this.legend.setAttribute("aria-live", "polite");
      this.point(Math.min(Math.max(moves[event.key], first), end));
    } else if (event.key === "+" || event.key === "-") {
      const middle = this.cursor === null ? (view.from + view.to) / 2 : times[this.cursor];
      const half = ((view.to - view.from) / 2) * (event.key === "+" ? 0.5 : 2);
      this.zoom({ from: Math.round(middle - half), to: Math.round(middle + half) });
    } else if (event.key === "0") {
      this.zoom(null);
    } else if (event.key === "Escape" && this.cursor !== null) {
      this.point(null);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  zoom(view) {
    if (this.onZoom) {
      this.onZoom(view);
      return;
    }
    const isWider = view && this.range && view.to - view.from >= this.range.to - this.range.from;
    this.view = isWider ? null : view;
    this.whole.hidden = !this.view;
    this.draw();
  }
}

function cell(value) {
  return el("td", { class: "n", title: Number.isFinite(value) ? String(value) : null }, number(value));
}
