// Streams: chat, viewers and purchases of a stream, minute by minute, from the views of SQL.

import { identifier, literal, sql, sqlObjects } from "./api.js";
import { Chart } from "./chart.js";
import { address, bdi, el, fill } from "./dom.js";
import { millis, moment, number, time } from "./format.js";
import { note, showError, table, tabs } from "./table.js";

const SPANS = { "15m": "15 minutes", "1h": "1 hour", "6h": "6 hours", "24h": "24 hours" };
const LENGTHS = { "15m": 900_000, "1h": 3_600_000, "6h": 21_600_000, "24h": 86_400_000 };
const RELOAD = 15_000; // ms between two looks
const MINUTE = 60_000;
const VIEWS = ["streams", "chat_summary_minute", "viewer_timeseries", "transactions"];

// Personal data: who wrote or paid is not shown here.
const HIDDEN = ["user", "user_id", "username", "user_hash"];

function mount(root, page) {
  if (!page.session.sql) {
    fill(root, note("Streams are read by SQL, which this program was built without."));
    return {};
  }
  const state = Object.fromEntries(page.parameters);
  const range = state.range in SPANS ? state.range : "1h";
  const list = el("section", { class: "panel" }, note("Asking."));
  const words = el("div", { role: "status" });
  const chosen = el("div");
  const charts = [];
  fill(root, list, words, chosen);
  let stream = state.stream;

  async function look() {
    const columns = await columnsOf(VIEWS, page.signal);
    const missing = VIEWS.filter((name) => !columns.has(name));
    fill(
      words,
      missing.length ? note(`Not here: ${missing.join(", ")}. These views come with kinds of streams.`) : null,
    );
    if (columns.has("streams")) {
      await lookAtStreams();
    } else {
      fill(list, note("There is no view of streams here."));
    }
    if (stream) {
      await lookAtStream(columns);
    }
  }

  async function lookAtStreams() {
    const { columns, rows } = await sql("SELECT * FROM streams ORDER BY stream_id LIMIT 200", { signal: page.signal });
    if (rows.length === 0) {
      fill(list, note("No stream has told of itself yet."));
      return;
    }
    const id = columns.findIndex(({ name }) => name === "stream_id");
    stream ??= rows[0][id];
    const lines = rows.map((cells) =>
      cells.map((value, index) =>
        index === id
          ? el(
              "a",
              { href: address("streams", { stream: value, range }), "aria-current": value === stream ? "true" : null },
              bdi(value),
            )
          : show(value, columns[index].type),
      ),
    );
    fill(
      list,
      el("h2", {}, "Streams"),
      table(
        "Streams",
        columns.map(({ name }) => name),
        lines,
      ),
      rows.length === 200 ? note("The first 200.") : null,
    );
  }

  const chart = (options) => {
    const made = new Chart({ gapAfter: 1.5 * MINUTE, ...options });
    charts.push(made);
    return made;
  };
  let parts = null;

  function build() {
    parts = {
      chat: chart({ title: "Chat", unit: "a minute", lines: ["messages", "unique chatters"], zero: true }),
      sentiment: chart({ title: "Sentiment", unit: "mean, −1 to 1", lines: [""] }),
      shares: chart({ title: "Shares of messages", lines: ["positive", "neutral", "negative"], zero: true }),
      viewers: chart({ title: "Viewers", unit: "greatest of a minute", lines: [""], zero: true }),
      emotes: el("section", { class: "panel" }),
      sums: el("section", { class: "panel" }),
      transactions: el("section", { class: "panel" }),
      said: { chat: el("div"), viewers: el("div") },
    };
    fill(
      chosen,
      el(
        "div",
        { class: "titled" },
        el("h2", {}, bdi(stream)),
        tabs(
          "Range",
          Object.keys(SPANS).map((name) => [name, name]),
          range,
          (name) => address("streams", { stream, range: name }),
        ),
      ),
      parts.said.chat,
      parts.said.viewers,
      el("div", { class: "charts four" }, parts.chat.root, parts.viewers.root, parts.sentiment.root, parts.shares.root),
      el("div", { class: "charts below" }, parts.emotes, parts.sums),
      parts.transactions,
    );
  }

  async function lookAtStream(columns) {
    if (!parts) {
      build();
    }
    const now = Date.now();
    const from = Math.floor((now - LENGTHS[range]) / MINUTE) * MINUTE;
    const where = (column) =>
      `stream_id = ${literal(stream)} AND ${column} >= ${literal(new Date(from).toISOString())}`;
    await Promise.all([
      columns.has("chat_summary_minute") && lookAtChat(where, from, now),
      columns.has("viewer_timeseries") && lookAtViewers(where, from, now),
      columns.has("transactions") && lookAtTransactions(where, columns.get("transactions")),
    ]);
  }

  async function lookAtChat(where, from, now) {
    const rows = await sqlObjects(`SELECT * FROM chat_summary_minute WHERE ${where("minute")} ORDER BY minute`, {
      signal: page.signal,
    });
    const times = rows.map((row) => millis(row.minute));
    const column = (name) => rows.map((row) => (typeof row[name] === "number" ? row[name] : NaN));
    fill(parts.said.chat, rows.length ? null : note("No chat in this time."));
    parts.chat.set({ times, values: [column("messages"), column("unique_chatters")] }, from, now);
    parts.sentiment.set({ times, values: [column("avg_sentiment")] }, from, now);
    parts.shares.set(
      { times, values: [column("positive_share"), column("neutral_share"), column("negative_share")] },
      from,
      now,
    );
    const lines = rows
      .slice(-10)
      .reverse()
      .map((row) => [
        time(millis(row.minute)),
        row.messages,
        row.unique_chatters,
        number(row.avg_sentiment),
        bdi(show(row.top_emotes)),
      ]);
    fill(
      parts.emotes,
      el("h2", {}, "The last minutes of chat"),
      table(
        "The last minutes of chat",
        ["Minute (UTC)", ["Messages", "n"], ["Chatters", "n"], ["Sentiment", "n"], "Top emotes"],
        lines,
      ),
    );
  }

  async function lookAtViewers(where, from, now) {
    const rows = await sqlObjects(
      `SELECT date_bin(INTERVAL '1 minute', event_time) AS minute, max(viewers) AS viewers FROM viewer_timeseries WHERE ${where("event_time")} GROUP BY 1 ORDER BY 1`,
      { signal: page.signal },
    );
    fill(parts.said.viewers, rows.length ? null : note("No counts of viewers in this time."));
    parts.viewers.set(
      { times: rows.map((row) => millis(row.minute)), values: [rows.map((row) => row.viewers ?? NaN)] },
      from,
      now,
    );
  }

  async function lookAtTransactions(where, names) {
    const shown = names
      .filter((name) => !HIDDEN.includes(name))
      .map(identifier)
      .join(", ");
    const [{ columns, rows }, sums] = await Promise.all([
      sql(`SELECT ${shown} FROM transactions WHERE ${where("event_time")} ORDER BY event_time DESC LIMIT 20`, {
        signal: page.signal,
      }),
      sqlObjects(
        `SELECT type, currency, count(*) AS n, sum(amount) AS total FROM transactions WHERE ${where("event_time")} GROUP BY 1, 2 ORDER BY 4 DESC LIMIT 20`,
        { signal: page.signal },
      ),
    ]);
    fill(
      parts.sums,
      el("h2", {}, "Purchases by type"),
      sums.length
        ? table(
            "Purchases by type",
            ["Type", ["Number", "n"], ["Sum", "n"], "Currency"],
            sums.map((row) => [bdi(row.type ?? ""), row.n, row.total ?? "–", bdi(row.currency ?? "")]),
          )
        : note("No purchase in this time."),
    );
    const lines = rows.map((cells) => cells.map((value, index) => show(value, columns[index].type)));
    fill(
      parts.transactions,
      el("h2", {}, "Newest purchases"),
      lines.length
        ? table(
            "Newest purchases",
            columns.map(({ name }) => name),
            lines,
          )
        : note("No purchase in this time."),
    );
  }

  const run = () => look().catch((error) => showError(words, error));
  const tick = setInterval(() => document.hidden || page.signal.aborted || run(), RELOAD);
  run();
  return {
    unmount() {
      clearInterval(tick);
      charts.forEach((one) => one.remove());
    },
  };
}

// The columns of those of the views that exist.
async function columnsOf(names, signal) {
  const rows = await sqlObjects(
    `SELECT table_name, column_name FROM information_schema.columns
     WHERE table_name IN (${names.map(literal).join(", ")}) ORDER BY table_name, ordinal_position`,
    { signal },
  );
  const found = new Map();
  for (const { table_name: name, column_name: column } of rows) {
    found.set(name, [...(found.get(name) ?? []), column]);
  }
  return found;
}

function show(value, type = "") {
  if (value === null || value === undefined) {
    return "–";
  }
  if (/timestamp/.test(type) && millis(value) !== null) {
    return moment(millis(value));
  }
  return typeof value === "number" ? number(value) : bdi(typeof value === "object" ? JSON.stringify(value) : value);
}

export default { title: "Streams", mount };
