// The live stream: one WebSocket for the whole page, with topics that views subscribe to.
//
// The page says that the connection is lost once the socket closes, or nothing has been heard for a second and the
// server does not answer a request either. It tries again with growing waits, tells the server the last number that it
// has seen, and keeps the gaps, so that charts and words can show them.

import { sessionIsOver } from "./api.js";

const SILENCE = 1000; // ms without a message after which the server is asked whether it is there
const PROBE = 600; // ms that it may take to answer that
const GIVE_UP = 6000; // ms of silence after which the socket is given up, though requests are answered
const HELLO = 2500; // ms that a new socket may take until the server's first message
const WAITS = [250, 500, 1000, 1500, 2000]; // ms before another attempt; with jitter
const MOST_GAPS = 50;
const MOST_TOPICS = 2000; // the server's bound for one client

class Live {
  constructor() {
    this.topics = new Map(); // key -> {topic, handlers}
    this.listeners = new Set();
    this.gaps = [];
    this.state = "off"; // off, connecting, live, lost, hidden
    this.lostAt = null;
    this.retryAt = null;
    this.socket = null;
    this.boot = null;
    this.seq = null;
    this.attempt = 0;
    this.pending = { subscribe: new Map(), unsubscribe: new Map() };
    this.isPlanned = false;
    this.isProbing = false;
    this.heard = 0; // when the last message came, by performance.now()
    this.proven = 0; // when the server answered last that it is there
    this.isWanted = false;
    this.timer = null;
    document.addEventListener("visibilitychange", () => this.onVisibility());
    addEventListener("online", () => this.retryNow());
  }

  /** Connects, and stays connected until `stop`. */
  start() {
    if (this.isWanted) {
      return;
    }
    this.isWanted = true;
    this.watch = setInterval(() => this.check(), 100);
    this.connect();
  }

  /** Ends the connection, as when the session is over. Topics stay, for the next `start`. */
  stop() {
    this.isWanted = false;
    clearInterval(this.watch);
    clearTimeout(this.timer);
    this.lostAt ??= this.state === "live" ? Date.now() : null;
    this.drop();
    this.set("off");
  }

  /** Calls `handler` with each message of a topic; returns the end of the subscription. */
  subscribe(topic, handler) {
    const key = keyOf(topic);
    let entry = this.topics.get(key);
    if (!entry) {
      if (this.topics.size >= MOST_TOPICS) {
        handler({ topic: "error", code: "too_many_topics", message: `a page has at most ${MOST_TOPICS} topics` });
        return () => {};
      }
      entry = { topic, handlers: new Set() };
      this.topics.set(key, entry);
      this.plan("subscribe", key, topic);
    }
    entry.handlers.add(handler);
    return () => {
      entry.handlers.delete(handler);
      if (entry.handlers.size === 0 && this.topics.get(key) === entry) {
        this.topics.delete(key);
        this.plan("unsubscribe", key, topic);
      }
    };
  }

  /** Calls `listener` when the state or the list of gaps changes; returns the end of that. */
  onChange(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Tries to connect at once rather than at the planned time. */
  retryNow() {
    if (this.isWanted && this.socket === null) {
      clearTimeout(this.timer);
      this.connect();
    }
  }

  // Subscriptions of one moment go out as one message.
  plan(what, key, topic) {
    const other = what === "subscribe" ? "unsubscribe" : "subscribe";
    if (!this.pending[other].delete(key)) {
      this.pending[what].set(key, topic);
    }
    if (!this.isPlanned) {
      this.isPlanned = true;
      queueMicrotask(() => {
        this.isPlanned = false;
        this.flush();
      });
    }
  }

  flush() {
    const message = {};
    for (const what of ["unsubscribe", "subscribe"]) {
      if (this.pending[what].size > 0) {
        message[what] = [...this.pending[what].values()];
      }
    }
    if (this.isOpen() && !document.hidden) {
      this.pending.subscribe.clear();
      this.pending.unsubscribe.clear();
      if (Object.keys(message).length > 0) {
        this.socket.send(JSON.stringify(message));
      }
    }
  }

  isOpen() {
    return this.socket?.readyState === WebSocket.OPEN && this.isGreeted;
  }

  connect() {
    this.timer = null;
    this.retryAt = null;
    this.heard = performance.now();
    this.isGreeted = false;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/v1/live`);
    this.socket = socket;
    if (this.state === "off") {
      this.set("connecting");
    }
    socket.onmessage = (event) => {
      if (this.socket === socket) {
        this.receive(event.data);
      }
    };
    socket.onclose = () => {
      if (this.socket === socket) {
        this.lose();
      }
    };
  }

  receive(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    this.heard = performance.now();
    if (message.topic === "hello") {
      this.greet(message);
      return;
    }
    if (typeof message.seq === "number") {
      this.seq = Math.max(this.seq ?? 0, message.seq);
    }
    if (this.state === "lost") {
      this.found();
    }
    if (message.topic === "gap") {
      this.note({ from: this.lastAt ?? Date.now(), to: Date.now(), why: "messages were missed" });
      return;
    }
    this.lastAt = Date.now();
    if (message.topic === "error" && message.of) {
      this.topics.get(keyOf(message.of))?.handlers.forEach((handler) => handler(message));
      return;
    }
    this.topics.get(keyOf(message))?.handlers.forEach((handler) => handler(message));
  }

  greet(hello) {
    const isRestarted = this.boot !== null && this.boot !== hello.boot;
    const since = isRestarted ? null : this.seq;
    this.boot = hello.boot;
    this.seq = isRestarted ? hello.seq : (this.seq ?? hello.seq);
    this.isGreeted = true;
    this.attempt = 0;
    this.found(isRestarted ? "the server was restarted" : null);
    this.subscribeAll(since);
  }

  // Begins to be live again: what was missed is a gap.
  found(why) {
    const { lostAt } = this;
    this.lostAt = null;
    if (lostAt !== null) {
      this.keep({ from: lostAt, to: Date.now(), why: why ?? "the connection was lost" });
    }
    this.set(document.hidden ? "hidden" : "live");
  }

  subscribeAll(since) {
    this.pending.subscribe.clear();
    this.pending.unsubscribe.clear();
    const topics = [...this.topics.values()].map((entry) => entry.topic);
    if (topics.length > 0 && !document.hidden) {
      this.socket.send(JSON.stringify(since === null ? { subscribe: topics } : { subscribe: topics, since }));
    }
  }

  // The socket is gone: says so, and plans another attempt.
  lose() {
    this.drop();
    if (!this.isWanted) {
      return;
    }
    this.lostAt ??= this.lastAt ?? Date.now();
    const wait = WAITS[Math.min(this.attempt, WAITS.length - 1)] * (0.75 + Math.random() / 2);
    this.attempt += 1;
    this.retryAt = Date.now() + wait;
    this.timer = setTimeout(() => this.connect(), wait);
    this.set("lost");
    this.probe();
  }

  drop() {
    const { socket } = this;
    this.socket = null;
    if (socket) {
      socket.onclose = null;
      socket.onmessage = null;
      socket.close();
    }
  }

  check() {
    if (document.hidden || this.socket === null) {
      return;
    }
    const silent = performance.now() - this.heard;
    const isProven = performance.now() - this.proven < SILENCE;
    if (!this.isGreeted) {
      if (silent > HELLO) {
        this.lose();
      }
    } else if (silent > GIVE_UP && this.topics.size > 0) {
      this.lose();
    } else if (silent > SILENCE && !isProven && this.topics.size > 0) {
      this.probe();
    }
  }

  // Asks whether the server is there, and whether the session still is: a refused upgrade does not tell why.
  async probe() {
    if (this.isProbing) {
      return;
    }
    this.isProbing = true;
    const begun = performance.now();
    try {
      const answer = await fetch("/console/session", { cache: "no-store", signal: AbortSignal.timeout(PROBE) });
      this.proven = performance.now();
      if (answer.status === 401 && this.isWanted) {
        sessionIsOver();
      }
    } catch {
      // A message that came meanwhile says that the server is there after all.
      if (this.isWanted && this.heard < begun && this.state === "live") {
        this.lostAt ??= this.lastAt ?? Date.now();
        this.set("lost");
      }
    } finally {
      this.isProbing = false;
    }
  }

  onVisibility() {
    if (!this.isWanted) {
      return;
    }
    if (document.hidden) {
      if (this.isOpen() && this.topics.size > 0) {
        const unsubscribe = [...this.topics.values()].map((entry) => entry.topic);
        this.socket.send(JSON.stringify({ unsubscribe }));
      }
      if (this.state === "live") {
        this.hiddenAt = Date.now();
        this.set("hidden");
      }
      return;
    }
    this.heard = performance.now();
    if (this.isOpen()) {
      this.set("live");
      if (this.hiddenAt) {
        this.note({ from: this.hiddenAt, to: Date.now(), why: "this tab was hidden" });
      }
      this.subscribeAll(this.seq);
    } else {
      this.retryNow();
    }
    this.hiddenAt = null;
  }

  note(gap) {
    this.keep(gap);
    this.tell();
  }

  keep(gap) {
    // Two notes of one gap, such as a lost connection and the server's word for it, are one.
    const before = this.gaps.at(-1);
    if (before && gap.from <= before.to + 1000) {
      before.to = Math.max(before.to, gap.to);
    } else {
      this.gaps.push(gap);
      this.gaps.splice(0, this.gaps.length - MOST_GAPS);
    }
  }

  set(state) {
    if (this.state !== state) {
      this.state = state;
      this.tell();
    }
  }

  tell() {
    for (const listener of this.listeners) {
      listener(this);
    }
  }
}

/** What tells one topic from another, in a subscription and in its messages. */
export function keyOf(topic) {
  switch (topic.topic) {
    case "series":
      return JSON.stringify(["series", topic.kind, topic.entity, topic.signal]);
    case "top":
      return JSON.stringify(["top", topic.kind, topic.signal, topic.window, topic.n, topic.stat]);
    default:
      return topic.topic;
  }
}

/** The page's one connection. */
export const live = new Live();
