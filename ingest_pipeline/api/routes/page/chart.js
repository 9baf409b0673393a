// Bars of messages per minute as SVG: one bar a minute, fewer and wider ones for long sessions.

import { shape } from "./dom.js";
import { clock } from "./words.js";

const MINUTE = 60_000;

// Counts by bucket: [{start, count}], the widest bucket that keeps the bars apart.
function buckets(minutes, start, end, most) {
  const width = Math.max(1, Math.ceil((end - start) / MINUTE / most)) * MINUTE;
  const found = [];
  for (let at = start; at < end; at += width) found.push({ start: at, count: 0 });
  for (const each of minutes) {
    const place = Math.floor((Date.parse(each.minute) - start) / width);
    if (found.length) found[Math.min(Math.max(place, 0), found.length - 1)].count += each.messages;
  }
  return { width, found };
}

function niceTop(count) {
  const magnitude = 10 ** Math.floor(Math.log10(Math.max(count, 1)));
  return [1, 2, 4, 5, 10].map((step) => step * magnitude).find((top) => top >= Math.max(count, 4)) || 10 * magnitude;
}

export function drawChart(holder, minutes, session, now) {
  const width = Math.max(holder.clientWidth, 280), height = width < 520 ? 170 : 190;
  const left = 30, bottom = 20, top = 8, plain = width - left, tall = height - bottom - top;
  const start = Date.parse(session.start_time), end = Date.parse(session.end_time);
  const { width: step, found } = buckets(minutes, start, end, Math.floor(plain / 5));
  const peak = Math.max(0, ...found.map((each) => each.count));
  const high = niceTop(peak);
  const x = (moment) => left + ((moment - start) / (end - start)) * plain;
  const y = (count) => top + tall - (count / high) * tall;
  const total = found.reduce((sum, each) => sum + each.count, 0);
  const svg = shape("svg", {
    viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `${total} messages between ${clock(start)} and ${clock(end)}, at most ${peak} in ${step / MINUTE} min`,
  });
  for (const count of [0, high / 2, high]) {
    svg.append(shape("line", { class: "grid", x1: left, x2: width, y1: y(count), y2: y(count) }));
    svg.append(shape("text", { x: left - 7, y: y(count) + 4, "text-anchor": "end" }, String(count)));
  }
  const bars = shape("g", { class: "bars" });
  const room = (step / (end - start)) * plain;
  for (const each of found) {
    if (!each.count) continue;
    const bar = shape("rect", {
      x: x(each.start) + room * 0.1, width: Math.max(room * 0.8, 1), y: y(each.count),
      height: Math.max(top + tall - y(each.count), 1), rx: Math.min(2, room / 4),
    });
    bar.append(shape("title", {}, `${clock(each.start)}: ${each.count}`));
    bars.append(bar);
  }
  svg.append(bars);
  const marks = width < 520 ? 3 : 6;
  for (let mark = 0; mark <= marks; mark += 1) {
    const moment = start + ((end - start) * mark) / marks;
    const anchor = mark === 0 ? "start" : mark === marks ? "end" : "middle";
    svg.append(shape("text", { x: x(moment), y: height - 4, "text-anchor": anchor }, clock(moment)));
  }
  if (now > start && now < end) {
    svg.append(shape("line", { class: "now", x1: x(now), x2: x(now), y1: top, y2: top + tall }));
  }
  holder.replaceChildren(svg);
  return { peak, minutes: step / MINUTE };
}
