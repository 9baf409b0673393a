// All sessions: live, coming, past.

import { ask } from "./api.js";
import { badge, card, empty, h, heading, paged } from "./dom.js";
import { coverageBar } from "./coverage.js";
import { latestStatus, listen } from "./live.js";
import { day, detailsOf, clock, nameOf, range, share, span } from "./words.js";

const PAST = 20;
const COMING = 5;

function proof(session) {
  const percent = share(session.proven_seconds, session.elapsed_seconds);
  if (percent === null) return h("span", { class: "proof" });
  const tone = percent === 100 ? "good" : percent > 0 ? "warn" : "bad";
  const bar = h("progress", { max: 100, value: percent, "aria-label": "Proven complete" });
  return h("span", { class: `proof ${tone}`, title: "Proven complete" }, bar, h("span", { class: "number" }, `${percent} %`));
}

function sessionLine(session) {
  const start = session.start_time;
  return h("li", {}, h("a", { class: "session-line", href: `#/session/${encodeURIComponent(session.session_id)}`, "data-line": true },
    h("time", { class: "when", datetime: start }, h("span", {}, day(start)), h("span", { class: "muted" }, clock(start))),
    h("span", { class: "what" }, h("span", { class: "name" }, nameOf(session)), h("span", { class: "muted" }, detailsOf(session))),
    session.messages === null ? h("span", {}) : h("span", { class: "amount" }, h("span", { class: "number" }, session.messages.toLocaleString()), h("span", { class: "muted" }, session.messages === 1 ? " message" : " messages")),
    proof(session)));
}

function comingLine(session, now) {
  const wait = span((Date.parse(session.start_time) - now) / 1_000);
  const line = sessionLine(session);
  line.querySelector(".proof").replaceWith(h("span", { class: "proof muted" }, `in ${wait}`));
  return line;
}

function liveCard(progress) {
  const { session } = progress;
  const percent = share(progress.proven_seconds, progress.elapsed_seconds) ?? 100;
  return h("a", { class: "card live-card", href: `#/session/${encodeURIComponent(session.session_id)}`, "data-line": true },
    h("span", { class: "eyebrow" }, badge("live"), h("span", {}, range(session.start_time, session.end_time))),
    h("span", { class: "live-name" }, nameOf(session)),
    h("span", { class: "muted" }, detailsOf(session)),
    coverageBar(progress),
    h("span", { class: "live-figures" },
      h("span", {}, h("b", {}, progress.messages.toLocaleString()), " messages"),
      h("span", {}, h("b", {}, `${percent} %`), " proven"),
      h("span", {}, h("b", {}, progress.lag_seconds ? span(progress.lag_seconds) : "no"), " lag")));
}

async function page(state, cursor) {
  const newest = state !== "upcoming";
  const limit = state === "upcoming" ? 25 : PAST;
  const found = await ask("sessions", { state, newest, progress: state === "finished", limit, cursor });
  return { items: found.items, next: found.next_cursor };
}

function pageOf(state, first, now) {
  const line = (each) => (state === "upcoming" ? comingLine(each, now) : sessionLine(each));
  return paged(h("ol", { class: "sessions", "aria-label": `${state} sessions` }), { lines: first.items.map(line), next: first.next },
    async (cursor) => { const more = await page(state, cursor); return { lines: more.items.map(line), next: more.next }; });
}

function showLive(holder, status) {
  holder.hidden = !status.live.length;
  holder.replaceChildren(...status.live.map(liveCard));
}

export async function showSessions({ params, signal }) {
  const only = params[0];
  const status = latestStatus() || (await ask("status"));
  const now = Date.parse(status.as_of);
  if (only) {
    const words = { upcoming: "Coming sessions", cancelled: "Cancelled sessions" }[only] || "Past sessions";
    const found = await page(only, null);
    return h("div", {}, heading(words, { path: [h("nav", { class: "crumbs", "aria-label": "Path" }, h("a", { href: "#/" }, "Sessions"))] }),
      found.items.length ? card("By date", null, pageOf(only, found, now)) : empty("There is none."));
  }
  const [coming, past, cancelled] = await Promise.all([
    ask("sessions", { state: "upcoming", limit: COMING }), page("finished", null), ask("sessions", { state: "cancelled", limit: 1 }),
  ]);
  const holder = h("div", { class: "live-cards" });
  showLive(holder, status);
  listen("status", signal, (found) => showLive(holder, found));
  const view = h("div", {}, heading("Sessions"), holder);
  if (coming.items.length) {
    const all = coming.next_cursor && h("a", { href: "#/sessions/upcoming" }, "All coming sessions");
    view.append(card("Coming", all, h("ol", { class: "sessions", "aria-label": "Coming sessions" }, coming.items.map((each) => comingLine(each, now)))));
  }
  if (past.items.length) {
    const note = cancelled.items.length && h("a", { href: "#/sessions/cancelled" }, "Cancelled sessions");
    view.append(card("Past", note || null, pageOf("finished", past, now)));
  }
  if (!status.live.length && !coming.items.length && !past.items.length) view.append(await nothing());
  return view;
}

async function nothing() {
  return h("section", { class: "card" }, empty("No session yet",
    ["Add one to ", h("code", {}, "data/sessions.yaml"), ", or with ", h("code", {}, "ingest sessions add"), "."],
    ["What was imported without a session is under ", h("a", { href: "#/channels" }, "Channels"), "."]));
}

