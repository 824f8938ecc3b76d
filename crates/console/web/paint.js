// Paints a chart onto a canvas: axes, marks, bands, lines, crosshair.

import { short } from "./format.js";
import { firstAtLeast, numberAxis, timeTick, timeTicks, valueRange } from "./scale.js";

const TOP = 8;
const BOTTOM = 20;
const RIGHT = 10;
const FONT = "11px system-ui, sans-serif";
// Lines differ by dashes too, for those who do not see their colours apart.
const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [1, 3]];

let palette = null;

/** Colours of the theme, read anew after `forgetColours`. */
function colours() {
  if (!palette) {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    palette = {
      text: read("--muted"),
      grid: read("--grid"),
      cross: read("--text"),
      mark: read("--mark"),
      select: read("--select"),
      lines: ["--line-1", "--line-2", "--line-3", "--line-4", "--line-5", "--line-6"].map(read),
    };
  }
  return palette;
}

/** To be called when the theme has changed. */
export function forgetColours() {
  palette = null;
}

/** The least and the greatest value that is seen between two times; NaN if there is none. */
function extent({ times, values, bands }, from, to) {
  let low = Infinity;
  let high = -Infinity;
  const first = firstAtLeast(times, from);
  const end = firstAtLeast(times, to + 1);
  for (const column of [...values, ...(bands ?? []).flatMap((band) => (band ? [band.low, band.high] : []))]) {
    for (let index = first; index < end; index += 1) {
      const value = column[index];
      if (Number.isFinite(value)) {
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
  }
  return low <= high ? [low, high] : [NaN, NaN];
}

/**
 * Paints `data` (`times` in ms, `values` and `bands` by line, `marks`) within `view` (`from`, `to`). Returns where the
 * plot stands, for pointers: `{left, right, top, bottom, from, to}` in CSS pixels.
 */
export function paint(canvas, data, view, options, cursor, selection) {
  const ratio = devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = FONT;
  const colour = colours();
  const count = Math.max(2, Math.floor((height - TOP - BOTTOM) / 40));
  const { low, high, ticks } = numberAxis(...valueRange(...extent(data, view.from, view.to), options.zero), count);
  const labels = ticks.map(short);
  const left = Math.max(28, ...labels.map((label) => context.measureText(label).width + 10));
  const plot = { left, right: width - RIGHT, top: TOP, bottom: height - BOTTOM, from: view.from, to: view.to };
  const x = (at) => plot.left + ((at - view.from) / (view.to - view.from)) * (plot.right - plot.left);
  const y = (value) => plot.bottom - ((value - low) / (high - low)) * (plot.bottom - plot.top);
  axes(context, plot, colour, x, y, ticks, labels);
  context.save();
  context.beginPath();
  context.rect(plot.left, plot.top - 2, plot.right - plot.left, plot.bottom - plot.top + 4);
  context.clip();
  paintMarks(context, data.marks ?? [], plot, colour, x);
  data.values.forEach((column, number) => {
    const band = data.bands?.[number];
    if (band) {
      paintBand(context, data, band, options, view, colour.lines[number % 6], x, y);
    }
    paintLine(context, data, column, options, view, number, colour.lines[number % 6], x, y, plot);
  });
  if (selection) {
    context.fillStyle = colour.select;
    const [begin, end] = [x(selection[0]), x(selection[1])].sort((a, b) => a - b);
    context.fillRect(begin, plot.top, end - begin, plot.bottom - plot.top);
  }
  crosshair(context, data, cursor, plot, colour, x, y);
  context.restore();
  return plot;
}

function axes(context, plot, colour, x, y, ticks, labels) {
  context.lineWidth = 1;
  context.strokeStyle = colour.grid;
  context.fillStyle = colour.text;
  context.textBaseline = "middle";
  context.textAlign = "right";
  ticks.forEach((tick, index) => {
    const at = Math.round(y(tick)) + 0.5;
    context.beginPath();
    context.moveTo(plot.left, at);
    context.lineTo(plot.right, at);
    context.stroke();
    context.fillText(labels[index], plot.left - 6, at);
  });
  const { ticks: times, step } = timeTicks(plot.from, plot.to, Math.max(2, Math.floor((plot.right - plot.left) / 74)));
  context.textBaseline = "alphabetic";
  context.textAlign = "center";
  for (const time of times) {
    const at = Math.round(x(time)) + 0.5;
    context.beginPath();
    context.moveTo(at, plot.bottom);
    context.lineTo(at, plot.bottom + 4);
    context.stroke();
    const label = timeTick(time, step);
    const half = context.measureText(label).width / 2;
    context.fillText(label, Math.min(Math.max(at, half), plot.right + RIGHT - half), plot.bottom + 15);
  }
}

// Times of which nothing is known: hatched, so that they are no empty stretch.
function paintMarks(context, list, plot, colour, x) {
  for (const { from, to } of list) {
    const begin = Math.max(plot.left, x(from));
    const end = Math.min(plot.right, Math.max(x(to), x(from) + 2));
    if (end <= begin) {
      continue;
    }
    context.save();
    context.beginPath();
    context.rect(begin, plot.top, end - begin, plot.bottom - plot.top);
    context.clip();
    context.strokeStyle = colour.mark;
    context.lineWidth = 1;
    context.beginPath();
    const tall = plot.bottom - plot.top;
    for (let at = begin - tall; at < end; at += 6) {
      context.moveTo(at, plot.bottom);
      context.lineTo(at + tall, plot.top);
    }
    context.moveTo(begin + 0.5, plot.top);
    context.lineTo(begin + 0.5, plot.bottom);
    context.moveTo(end - 0.5, plot.top);
    context.lineTo(end - 0.5, plot.bottom);
    context.stroke();
    context.restore();
  }
}

// Stretches of known values between gaps: `[first, end)` of indices, one more on each side of what is seen.
function stretches({ times, marks }, known, options, view) {
  const first = Math.max(0, firstAtLeast(times, view.from) - 1);
  const end = Math.min(times.length, firstAtLeast(times, view.to) + 1);
  const found = [];
  let begin = -1;
  for (let index = first; index < end; index += 1) {
    const isGap = begin >= 0 && isApart(times[index - 1], times[index], marks ?? [], options.gapAfter);
    if (begin >= 0 && (isGap || !known(index))) {
      found.push([begin, index]);
      begin = -1;
    }
    if (begin < 0 && known(index)) {
      begin = index;
    }
  }
  if (begin >= 0) {
    found.push([begin, end]);
  }
  return found;
}

// Whether two samples that follow each other are not to be joined: they are far apart, or something is missing between.
function isApart(before, after, marks, gapAfter) {
  const distance = after - before;
  return distance > gapAfter || (distance > 2500 && marks.some(({ from, to }) => from < after && to > before));
}

function paintLine(context, data, column, options, view, number, colour, x, y, plot) {
  context.strokeStyle = colour;
  context.fillStyle = colour;
  context.lineWidth = 1.6;
  context.lineJoin = "round";
  context.setLineDash(DASHES[number % DASHES.length]);
  const isDense = data.times.length > 3 * (plot.right - plot.left);
  for (const [first, end] of stretches(data, (index) => Number.isFinite(column[index]), options, view)) {
    if (end - first === 1) {
      context.beginPath();
      context.arc(x(data.times[first]), y(column[first]), 2, 0, 7);
      context.fill();
      continue;
    }
    context.beginPath();
    if (isDense) {
      traceColumns(context, data.times, column, first, end, x, y);
    } else {
      for (let index = first; index < end; index += 1) {
        context.lineTo(x(data.times[index]), y(column[index]));
      }
    }
    context.stroke();
  }
  context.setLineDash([]);
}

// Of the values that share a column of pixels the first, least, greatest and last are drawn.
function traceColumns(context, times, column, first, end, x, y) {
  let index = first;
  while (index < end) {
    const at = Math.round(x(times[index]));
    let low = column[index];
    let high = low;
    context.lineTo(at, y(low));
    let last = low;
    while (index < end && Math.round(x(times[index])) === at) {
      last = column[index];
      low = Math.min(low, last);
      high = Math.max(high, last);
      index += 1;
    }
    context.lineTo(at, y(low));
    context.lineTo(at, y(high));
    context.lineTo(at, y(last));
  }
}

function paintBand(context, data, band, options, view, colour, x, y) {
  context.fillStyle = colour;
  context.globalAlpha = 0.16;
  const known = (index) => Number.isFinite(band.low[index]) && Number.isFinite(band.high[index]);
  for (const [first, end] of stretches(data, known, options, view)) {
    context.beginPath();
    for (let index = first; index < end; index += 1) {
      context.lineTo(x(data.times[index]), y(band.high[index]));
    }
    for (let index = end - 1; index >= first; index -= 1) {
      context.lineTo(x(data.times[index]), y(band.low[index]));
    }
    context.fill();
  }
  context.globalAlpha = 1;
}

function crosshair(context, data, cursor, plot, colour, x, y) {
  if (cursor === null || cursor >= data.times.length) {
    return;
  }
  const at = Math.round(x(data.times[cursor])) + 0.5;
  context.strokeStyle = colour.cross;
  context.lineWidth = 1;
  context.globalAlpha = 0.6;
  context.beginPath();
  context.moveTo(at, plot.top);
  context.lineTo(at, plot.bottom);
  context.stroke();
  context.globalAlpha = 1;
  data.values.forEach((column, number) => {
    if (Number.isFinite(column[cursor])) {
      context.fillStyle = colour.lines[number % 6];
      context.beginPath();
      context.arc(at, y(column[cursor]), 3.5, 0, 7);
      context.fill();
    }
  });
}
