// The signals of one entity: a table of newest values and statistics, and a chart for each number.

import { query } from "./api.js";
import { Chart } from "./chart.js";
import { address, bdi, el, fill, throttle } from "./dom.js";
import { moment, number, time } from "./format.js";
import { live } from "./live.js";
import { beside, LIVE_UP_TO, RANGES, stepFor } from "./ranges.js";
import { Ring } from "./ring.js";
import { note, showError, table, tabs } from "./table.js";

const MOST_SIGNALS = 60; // signals with a chart; the table has them all
const RELOAD = 20_000; // ms between two looks at the history, at least

export class EntityPane {
  constructor(state, kind, page) {
    Object.assign(this, { state, page });
    this.units = new Map((kind?.signals ?? []).map((signal) => [signal.name, signal.unit ?? ""]));
    this.signals = new Map(); // name -> {ring, chart, cells, history, end}
    this.range = state.from && state.to ? null : state.range in RANGES ? state.range : "15m";
    this.isLive = this.range !== null && RANGES[this.range] <= LIVE_UP_TO;
    this.tablePlace = el("div");
    this.charts = el("div", { class: "charts" });
    this.words = el("div", { role: "status" });
    this.root = el(
      "div",
      {},
      el(
        "div",
        { class: "titled" },
        el("h2", {}, bdi(state.entity)),
        el("span", { class: "caption" }, state.kind),
        tabs(
          "Range",
          Object.keys(RANGES).map((name) => [name, name]),
          this.range,
          (name) => this.address({ range: name }),
        ),
        this.range === null
          ? el("span", { class: "caption" }, `${moment(Number(state.from))} to ${moment(Number(state.to))} UTC`)
          : null,
      ),
      this.tablePlace,
      this.words,
      this.charts,
    );
    this.drawSoon = throttle(250, () => this.isRemoved || this.draw());
    this.ticks = [
      setInterval(this.drawSoon, 1000),
      setInterval(() => document.hidden || this.range === null || this.load(), Math.max(RELOAD, this.span() / 400)),
    ];
    this.ends = [live.onChange(() => this.onChange())];
    this.gaps = live.gaps.length;
    this.load();
  }

  remove() {
    this.isRemoved = true;
    this.ticks.forEach(clearInterval);
    this.ends.forEach((end) => end());
    for (const { chart } of this.signals.values()) {
      chart?.remove();
    }
  }

  address(other) {
    const { kind, entity, prefix } = this.state;
    return address("entity", { kind, entity, prefix, ...other });
  }

  span() {
    return this.range === null ? Number(this.state.to) - Number(this.state.from) : RANGES[this.range];
  }

  bounds() {
    const now = Date.now();
    return this.range === null ? [Number(this.state.from), Number(this.state.to)] : [now - this.span(), now];
  }

  // After a gap the history has what was missed.
  onChange() {
    if (live.gaps.length !== this.gaps) {
      this.gaps = live.gaps.length;
      setTimeout(() => this.isRemoved || this.load(), 2500);
    }
    this.drawSoon();
  }

  async load() {
    const { kind, entity } = this.state;
    const [start, end] = this.bounds();
    const step = stepFor(end - start);
    const asked = { kind, entity, start: Math.floor(start), end: Math.ceil(end) };
    try {
      const [latest, statistics] = await Promise.all([
        query("/v1/latest", { kind, entity }, this.page.signal),
        query("/query", { ...asked, name: "*", agg: "count,min,avg,max,stddev,p95" }, this.page.signal),
      ]);
      const newest = latest.entities[0]?.signals ?? {};
      for (const name of new Set([...Object.keys(newest), ...statistics.points.map((point) => point.name)])) {
        this.signal(name);
      }
      this.tabulate(newest, statistics.points);
      await this.loadHistory(asked, step);
      fill(this.words, this.signals.size ? null : note("Nothing came from this entity in this range."));
      this.drawSoon();
    } catch (error) {
      showError(this.words, error);
    }
  }

  // Signals are asked for in groups, so that an answer has room for all of their points.
  async loadHistory(asked, step) {
    const names = [...this.signals].filter(([, signal]) => signal.chart).map(([name]) => name);
    for (let first = 0; first < names.length; first += 10) {
      const group = names.slice(first, first + 10);
      const answer = await query(
        "/query",
        { ...asked, name: group.join(","), step: step.text, agg: "avg,min,max", limit: 10_000 },
        this.page.signal,
      );
      const rows = new Map(group.map((name) => [name, { times: [], avg: [], min: [], max: [] }]));
      for (const { timestamp, name, values } of answer.points) {
        const row = rows.get(name ?? group[0]);
        row.times.push(timestamp);
        for (const key of ["avg", "min", "max"]) {
          row[key].push(typeof values[key] === "number" ? values[key] : NaN);
        }
      }
      for (const [name, row] of rows) {
        const signal = this.signals.get(name);
        signal.history = row;
        signal.end = row.times.length ? row.times.at(-1) + step.ms : 0;
        signal.chart.options.gapAfter = gapAfter(row.times, step.ms);
      }
    }
  }

  signal(name) {
    if (this.signals.has(name)) {
      return;
    }
    const signal = { ring: new Ring(2000, 1), history: null, end: 0, chart: null, cells: null };
    this.signals.set(name, signal);
    if (this.range !== null) {
      const { kind, entity } = this.state;
      this.ends.push(
        live.subscribe({ topic: "series", kind, entity, signal: name }, (message) => this.take(name, message)),
      );
    }
  }

  take(name, message) {
    const signal = this.signals.get(name);
    if (message.topic === "error") {
      fill(this.words, note(`${name} is not live: ${message.message}`));
      return;
    }
    if (typeof message.value === "number") {
      signal.ring.push(message.time, [message.value]);
    }
    if (!signal.shown || message.time >= signal.shown.timestamp) {
      signal.shown = { timestamp: message.time, value: message.value };
    }
    this.drawSoon();
  }

  tabulate(newest, statistics) {
    const byName = new Map(statistics.map((point) => [point.name, point.values]));
    const rows = [...this.signals].map(([name, signal]) => {
      const values = byName.get(name) ?? {};
      const last = newest[name];
      if (last && (!signal.shown || last.timestamp >= signal.shown.timestamp)) {
        signal.shown = last;
      }
      const isNumber = typeof (signal.shown?.value ?? values.avg) === "number";
      if (isNumber && !signal.chart && this.charts.children.length < MOST_SIGNALS) {
        this.addChart(name, signal);
      }
      signal.cells = { value: el("span", { "data-signal": name }), time: el("span", {}) };
      return [
        bdi(name),
        this.units.get(name) ?? "",
        el("b", {}, signal.cells.value),
        signal.cells.time,
        values.count ?? 0,
        values.min,
        values.avg,
        values.max,
        values.stddev,
        values.p95,
      ].map((cell) => cell ?? "–");
    });
    const heads = [
      "Signal",
      "Unit",
      ["Newest", "n"],
      "At (UTC)",
      ["Count", "n"],
      ["Min", "n"],
      ["Mean", "n"],
      ["Max", "n"],
      ["Deviation", "n"],
      ["p95", "n"],
    ];
    fill(
      this.tablePlace,
      el("section", { class: "panel" }, table("Signals and their statistics in the range", heads, rows)),
    );
    this.tell();
  }

  addChart(name, signal) {
    signal.chart = new Chart({
      title: name,
      unit: this.units.get(name) ?? "",
      onZoom: (view) => this.zoom(view),
    });
    signal.chart.root.dataset.chart = name;
    signal.chart.whole.hidden = this.range !== null;
    this.charts.append(signal.chart.root);
    if (name === this.state.signal) {
      this.charts.prepend(signal.chart.root);
    }
  }

  // A selection is a fixed range; a view wider than the range is the next range.
  zoom(view) {
    const [start, end] = this.bounds();
    const { signal } = this.state;
    if (view === null) {
      this.page.go(this.address({ signal }));
    } else if (view.to - view.from <= end - start) {
      this.page.go(this.address({ signal, from: view.from, to: Math.max(view.to, view.from + 1000) }));
    } else if (this.range !== null) {
      const wider = beside(this.range, 1);
      if (wider) {
        this.page.go(this.address({ signal, range: wider }));
      }
    } else {
      this.page.go(this.address({ signal, from: view.from, to: Math.min(view.to, Date.now()) }));
    }
  }

  tell() {
    for (const { cells, shown } of this.signals.values()) {
      if (cells && shown) {
        cells.value.textContent = number(shown.value);
        cells.value.title = String(shown.value);
        cells.time.textContent = time(shown.timestamp);
      }
    }
  }

  draw() {
    this.tell();
    const [start, end] = this.bounds();
    const marks = this.range === null ? [] : live.gaps.filter((gap) => gap.to > start);
    if (live.lostAt && this.range !== null) {
      marks.push({ from: live.lostAt, to: end, why: "the connection is lost" });
    }
    for (const { chart, history, ring, end: known } of this.signals.values()) {
      if (!chart || !history) {
        continue;
      }
      const fresh = this.isLive ? ring.since(known) : { times: [], columns: [[]] };
      const join = (old) => [...old, ...fresh.columns[0]];
      chart.set(
        {
          times: [...history.times, ...fresh.times],
          values: [join(history.avg)],
          bands: [{ low: join(history.min), high: join(history.max) }],
          marks,
        },
        start,
        end,
      );
    }
  }
}

// Samples further apart than four usual distances are not joined.
function gapAfter(times, step) {
  const distances = times
    .slice(1)
    .map((at, index) => at - times[index])
    .sort((a, b) => a - b);
  const usual = distances[distances.length >> 1] ?? step;
  return Math.max(4 * usual, 4 * step, 5000);
}
