// One session: what is proven of it, its messages, what was found in them, its report and files.

import { ask, channelNames, fileLink, query } from "./api.js";
import { drawChart } from "./chart.js";
import { coverageBar, gapTable, legend, scale } from "./coverage.js";
import { badge, card, crumbs, empty, h, heading, put, shape, tabs } from "./dom.js";
import { latestStatus, listen, seldom } from "./live.js";
import { messageLine, messageList } from "./message-list.js";
import { showFound } from "./view-found.js";
import { messagesWithFilters } from "./view-messages.js";
import { clock, detailsOf, nameOf, range, share, span } from "./words.js";

const LAST_MESSAGES = 14;
const DRIVERS = 12;
const ACTIVITY_MILLISECONDS = 40_000;
const FORMATS = [
  ["csv", "CSV", "for spreadsheets; import ids as text"],
  ["parquet", "Parquet", "for pandas, polars and DuckDB; keeps every type"],
  ["json", "JSON", "one object a line, ids as strings"],
  ["html", "Web page", "to read and to print"],
];

function head(progress, kinds, shown) {
  const { session } = progress;
  const base = `#/session/${encodeURIComponent(session.session_id)}`;
  const scheduled = session.scheduled_end ? ` (${clock(session.scheduled_end)} as scheduled)` : "";
  const links = [
    { text: "Overview", address: base, isShown: shown === "" },
    { text: "Messages", address: `${base}/messages`, isShown: shown === "messages", count: progress.messages },
    ...kinds.map((kind) => ({ text: kind.title, address: `${base}/${kind.path}`, isShown: shown === kind.path, count: kind.messages })),
    { text: "Report and files", address: `${base}/files`, isShown: shown === "files" },
  ];
  return [
    heading(nameOf(session), {
      path: crumbs(["Sessions", "#/"]),
      eyebrow: [badge(session.state), h("span", {}, range(session.start_time, session.end_time) + scheduled)],
      subtitle: detailsOf(session),
    }),
    tabs("Of this session", links),
  ];
}

function tile(label) {
  const figure = h("p", { class: "figure" }, "–"), note = h("p", { class: "muted" });
  return { element: h("div", { class: "tile" }, h("p", { class: "label" }, label), figure, note),
    show: (text, more) => { put(figure, text); put(note, more || "\u00a0"); } };
}

function tiles() {
  const proven = tile("Proven complete"), lag = tile("Lag"), count = tile("Messages"), gaps = tile("Not proven");
  return {
    element: h("section", { class: "tiles", "aria-label": "Key figures" }, [proven, gaps, lag, count].map((each) => each.element)),
    show(progress, now) {
      const percent = share(progress.proven_seconds, progress.elapsed_seconds);
      proven.show(percent === null ? "–" : `${percent} %`, percent === null ? "it has not begun" : `${span(progress.proven_seconds)} of ${span(progress.elapsed_seconds)}`);
      const open = progress.elapsed_seconds - progress.proven_seconds;
      gaps.show(open ? span(open) : "nothing", open ? `in ${progress.missing.length === 1 ? "one range" : `${progress.missing.length} ranges`}` : "");
      lag.show(progress.lag_seconds ? span(progress.lag_seconds) : "none", progress.session.state === "live" ? "behind the present" : "at its end");
      const left = (Date.parse(progress.session.end_time) - now) / 1_000;
      count.show(progress.messages.toLocaleString(), progress.session.state === "live" ? `${span(left)} to go` : "in this session");
    },
  };
}

function driverRows(drivers) {
  const most = Math.max(1, ...drivers.map((each) => each.messages));
  if (!drivers.length) return [h("tr", {}, h("td", { colspan: 3, class: "muted" }, "Nobody was named yet."))];
  return drivers.slice(0, DRIVERS).map((each) => h("tr", {},
    h("td", {}, each.driver, shape("svg", { class: "share", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" },
      shape("rect", { width: 100, height: 4, rx: 2 }), shape("rect", { width: (100 * each.messages) / most, height: 4, rx: 2 }))),
    h("td", { class: "number" }, each.messages.toLocaleString()),
    h("td", { class: "number" }, clock(each.last_posted_at, true))));
}

function driversCard(body) {
  return card("Drivers", null, h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Driver"),
    h("th", { scope: "col", class: "number" }, "Messages"), h("th", { scope: "col", class: "number" }, "Last"))), body));
}

async function overview(id, progress, signal) {
  const path = `sessions/${encodeURIComponent(id)}`;
  const [activity, messages, gaps] = await Promise.all([
    ask(`${path}/activity`), ask("messages", { session_id: id, limit: LAST_MESSAGES }), ask(`${path}/gaps`),
  ]);
  const now = () => Date.parse(latestStatus()?.as_of || new Date().toISOString());
  const figures = tiles();
  const bar = h("div", {}, coverageBar(progress));
  const gapHolder = h("div", { class: "gaps" });
  const chart = h("div", { class: "chart" }), note = h("p", { class: "muted" });
  const list = messageList("Last messages, newest first");
  const drivers = h("tbody");
  const base = `#/session/${encodeURIComponent(id)}`;
  let shown = activity;
  const draw = () => {
    const drawn = drawChart(chart, shown.minutes, progress.session, now());
    put(note, drawn.peak ? `at most ${drawn.peak} in ${drawn.minutes === 1 ? "a minute" : `${drawn.minutes} minutes`}` : "no message yet");
    drivers.replaceChildren(...driverRows(shown.drivers));
  };
  const showGaps = (items) => gapHolder.replaceChildren(...(items.length ? [h("h3", {}, "Gaps"), gapTable(items)] : []));
  figures.show(progress, now());
  showGaps(gaps.items);
  list.append(...(messages.items.length ? messages.items.map((each) => messageLine(each)) : [h("li", { class: "empty" }, "No message yet.")]));
  const again = seldom(ACTIVITY_MILLISECONDS, signal, async () => {
    shown = await ask(`${path}/activity`, null, signal);
    draw();
    showGaps((await ask(`${path}/gaps`, null, signal)).items);
  });
  const messagesAgain = seldom(3_000, signal, async () => {
    const found = await ask("messages", { session_id: id, limit: LAST_MESSAGES }, signal);
    list.replaceChildren(...found.items.map((each) => messageLine(each)));
  });
  listen("status", signal, (status) => {
    const found = [...status.live, status.latest].find((each) => each?.session.session_id === id);
    if (!found) return;
    figures.show(found, Date.parse(status.as_of));
    bar.replaceChildren(coverageBar(found));
  });
  listen("changes", signal, (found) => {
    if (found.session_ids.length && !found.session_ids.includes(id)) return;
    again();
    const mine = found.messages.filter((each) => each.session_id === id);
    if (!found.is_complete || Object.keys(found.counts || {}).some((each) => each !== "created" && each !== "content")) { messagesAgain(); return; }
    // Counted here, so that two hundred pages need not all ask for the same numbers at once.
    shown.minutes.push(...mine.map((each) => ({ minute: each.posted_at, messages: 1 })));
    draw();
    list.querySelector(".empty")?.remove();
    list.prepend(...mine.reverse().map((each) => messageLine(each, { isNew: true })));
    while (list.children.length > LAST_MESSAGES) list.lastChild.remove();
  });
  const view = h("div", { class: "stack" }, figures.element,
    card("Coverage", legend(), bar, scale(progress.session.start_time, progress.session.end_time), gapHolder),
    card("Messages per minute", note, chart),
    h("div", { class: "columns" },
      card("Last messages", h("a", { href: `${base}/messages` }, "All messages"), list), driversCard(drivers)));
  draw();
  requestAnimationFrame(draw); // its width is known once it is shown
  addEventListener("resize", draw, { signal });
  return view;
}

function files(id) {
  const report = fileLink(h("a", { class: "button", target: "_blank", rel: "noopener" }, "Open the report"), `sessions/${encodeURIComponent(id)}/report`);
  return h("div", { class: "stack" },
    card("Report", null, h("p", {}, "Everything about this session on one page, as it stands now: to read, to print, to send."), h("p", { class: "actions" }, report)),
    card("Messages as a file", null, h("ul", { class: "files" }, FORMATS.map(([format, name, words]) =>
      h("li", {}, fileLink(h("a", { download: `${id}.${format}`, "data-line": true }, name), `export?${query({ session_id: id, format })}`, `${id}.${format}`), h("span", { class: "muted" }, words))))));
}

export async function showSession({ params: [id, shown = ""], query: asked, signal }) {
  const [progress, kinds, names] = await Promise.all([
    ask(`sessions/${encodeURIComponent(id)}/coverage`), ask("kinds", { session_id: id }), channelNames(),
  ]);
  const kind = kinds.items.find((each) => each.path === shown);
  const view = h("div", {}, head(progress, kinds.items, shown));
  if (kind) view.append(await showFound(kind, { session_id: id }));
  else if (shown === "messages") view.append(await messagesWithFilters({ session_id: id }, { asked, signal, base: `#/session/${encodeURIComponent(id)}/messages`, names, channels: progress.session.channel_ids }));
  else if (shown === "files") view.append(files(id));
  else if (shown === "") view.append(await overview(id, progress, signal));
  else view.append(empty("There is nothing under this address."));
  return Object.assign(view, { pageTitle: `${progress.session.state === "live" ? "● " : ""}${nameOf(progress.session)}` });
}

