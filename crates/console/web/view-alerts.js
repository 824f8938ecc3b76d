// Alerts: what fires and waits, the rules, silences, deliveries, and what was.

import { alerts } from "./api.js";
import { acknowledge, silence } from "./alert-forms.js";
import { deliveries, history, labelList, rules, silences, stateWord } from "./alert-lists.js";
import { address, bdi, el, fill, link, select, field, throttle } from "./dom.js";
import { millis, number, time } from "./format.js";
import { live } from "./live.js";
import { note, showError, table, tabs } from "./table.js";

const TABS = [
  ["active", "Active"],
  ["rules", "Rules"],
  ["silences", "Silences"],
  ["deliveries", "Deliveries"],
  ["history", "History"],
];
const LISTS = { active, rules, silences, deliveries, history };
const PACE = 5000; // ms between two looks at a list

function mount(root, page) {
  const state = Object.fromEntries(page.parameters);
  const tab = state.tab in LISTS ? state.tab : "active";
  const place = el("div");
  fill(
    root,
    el(
      "div",
      { class: "controls" },
      tabs("Alerts", TABS, tab, (name) => address("alerts", name === "active" ? {} : { tab: name })),
    ),
    place,
  );
  if (!page.session.alerts && tab !== "history") {
    fill(
      place,
      note("No alerts service is connected here: the console of query finds it by ALERTS_URL and ALERTS_KEY."),
    );
    return {};
  }
  const ended = LISTS[tab](place, page, state);
  return { unmount: () => ended?.() };
}

// Alerts that are pending or firing; those that fire also come by the live stream.
function active(place, page, state) {
  const filter = select(
    [
      ["", "all"],
      ["firing", "firing"],
      ["pending", "pending"],
    ],
    state.state ?? "",
    {
      onchange: () => {
        page.setParameters({ ...state, state: filter.value });
        look();
      },
    },
  );
  const list = el("section", { class: "panel" }, note("Asking."));
  const asOf = el("p", { class: "caption" });
  fill(place, el("div", { class: "controls" }, field("State", filter)), list, asOf);
  let shown = "";

  async function look() {
    try {
      const [{ data }, firing, acknowledged] = await Promise.all([
        alerts("/api/v1/alerts", {}, page.signal),
        alerts("/api/v2/alerts", {}, page.signal),
        alerts("/api/v1/acknowledgements", {}, page.signal),
      ]);
      const wanted = data.alerts.filter((alert) => !filter.value || alert.state === filter.value);
      asOf.textContent = `As of ${time(Date.now())} UTC; it goes on by itself.`;
      // The list is written anew only if something has changed, so that a button stays where it is.
      const text = JSON.stringify([wanted, acknowledged, firing.map(({ labels, status }) => [labels, status])]);
      if (text !== shown) {
        shown = text;
        show(wanted, firing, acknowledged);
      }
    } catch (error) {
      shown = "";
      showError(list, error);
    }
  }

  function show(wanted, firing, acknowledged) {
    if (wanted.length === 0) {
      fill(list, note(filter.value ? `No alert is ${filter.value}.` : "No alert is firing or pending."));
      return;
    }
    const statuses = new Map(firing.map((alert) => [labelKey(alert.labels), alert.status]));
    const by = new Map(acknowledged.map((one) => [one.episode, one]));
    const rows = wanted.map((alert) => {
      const { labels, annotations } = alert;
      const status = statuses.get(labelKey(labels));
      const looksAfter = by.get(alert.episode);
      const at = millis(alert.activeAt);
      const entity =
        labels.kind && labels.entity_id
          ? link(
              "entity",
              { kind: labels.kind, entity: labels.entity_id, from: at - 600_000, to: at + 600_000 },
              bdi(labels.entity_id),
            )
          : "";
      return [
        el("span", {}, stateWord(alert.state), status?.state === "suppressed" ? [" ", stateWord("suppressed")] : null),
        bdi(labels.alertname),
        entity,
        number(Number(alert.value)),
        time(at),
        el("span", {}, bdi(annotations.summary ?? annotations.description ?? "")),
        labelList(labels, ["alertname", "kind", "entity_id"]),
        looksAfter ? el("span", { title: looksAfter.comment }, bdi(looksAfter.created_by)) : "–",
        el(
          "div",
          { class: "actions" },
          el("button", { type: "button", class: "small", onclick: () => silence(labels, look) }, "Silence"),
          el(
            "button",
            { type: "button", class: "small", disabled: Boolean(looksAfter), onclick: () => acknowledge(alert, look) },
            "Acknowledge",
          ),
        ),
      ];
    });
    fill(
      list,
      table(
        "Alerts that are firing or pending",
        ["State", "Alert", "Entity", ["Value", "n"], "Since (UTC)", "Summary", "Labels", "Looked after by", "Actions"],
        rows,
      ),
    );
  }

  const soon = throttle(1000, () => page.signal.aborted || look());
  const end = live.subscribe({ topic: "alerts" }, (message) => message.topic === "error" || soon());
  const tick = setInterval(() => document.hidden || soon(), PACE);
  look();
  return () => {
    end();
    clearInterval(tick);
  };
}

function labelKey(labels) {
  return JSON.stringify(Object.entries(labels).sort());
}

export default { title: "Alerts", mount };
