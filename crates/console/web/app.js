// The page: session, views by address, state of the connection, keys.

import { onExpired, request } from "./api.js";
import { themeChanged } from "./chart.js";
import { el, fill } from "./dom.js";
import { seconds, time } from "./format.js";
import { health } from "./health.js";
import { live } from "./live.js";
import { signIn } from "./login.js";
import { openShortcuts, listenToKeys } from "./shortcuts.js";
import now from "./view-now.js";
import entity from "./view-entity.js";
import top from "./view-top.js";
import alerts from "./view-alerts.js";
import moments from "./view-moments.js";
import streams from "./view-streams.js";
import lake from "./view-lake.js";
import sql from "./view-sql.js";

const VIEWS = { now, entity, top, alerts, moments, streams, lake, sql };
const main = document.getElementById("main");
const banner = document.getElementById("banner");
const pill = document.getElementById("state");
const logout = document.getElementById("logout");

let session = null;
let mounted = null; // what the shown view gave: `{unmount}`
let shown = null;
let bannerTimer = null;

/** The view that the address names. */
function viewName() {
  const name = location.pathname.replace(/^\/console\/?/, "").replace(/\/$/, "");
  return name === "" ? "now" : name;
}

/** Goes to an address of the console, as a link does. */
export function go(path) {
  if (path !== location.pathname + location.search + location.hash) {
    history.pushState(null, "", path);
  }
  show(true);
}

// What a view may ask of the page.
function context() {
  const abort = new AbortController();
  return {
    session,
    go,
    signal: abort.signal,
    abort,
    parameters: new URLSearchParams(location.search),
    /** Puts the state of the view into the address; `replace` leaves no step to go back to. */
    setParameters(values, replace = false) {
      const query = new URLSearchParams();
      for (const [key, value] of Object.entries(values)) {
        if (value !== null && value !== undefined && value !== "") {
          query.set(key, value);
        }
      }
      const text = query.toString();
      const path = location.pathname + (text ? `?${text}` : "");
      if (path !== location.pathname + location.search + location.hash) {
        history[replace ? "replaceState" : "pushState"](null, "", path);
      }
    },
  };
}

function show(isMove) {
  if (!session) {
    return;
  }
  leave();
  const name = viewName();
  const view = VIEWS[name];
  for (const a of document.querySelectorAll("nav a")) {
    const isHere = a.getAttribute("href") === `/console/${name}`;
    a.toggleAttribute("aria-current", isHere);
    if (isHere) {
      a.setAttribute("aria-current", "page");
      a.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  }
  const title = view?.title ?? "Not found";
  document.title = `${title} · Headwater`;
  const heading = el("h1", { tabindex: "-1" }, title);
  const content = el("div", { class: `view ${view ? name : ""}` });
  fill(main, heading, content);
  main.dataset.view = name;
  shown = context();
  mounted = view ? view.mount(content, shown) : null;
  if (!view) {
    fill(content, el("p", {}, "There is no such view."));
  }
  if (isMove) {
    scrollTo(0, 0);
    heading.focus({ preventScroll: true });
  }
}

function leave() {
  shown?.abort.abort();
  mounted?.unmount?.();
  mounted = null;
  shown = null;
}

async function begin() {
  try {
    session = await (await request("/console/session")).json();
  } catch (error) {
    if (error.status !== 401) {
      setBanner("lost", `The server does not answer: ${error.message}. Trying again.`);
      setTimeout(begin, 1000);
    }
    return;
  }
  hideBanner();
  logout.hidden = false;
  live.start();
  health.start();
  show(false);
}

function askToSignIn() {
  const isReturning = session !== null;
  session = null;
  logout.hidden = true;
  live.stop();
  leave();
  hideBanner();
  document.title = "Sign in · Headwater";
  const link = new URLSearchParams(location.search).get("link");
  const reason =
    link === "used"
      ? "That link was used before, or is unknown. Sign in with a read key, or start the service anew for another link."
      : isReturning
        ? "The session is over. Sign in again to go on where you were."
        : null;
  signIn(main, reason, () => {
    if (link) {
      history.replaceState(null, "", "/console/");
    }
    begin();
  });
}

function setBanner(kind, ...words) {
  clearTimeout(bannerTimer);
  banner.className = `banner ${kind}`;
  banner.hidden = false;
  const text = words.join("");
  if (banner.textContent !== text) {
    fill(banner, text);
  }
}

function hideBanner() {
  clearTimeout(bannerTimer);
  banner.hidden = true;
  fill(banner);
}

const STATES = {
  off: "not connected",
  connecting: "connecting",
  live: "live",
  lost: "connection lost",
  hidden: "resting",
};
let wasLost = false;

function tellState() {
  pill.dataset.state = live.state;
  pill.textContent = STATES[live.state];
  document.documentElement.dataset.live = live.state;
  if (live.state === "lost") {
    wasLost = true;
    setBanner("lost", `Connection lost at ${time(live.lostAt)} UTC. What you see stands still; trying again.`);
  } else if (live.state === "live" && wasLost) {
    wasLost = false;
    const gap = live.gaps.at(-1);
    const words = gap
      ? ` Nothing was heard from ${time(gap.from)} to ${time(gap.to)} UTC (${seconds((gap.to - gap.from) / 1000)}): ${gap.why}.`
      : "";
    setBanner("back", `Connected again.${words}`);
    bannerTimer = setTimeout(hideBanner, 30_000);
  }
}

function switchTheme() {
  const root = document.documentElement;
  const theme = root.dataset.theme === "dark" ? "light" : "dark";
  const isSystems = matchMedia("(prefers-color-scheme: dark)").matches === (theme === "dark");
  root.dataset.theme = theme;
  try {
    // A choice that is also the system's is none: the page then goes with the system.
    if (isSystems) {
      localStorage.removeItem("headwater-theme");
    } else {
      localStorage.setItem("headwater-theme", theme);
    }
  } catch {
    // Storage may be forbidden: the choice then lasts until the page is loaded again.
  }
  themeChanged();
}

function onClick(event) {
  const a = event.target.closest?.("a[href]");
  const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (!a || !isPlain || a.hasAttribute("download") || a.target || a.origin !== location.origin) {
    return;
  }
  if (/^\/console\/[a-z]*$/.test(a.pathname) && !a.getAttribute("href").startsWith("#")) {
    event.preventDefault();
    go(a.pathname + a.search + a.hash);
  }
}

document.addEventListener("click", onClick);
addEventListener("popstate", () => show(true));
document.getElementById("theme").addEventListener("click", switchTheme);
document.getElementById("help").addEventListener("click", openShortcuts);
logout.addEventListener("click", async () => {
  await request("/console/logout", { method: "POST" }).catch(() => {});
  session = null;
  askToSignIn();
});
document.addEventListener("theme", themeChanged);
live.onChange(tellState);
onExpired(() => {
  if (session || !document.getElementById("key")) {
    askToSignIn();
  }
});
listenToKeys({ go, switchTheme });
tellState();
begin();
