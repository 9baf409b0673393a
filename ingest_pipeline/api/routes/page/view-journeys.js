// Journeys of batches, and events.

import { ask } from "./api.js";
import { card, empty, h, heading, paged, tabs } from "./dom.js";
import { statusBadge } from "./view-message.js";
import { dayTime, exactSpan, plain, shown } from "./words.js";

const STATES = [["", "All"], ["failed", "Failed"], ["started", "Unfinished"], ["completed", "Done"]];
const SUBJECTS = [["", "All"], ["bot:startup", "Bot"], ["ingestion:batch", "Batches"], ["discord:message", "Messages"], ["system", "System"]];

async function listed(title, label, path, filters, line) {
  const load = async (cursor) => {
    const page = await ask(path, { ...filters, limit: 50, cursor });
    return { lines: page.items.map(line), next: page.next_cursor };
  };
  const first = await load();
  if (!first.lines.length) return h("section", { class: "card" }, empty("Nothing of this kind", "Events are kept for some weeks; older ones are forgotten."));
  return card(title, null, paged(h("ol", { class: "happenings", "aria-label": label }), first, load));
}

function journeyLine(each) {
  const seconds = (Date.parse(each.last_event_at) - Date.parse(each.started_at)) / 1_000;
  const figures = [each.created && `${each.created.toLocaleString()} new`, each.updated && `${each.updated.toLocaleString()} changed`].filter(Boolean);
  return h("li", {}, h("a", { class: "happening", href: `#/journey/${encodeURIComponent(each.correlation_id)}`, "data-line": true },
    h("time", { class: "when", datetime: each.started_at }, dayTime(each.started_at, true)),
    statusBadge(each.status),
    h("span", { class: "what" }, h("span", { class: "name" }, [plain(each.source), each.session_id].filter(Boolean).join(" · ")),
      h("span", { class: each.error ? "problem-text" : "muted" }, each.error || figures.join(", ") || (each.status === "started" ? "runs, or was cut off" : "nothing new"))),
    h("span", { class: "muted number" }, each.status === "started" ? "" : exactSpan(seconds))));
}

export async function showJourneys({ query: asked }) {
  const links = STATES.map(([state, words]) => ({ text: words, address: state ? `#/journeys?status=${state}` : "#/journeys", isShown: (asked.status || "") === state }));
  return h("div", {}, heading("Journeys", { subtitle: "What was read and merged, batch by batch." }), tabs("States", links),
    await listed("Newest first", "Journeys", "journeys", { status: asked.status }, journeyLine));
}

function eventLine(each) {
  const address = each.message_id ? `#/message/${each.message_id}` : `#/journey/${encodeURIComponent(each.correlation_id)}`;
  const isBad = each.event_type.endsWith(".failed") || each.channel === "system" || each.event_type === "bot.disconnected";
  return h("li", {}, h("a", { class: "happening", href: address, "data-line": true },
    h("time", { class: "when", datetime: each.created_at }, dayTime(each.created_at, true)),
    h("span", { class: isBad ? "badge bad" : "badge" }, each.event_type),
    h("span", { class: "what" }, h("span", { class: "name" }, [plain(each.source), each.session_id].filter(Boolean).join(" · ")),
      h("span", { class: "muted" }, shown(each.data))),
    h("span", {})));
}

export async function showEvents({ query: asked }) {
  const links = SUBJECTS.map(([channel, words]) => ({ text: words, address: channel ? `#/events?channel=${encodeURIComponent(channel)}` : "#/events", isShown: (asked.channel || "") === channel }));
  return h("div", {}, heading("Events", { subtitle: "What the bot, the batches and the system reported." }), tabs("Subjects", links),
    await listed("Newest first", "Events", "events", { channel: asked.channel, event_type: asked.event_type }, eventLine));
}
