// Messages with filters: words go to the search, the rest to the list; the filters stand in the address.

import { ask, query } from "./api.js";
import { card, empty, h, paged, put } from "./dom.js";
import { listen } from "./live.js";
import { messageLine, messageList } from "./message-list.js";
import { dayTime } from "./words.js";

const PAGE = 50;
const KINDS = [["", "anything"], ["radio", "team radio"], ["setup", "trade setups"], ["clip", "clips"], ["highlight", "highlights"]];

function field(label, control) {
  return h("label", { class: "field" }, h("span", {}, label), control);
}

function select(name, options, value) {
  return h("select", { name }, options.map(([key, words]) => h("option", { value: key, selected: key === (value || "") }, words)));
}

// "2026-09-06T15:00" of whoever looks, and back.
function toMoment(text) {
  return text ? new Date(text).toISOString() : "";
}

function completenessOf(channels) {
  const open = channels.filter((each) => each.gaps || !each.proven_until);
  if (!channels.length) return "";
  if (open.length) return `Not proven complete: ${open.length} of ${channels.length} ${channels.length === 1 ? "channel" : "channels"}.`;
  return `Proven complete until ${dayTime(channels.map((each) => each.proven_until).sort()[0])}.`;
}

function formOf(asked, { channels, names, isSearch }) {
  const channel = channels.length > 1 && field("Channel", select("channel_id", [["", "all"], ...channels.map((each) => [each, names.get(each) ? `#${names.get(each)}` : each])], asked.channel_id));
  const words = h("input", { type: "search", name: "q", maxlength: 1000, value: asked.q, placeholder: 'box AND (tyres OR "soft tyre") -quali', "aria-label": "Words to search for", autocomplete: "off" });
  return h("form", { class: "filters", role: "search" },
    h("div", { class: "row" }, words, h("button", {}, isSearch ? "Search" : "Show")),
    h("details", { open: ["driver", "since", "until", "as_of", "kind", "channel_id", "has_file", "revisions"].some((each) => asked[each]) },
      h("summary", {}, "Filters"),
      h("div", { class: "fields" },
        field("Driver", h("input", { name: "driver", value: asked.driver, maxlength: 200 })), channel,
        isSearch && field("Holds", select("kind", KINDS, asked.kind)),
        field("Posted from", h("input", { type: "datetime-local", name: "since", value: asked.since })),
        field("Posted before", h("input", { type: "datetime-local", name: "until", value: asked.until })),
        !isSearch && field("As it stood at", h("input", { type: "datetime-local", name: "as_of", value: asked.as_of })),
        isSearch && h("label", { class: "check" }, h("input", { type: "checkbox", name: "has_file", checked: asked.has_file }), " with a file"),
        isSearch && h("label", { class: "check" }, h("input", { type: "checkbox", name: "revisions", checked: asked.revisions }), " also what was edited away"))));
}

function filtersOf(asked) {
  const { q, since, until, as_of: asOf, ...rest } = asked;
  return { ...rest, since: toMoment(since), until: toMoment(until), ...(q ? { q } : { as_of: toMoment(asOf) }) };
}

// A form and what it finds. `fixed` are filters that stay, such as the session.
export async function messagesWithFilters(fixed, { asked, signal, base, names, channels = [], isSearch = false }) {
  const form = formOf(asked, { channels, names, isSearch });
  const wanted = { ...filtersOf(asked), ...fixed };
  const isFound = Boolean(wanted.q);
  const note = h("p", { class: "muted", role: "status" });
  const line = isFound
    ? ({ message, snippet, is_earlier: isEarlier }) => messageLine(message, { withDay: true, isEarlier, snippet, channel: fixed.channel_id ? "" : names.get(message.channel_id) })
    : (message) => messageLine(message, { withDay: true });
  let shown = 0;
  const load = async (cursor) => {
    const page = await ask(isFound ? "search" : "messages", { ...wanted, limit: PAGE, cursor }, signal);
    shown += page.items.length;
    if (isFound) put(note, `${shown}${page.next_cursor ? " newest" : ""} found. ${completenessOf(page.completeness)}`);
    return { lines: page.items.map(line), next: page.next_cursor };
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = query(Object.fromEntries(new FormData(form)));
    location.hash = given ? `${base}?${given}` : base;
  });
  if (isSearch && !isFound) return h("div", { class: "stack" }, form, empty("Search in all messages", "Words, \"phrases\", prefix*, AND, OR, NOT and -word; case and accents make no difference."));
  const results = await found(load, isFound);
  const fresh = h("button", { type: "button", class: "fresh", hidden: true, onclick: () => dispatchEvent(new HashChangeEvent("hashchange")) }, "New messages: show");
  listen("changes", signal, (changed) => {
    const isMine = fixed.session_id ? changed.session_ids.includes(fixed.session_id) : changed.channel_ids.includes(fixed.channel_id);
    if (isMine && !asked.as_of) fresh.hidden = false;
  });
  return h("div", { class: "stack" }, form, h("div", { class: "fresh-holder" }, fresh), card(isFound ? "Found, newest first" : "Messages, newest first", note, results));
}

async function found(load, isFound) {
  try {
    const first = await load();
    const list = messageList("Messages, newest first", true);
    if (!first.lines.length) return isFound ? empty("Nothing found", "Try fewer words, or a prefix such as tyre*.") : empty("No message here", "None is stored that fits.");
    return paged(list, first, load);
  } catch (error) {
    if (error.status !== 422) throw error;
    return h("p", { class: "problem", role: "alert" }, error.message);
  }
}
