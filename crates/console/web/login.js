// The sign-in form.

import { request } from "./api.js";
import { el, fill } from "./dom.js";

/** Shows the form in `place`, with the reason why it is there; calls `done` once the server has taken a key. */
export function signIn(place, reason, done) {
  const key = el("input", {
    id: "key",
    type: "password",
    autocomplete: "current-password",
    required: true,
    spellcheck: "false",
  });
  const error = el("p", { class: "error", role: "alert", id: "login-error" });
  const button = el("button", { type: "submit", class: "main" }, "Sign in");
  const form = el(
    "form",
    { class: "login panel", onsubmit: submit },
    el("h1", {}, "Sign in"),
    reason ? el("p", { class: "note", role: "status" }, reason) : null,
    // For keepers of passwords, which want to know whose one it is.
    el("input", { name: "username", autocomplete: "username", value: "reader", hidden: true, readonly: true }),
    el("label", { for: "key" }, "Read key"),
    key,
    error,
    button,
    el(
      "p",
      { class: "caption" },
      "One of READ_KEYS of the service. It is sent once; the browser then holds a session cookie.",
    ),
  );

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    fill(error);
    try {
      await request("/console/login", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ key: key.value }),
      });
      key.value = "";
      done();
    } catch (refused) {
      fill(error, refused.status === 401 ? "This key is not known here." : refused.message);
      key.setAttribute("aria-describedby", "login-error");
      key.focus();
    } finally {
      button.disabled = false;
    }
  }

  fill(place, form);
  key.focus();
}
