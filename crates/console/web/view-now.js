// Now: how the pipeline is, second by second.

import { query } from "./api.js";
import { Chart } from "./chart.js";
import { el, fill, throttle } from "./dom.js";
import { dollars, number, seconds, short, time } from "./format.js";
import { FIGURES, health, KEPT } from "./health.js";
import { live } from "./live.js";
import { showError } from "./table.js";

const GAP = 7000; // ms without a sample: more than three messages of a server that sends each second or two
const LEAST = 3 * 60_000; // ms that a chart spans while the page has been open for less
const HOUR = 3_600_000;
const MINUTE = 60_000;

const TILES = [
  ["Events", "events_per_second", (value) => `${short(value)} /s`],
  ["Accepted to lake, p95", "accepted_to_lake_p95_s", seconds],
  ["Lake is behind by", "lake_age_s", seconds],
  ["Queue", "queue_messages", (value) => `${short(value)} ${value === 1 ? "message" : "messages"}`],
  ["Oldest in queue", "queue_oldest_s", seconds],
  ["Dead letters", "dead_letters", short],
  ["Hot rows", "hot_rows", short],
  ["Commit", "commit", number],
  ["AWS requests", "requests_per_second", (value) => `${short(value)} /s`],
  ["Dollars a day", "dollars_per_day", dollars],
];

const CHARTS = [
  {
    title: "Events",
    unit: "a second",
    figures: ["events_per_second"],
    lines: [""],
    zero: true,
    caption: "Landed within the last minute. Before this page was opened: by event time, from SQL.",
    gapAfter: 15_000, // the last bucket of the one and the first sample of the other are joined
  },
  {
    title: "Accepted to lake",
    unit: "s",
    figures: ["accepted_to_lake_p50_s", "accepted_to_lake_p95_s"],
    lines: ["p50", "p95"],
    zero: true,
    caption: "From an event's arrival at ingest until it was seen in raw/.",
  },
  {
    title: "Lake is behind by",
    unit: "s",
    figures: ["lake_age_s"],
    lines: [""],
    zero: true,
    caption: "What had landed before that is in every answer.",
  },
  {
    title: "Queue",
    unit: "messages",
    figures: ["queue_messages", "dead_letters"],
    lines: ["waiting", "dead letters"],
    zero: true,
  },
  {
    title: "AWS requests",
    unit: "a second",
    figures: ["requests_per_second"],
    lines: [""],
    zero: true,
    caption: "Of this process: in headwater serve of all services.",
  },
];

function mount(root, page) {
  const values = new Map();
  const tiles = TILES.map(([title, name]) => {
    const value = el("dd", { "data-figure": name }, "–");
    values.set(name, value);
    return el("div", { class: "tile" }, el("dt", {}, title), value);
  });
  const charts = CHARTS.map(({ figures, ...options }) => ({
    figures,
    chart: new Chart({ gapAfter: GAP, ...options }),
  }));
  const byKind = new Chart({
    title: "Values by kind",
    unit: "a minute",
    lines: ["–"],
    zero: true,
    gapAfter: 1.5 * MINUTE,
  });
  const kindsPlace = el("div", { class: "cell" }, byKind.root);
  const asOf = el("p", { class: "caption", id: "as-of" }, "Waiting for the first figures.");
  fill(
    root,
    el("dl", { class: "tiles" }, tiles),
    asOf,
    el(
      "div",
      { class: "charts" },
      charts.map(({ chart }) => chart.root),
      kindsPlace,
    ),
  );
  let kindChart = byKind;

  function update() {
    const now = Date.now();
    const { latest } = health;
    if (latest) {
      for (const [, name, format] of TILES) {
        const value = latest.value[name];
        const place = values.get(name);
        place.textContent = value === null || value === undefined ? "–" : format(value);
        place.title = value === null || value === undefined ? "unknown" : String(value);
        place.classList.toggle("bad", name === "dead_letters" && value > 0);
      }
      asOf.textContent = `As of ${time(latest.at)} UTC. A dash is a figure that the service cannot know here.`;
    }
    const marks = live.gaps.filter((gap) => gap.to > now - KEPT);
    if (live.lostAt) {
      marks.push({ from: live.lostAt, to: now, why: "the connection is lost" });
    }
    for (const { figures, chart } of charts) {
      const parts = figures.map((name) => health.figure(name, now));
      const data = { times: parts[0].times, values: parts.map((part) => part.values), marks };
      const whole = figures[0] === FIGURES[0] ? withBefore(data, now) : data;
      chart.set(whole, Math.max(now - KEPT, Math.min(whole.times[0] ?? now, now - LEAST)), now);
    }
  }

  async function loadKinds() {
    const end = Math.floor(Date.now() / MINUTE) * MINUTE;
    try {
      const answer = await query(
        "/query",
        { name: "*", agg: "count", step: "1m", start: end - HOUR, end },
        page.signal,
      );
      const { names, data } = countByKind(answer.points);
      if (names.join() !== kindChart.lines.join()) {
        kindChart.remove();
        kindChart = new Chart({
          title: "Values by kind",
          unit: "a minute",
          lines: names.length ? names : [""],
          zero: true,
          gapAfter: 1.5 * MINUTE,
          caption: `By event time, the last hour, from GET /query.${answer.next ? " More signals than fit one answer: too low." : ""}`,
        });
        fill(kindsPlace, kindChart.root);
      }
      kindChart.set(data, end - HOUR, end);
    } catch (error) {
      if (!kindChart.data.times.length) {
        showError(kindsPlace, error);
      }
    }
  }

  const updateSoon = throttle(250, () => !page.signal.aborted && update());
  const ends = [health.onChange(updateSoon), live.onChange(updateSoon)];
  const ticks = [setInterval(updateSoon, 1000), setInterval(() => document.hidden || loadKinds(), 30_000)];
  if (page.session.sql && !health.hasBefore) {
    health.hasBefore = true;
    health.loadBefore().then(updateSoon, () => {
      // Without SQL's answer the chart begins when the page was opened, which is no fault to show.
    });
  }
  update();
  loadKinds();
  return {
    unmount() {
      ends.forEach((end) => end());
      ticks.forEach(clearInterval);
      charts.forEach(({ chart }) => chart.remove());
      kindChart.remove();
    },
  };
}

// The chart of events has what was before the page was opened, from another source: joined, but not overlapping.
function withBefore(data, now) {
  const { times, values } = health.before;
  const until = data.times[0] ?? now;
  const kept = times.map((at, index) => [at, values[index]]).filter(([at]) => at >= now - KEPT && at < until - 3000);
  return {
    times: [...kept.map(([at]) => at), ...data.times],
    values: [[...kept.map(([, value]) => value), ...data.values[0]]],
    marks: data.marks,
  };
}

function countByKind(points) {
  const byTime = new Map();
  const names = [...new Set(points.map((point) => point.kind))].sort();
  for (const { timestamp, kind, value } of points) {
    const row = byTime.get(timestamp) ?? names.map(() => NaN);
    const index = names.indexOf(kind);
    row[index] = (Number.isNaN(row[index]) ? 0 : row[index]) + value;
    byTime.set(timestamp, row);
  }
  const times = [...byTime.keys()].sort((a, b) => a - b);
  return { names, data: { times, values: names.map((_, index) => times.map((at) => byTime.get(at)[index])) } };
}

export default { title: "Now", mount };
