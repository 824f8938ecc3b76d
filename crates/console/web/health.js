// The health of the pipeline as the server tells it, kept for the last quarter of an hour whatever view is shown.

import { kinds, identifier, sql } from "./api.js";
import { live } from "./live.js";
import { Ring } from "./ring.js";

/** How long samples are kept, in ms. */
export const KEPT = 15 * 60_000;

/** Figures of the health topic, in the order of the ring's columns. */
export const FIGURES = [
  "events_per_second",
  "accepted_to_lake_p50_s",
  "accepted_to_lake_p95_s",
  "lake_age_s",
  "hot_rows",
  "commit",
  "queue_messages",
  "queue_oldest_s",
  "dead_letters",
  "requests_per_second",
  "dollars_per_day",
];

const STEP = 5000; // ms: width of the buckets of what was before the page was opened

class Health {
  constructor() {
    this.ring = new Ring(1000, FIGURES.length);
    this.latest = null;
    this.before = { times: [], values: [] };
    this.listeners = new Set();
  }

  start() {
    if (!this.end) {
      this.end = live.subscribe({ topic: "health" }, (message) => this.take(message));
    }
  }

  take(message) {
    if (message.topic === "error") {
      return;
    }
    const at = message.at ?? Date.now();
    // An hour-long list of one-second samples does not fit a quarter of an hour's ring: one a second at most.
    if (this.ring.newest() === null || at - this.ring.newest() >= 900) {
      this.ring.push(
        at,
        FIGURES.map((name) => message.value[name] ?? NaN),
      );
    }
    this.latest = { at, value: message.value };
    for (const listener of this.listeners) {
      listener();
    }
  }

  onChange(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Times and values of one figure within the last quarter of an hour. */
  figure(name, now) {
    const { times, columns } = this.ring.since(now - KEPT);
    return { times, values: columns[FIGURES.indexOf(name)] };
  }

  /** Asks SQL for the events of the last quarter of an hour, by event time. */
  async loadBefore() {
    const names = (await kinds()).filter((kind) => kind.first !== null && kind.first !== undefined);
    if (names.length === 0) {
      return;
    }
    const parts = names.map(
      ({ name }) => `SELECT event_time FROM ${identifier(name)} WHERE event_time > now() - INTERVAL '15 minutes'`,
    );
    const { rows } = await sql(
      `SELECT date_bin(INTERVAL '5 seconds', event_time) AS t, count(*) AS n FROM (${parts.join(" UNION ALL ")}) AS e
       WHERE event_time <= now() GROUP BY 1 ORDER BY 1`,
    );
    // A bucket without a row is one without an event.
    const counts = new Map(rows.map(([at, count]) => [Date.parse(at), Number(count)]));
    const [first, last] = [rows[0], rows.at(-1)].map((row) => (row ? Date.parse(row[0]) : 0));
    const times = [];
    for (let at = first; at > 0 && at <= last; at += STEP) {
      times.push(at);
    }
    this.before = {
      times: times.map((at) => at + STEP / 2),
      values: times.map((at) => (counts.get(at) ?? 0) / (STEP / 1000)),
    };
  }
}

export const health = new Health();
