// Messages as lines: when, who, what, with files, reactions and marks.

import { h } from "./dom.js";
import { clock, dayTime, size } from "./words.js";

const ADDRESS = /https?:\/\/[^\s<>"'`)\]]+/g;

// Addresses in a text become links; the rest stays text.
export function linked(text) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(ADDRESS)) {
    parts.push(text.slice(end, found.index), outside(found[0], found[0]));
    end = found.index + found[0].length;
  }
  return [...parts, text.slice(end)];
}

export function outside(address, text, className) {
  // Only what a browser opens as a page: never javascript: or data:.
  if (!/^https?:\/\//i.test(address)) return text;
  return h("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow", class: className }, text);
}

export function whoOf(message) {
  return message.driver || message.author_nickname || message.author_name || "unknown";
}

function extras(message) {
  const files = (message.attachments || []).map((file) =>
    h("li", { class: "file" }, outside(file.url || "", file.file_name || "file"), " ", h("span", { class: "muted" }, size(file.size_bytes))));
  const reactions = (message.reactions || []).map((each) =>
    h("li", { class: "reaction" }, `${/^\w{2,}$/.test(each.emoji) ? `:${each.emoji}:` : each.emoji} ${each.count}`));
  const marks = [
    message.edited_at && h("li", { class: "mark-edited", title: `Edited ${dayTime(message.edited_at, true)}` }, "edited"),
    message.deleted_at && h("li", { class: "mark-deleted" }, `deleted ${dayTime(message.deleted_at, true)}`),
    message.is_pinned && h("li", {}, "pinned"),
    message.is_highlight_candidate && h("li", { class: "mark-highlight" }, "highlight"),
  ].filter(Boolean);
  const all = [...files, ...reactions, ...marks];
  return all.length ? h("ul", { class: "extras" }, all) : null;
}

// One line; `snippet` is in pieces, those that match marked.
export function messageLine(message, { withDay = false, snippet, isEarlier = false, isNew = false, channel } = {}) {
  const text = message.shown_text || message.raw_content;
  const words = snippet
    ? snippet.map((part) => (part.is_match ? h("mark", {}, part.text) : part.text))
    : linked(text);
  const moment = withDay ? dayTime(message.posted_at, true) : clock(message.posted_at, true);
  return h("li", { class: isNew ? "new" : undefined },
    h("a", { class: "when", href: `#/message/${message.discord_id}`, "data-line": true, "aria-label": `${moment}, ${whoOf(message)}: open` },
      h("time", { datetime: message.posted_at }, moment)),
    h("span", { class: "who" }, whoOf(message), channel && h("span", { class: "muted in-channel" }, ` in #${channel}`)),
    h("div", { class: "text" }, isEarlier ? h("span", { class: "muted" }, "Before an edit: ") : null, words, snippet ? null : extras(message)));
}

export function messageList(label, withDay) {
  return h("ol", { class: withDay ? "messages with-day" : "messages", "aria-label": label });
}
