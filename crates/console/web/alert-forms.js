// Dialogs that write: a silence, an acknowledgement.

import { tellAlerts } from "./api.js";
import { bdi, el, field, fill, select } from "./dom.js";
import { labelList } from "./alert-lists.js";

let lastName = ""; // who wrote last, so that it need not be typed each time

function ask(title, about, fields, verb, send) {
  const error = el("p", { class: "error", role: "alert" });
  const by = el("input", { required: true, value: lastName, autocomplete: "name", maxlength: 100 });
  const comment = el("input", { maxlength: 500, required: fields.needsComment });
  const button = el("button", { type: "submit", class: "main" }, verb);
  const dialog = el(
    "dialog",
    { "aria-labelledby": "ask-title", onclose: () => dialog.remove() },
    el(
      "form",
      { class: "stack", onsubmit: submit },
      el("h2", { id: "ask-title" }, title),
      about,
      fields.controls,
      field("Your name", by),
      field("Comment", comment),
      error,
      el(
        "div",
        { class: "actions" },
        button,
        el("button", { type: "button", onclick: () => dialog.close() }, "Leave it"),
      ),
    ),
  );

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    try {
      lastName = by.value;
      await send(by.value, comment.value);
      dialog.close();
    } catch (refused) {
      fill(error, refused.message);
      button.disabled = false;
    }
  }

  document.body.append(dialog);
  dialog.showModal();
}

/** Asks for a silence of the alerts with these labels; calls `done` when it is set. */
export function silence(labels, done) {
  const span = select(
    [
      ["1800", "30 minutes"],
      ["3600", "1 hour"],
      ["7200", "2 hours"],
      ["28800", "8 hours"],
      ["86400", "1 day"],
      ["604800", "1 week"],
    ],
    "7200",
  );
  ask(
    "Silence this alert",
    labelList(labels),
    { controls: field("For", span), needsComment: true },
    "Silence",
    async (createdBy, comment) => {
      const now = Date.now();
      await tellAlerts("POST", "/api/v2/silences", {
        matchers: Object.entries(labels).map(([name, value]) => ({ name, value, isRegex: false, isEqual: true })),
        startsAt: new Date(now).toISOString(),
        endsAt: new Date(now + Number(span.value) * 1000).toISOString(),
        createdBy,
        comment,
      });
      done();
    },
  );
}

/** Asks who looks after an episode. */
export function acknowledge(alert, done) {
  const about = el("p", {}, bdi(alert.annotations.summary ?? alert.labels.alertname));
  ask("Acknowledge", about, { controls: [], needsComment: false }, "Acknowledge", async (createdBy, comment) => {
    await tellAlerts("POST", "/api/v1/acknowledgements", { episode: alert.episode, created_by: createdBy, comment });
    done();
  });
}
