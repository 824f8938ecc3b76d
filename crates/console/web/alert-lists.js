// The lists of the view Alerts that are not the active alerts.

import { alerts, literal, sqlObjects, tellAlerts } from "./api.js";
import { bdi, el, field, fill, link, select } from "./dom.js";
import { millis, number, seconds, time } from "./format.js";
import { note, showError, table } from "./table.js";

/** A state as a word with a colour. */
export function stateWord(state) {
  return el("span", { class: `state-word ${/^[a-z_]+$/.test(state) ? state : ""}` }, state);
}

/** Labels as a list, without those that are shown elsewhere. */
export function labelList(labels, without = []) {
  const items = Object.entries(labels ?? {}).filter(([name]) => !without.includes(name));
  return items.length
    ? el(
        "ul",
        { class: "labels" },
        items.map(([name, value]) => el("li", {}, `${name}=`, bdi(value))),
      )
    : "";
}

// Looks at once and each five seconds; gives what ends that.
function follow(page, place, look) {
  const run = () => look().catch((error) => showError(place, error));
  const tick = setInterval(() => document.hidden || page.signal.aborted || run(), 5000);
  run();
  return { run, end: () => clearInterval(tick) };
}

/** The rules with their states. */
export function rules(place, page) {
  const list = el("section", { class: "panel" });
  fill(place, list);
  return follow(page, list, async () => {
    const { data } = await alerts("/api/v1/rules", {}, page.signal);
    const rows = data.groups.flatMap((group) =>
      group.rules.map((rule) => [
        stateWord(rule.state),
        bdi(rule.name),
        bdi(group.name),
        el("code", {}, bdi(rule.query)),
        seconds(rule.duration),
        String(rule.alerts.length),
        rule.lastError ? bdi(rule.lastError) : rule.health,
        rule.lastEvaluation ? time(millis(rule.lastEvaluation)) : "–",
      ]),
    );
    fill(
      list,
      table(
        "Rules",
        ["State", "Rule", "Group", "Condition", "For", ["Alerts", "n"], "Health", "Looked at (UTC)"],
        rows,
      ),
    );
  }).end;
}

/** Silences, with a button that ends one. */
export function silences(place, page) {
  const list = el("section", { class: "panel" });
  const words = el("div");
  fill(place, words, list);
  const { run, end } = follow(page, list, async () => {
    const all = await alerts("/api/v2/silences", {}, page.signal);
    if (all.length === 0) {
      fill(list, note("There is no silence. Set one at an alert that fires."));
      return;
    }
    const rows = all.map((silence) => [
      stateWord(silence.status.state),
      el(
        "ul",
        { class: "labels" },
        silence.matchers.map(({ name, value, isRegex, isEqual }) =>
          el(
            "li",
            {},
            `${name}${isEqual === false ? "!" : "="}${isRegex ? "~" : isEqual === false ? "=" : ""}`,
            bdi(value),
          ),
        ),
      ),
      bdi(silence.createdBy),
      el("span", {}, bdi(silence.comment)),
      time(millis(silence.startsAt)),
      time(millis(silence.endsAt)),
      silence.status.state === "expired"
        ? ""
        : el(
            "button",
            {
              type: "button",
              class: "small",
              onclick: () =>
                tellAlerts("DELETE", `/api/v2/silence/${encodeURIComponent(silence.id)}`).then(run, (error) =>
                  showError(words, error),
                ),
            },
            "End it",
          ),
    ]);
    fill(list, table("Silences", ["State", "Matches", "By", "Comment", "From (UTC)", "Until (UTC)", "Actions"], rows));
  });
  return end;
}

/** Notifications with their attempts. */
export function deliveries(place, page, state) {
  const list = el("section", { class: "panel" });
  const words = el("div", { role: "status" });
  const status = select([["", "all"], "open", "stuck", "delivered"], state.status ?? "", {
    onchange: () => {
      page.setParameters({ tab: "deliveries", status: status.value });
      run();
    },
  });
  const retry = el("button", { type: "button", hidden: true, onclick: again }, "Send all stuck ones again");
  fill(place, el("div", { class: "controls" }, field("Status", status), retry), words, list);

  async function again() {
    try {
      const { ids } = await tellAlerts("POST", "/api/v1/deliveries/retry", {});
      fill(words, note(`${ids.length} are sent again.`));
      run();
    } catch (error) {
      showError(words, error);
    }
  }

  let shown = "";
  const { run, end } = follow(page, list, async () => {
    const answer = await alerts("/api/v1/deliveries", { status: status.value, limit: 200 }, page.signal);
    const text = JSON.stringify(answer);
    if (text === shown) {
      return;
    }
    shown = text;
    retry.hidden = !answer.deliveries.some((one) => one.status === "stuck");
    if (answer.deliveries.length === 0) {
      fill(list, note("Nobody was told of anything yet."));
      return;
    }
    const rows = answer.deliveries.map((one) => {
      const last = one.attempts.at(-1);
      return [
        stateWord(one.status),
        time(one.opened_at),
        bdi(one.receiver),
        bdi(one.channel),
        one.why,
        labelList(one.group_labels),
        `${one.firing.length} / ${one.resolved.length}`,
        String(one.attempts.length),
        last ? el("span", {}, `${time(last.at)} ${last.outcome}, ${last.took_ms} ms: `, bdi(last.answer)) : "–",
      ];
    });
    fill(
      list,
      table(
        "Notifications",
        [
          "Status",
          "Opened (UTC)",
          "Receiver",
          "Channel",
          "Why",
          "Group",
          ["Firing / resolved", "n"],
          ["Attempts", "n"],
          "Last attempt",
        ],
        rows,
      ),
      answer.truncated ? note("The newest 200; there are more.") : null,
    );
  });
  return end;
}

/** Changes of alerts, from the lake. */
export function history(place, page, state) {
  const list = el("section", { class: "panel" });
  if (!page.session.sql) {
    fill(place, note("History is read by SQL, which this program was built without."));
    return () => {};
  }
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
  const name = el("input", { type: "search", value: state.alert ?? "", placeholder: "all", onchange: choose });
  fill(place, el("div", { class: "controls" }, field("The last", range), field("Alert", name)), list);

  function choose() {
    page.setParameters({ tab: "history", range: range.value, alert: name.value });
    look();
  }

  async function look() {
    fill(list, note("Asking."));
    const isRange = /^\d+ (hour|day)s?$/.test(range.value);
    const named = name.value ? `AND alertname = ${literal(name.value)}` : "";
    try {
      const rows = await sqlObjects(
        `SELECT at, state, alertname, severity, kind, entity_id, value, reason FROM alerts
         WHERE at > now() - INTERVAL '${isRange ? range.value : "1 day"}' ${named} ORDER BY at DESC LIMIT 500`,
        { signal: page.signal },
      );
      const lines = rows.map((row) => {
        const at = millis(row.at);
        const entity =
          row.kind && row.entity_id
            ? link(
                "entity",
                { kind: row.kind, entity: row.entity_id, from: at - 600_000, to: at + 600_000 },
                bdi(row.entity_id),
              )
            : bdi(row.entity_id ?? "");
        return [
          time(at),
          stateWord(row.state ?? ""),
          bdi(row.alertname ?? ""),
          bdi(row.severity ?? ""),
          bdi(row.kind ?? ""),
          entity,
          number(row.value),
          row.reason ?? "",
        ];
      });
      fill(
        list,
        lines.length
          ? table(
              "Changes of alerts",
              ["At (UTC)", "State", "Alert", "Severity", "Kind", "Entity", ["Value", "n"], "Reason"],
              lines,
            )
          : note("Nothing changed in this time."),
        lines.length === 500 ? note("The newest 500.") : null,
      );
    } catch (error) {
      showError(list, error);
    }
  }

  look();
  return () => {};
}
