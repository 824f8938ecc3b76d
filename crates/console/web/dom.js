// Makes elements. All text goes in as text nodes: ids and chat texts are written by senders.

/**
 * An element with attributes and children.
 *
 * Attributes that begin with `on` are listeners; `true` sets an empty attribute, `false` and null set none. Strings and
 * numbers among the children become text; null is left out.
 */
export function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (key.startsWith("on")) {
      element.addEventListener(key.slice(2), value);
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(key, value === true ? "" : value);
    }
  }
  add(element, children);
  return element;
}

/** Puts children into an element, in place of those that it has. */
export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) {
      element.append(child instanceof Node ? child : String(child));
    }
  }
}

/** A sender's text, kept apart from the direction of the text around it. */
export function bdi(text) {
  return el("bdi", {}, text);
}

/** A link to a view of the console. */
export function link(path, parameters, ...children) {
  return el("a", { href: address(path, parameters) }, ...children);
}

/** The address of a view, without parameters that are empty. */
export function address(path, parameters) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters ?? {})) {
    if (value !== null && value !== undefined && value !== "") {
      query.set(key, value);
    }
  }
  const text = query.toString();
  return `/console/${path}${text ? `?${text}` : ""}`;
}

/** A labelled form control. */
export function field(label, control) {
  return el("label", { class: "field" }, el("span", {}, label), control);
}

/** A select with options `[value, text]` or plain values. */
export function select(options, chosen, attributes) {
  const control = el("select", attributes);
  setOptions(control, options, chosen);
  return control;
}

/** Replaces the options of a select; a chosen value that is not among them is added. */
export function setOptions(control, options, chosen) {
  const all = options.map((option) => (Array.isArray(option) ? option : [option, option]));
  if (chosen && !all.some(([value]) => value === chosen)) {
    all.push([chosen, chosen]);
  }
  fill(
    control,
    all.map(([value, text]) => el("option", { value, selected: value === chosen }, text)),
  );
}

/** Runs `work` at most once each `wait` ms, the last call always. */
export function throttle(wait, work) {
  let timer = null;
  let last = -Infinity;
  const run = () => {
    timer = null;
    last = performance.now();
    work();
  };
  return () => {
    timer ??= setTimeout(run, Math.max(0, last + wait - performance.now()));
  };
}

/** Runs `work` once calls have ceased for `wait` ms. */
export function debounce(wait, work) {
  let timer = null;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...values), wait);
  };
}
