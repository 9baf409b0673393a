// Channels, with those that no session has, and one channel: its messages and gaps.

import { ask, channelNames } from "./api.js";
import { gapTable } from "./coverage.js";
import { card, crumbs, empty, h, heading, put, tabs } from "./dom.js";
import { messagesWithFilters } from "./view-messages.js";
import { dayTime, plain } from "./words.js";

const SHOWN = 50;
const ACCESS = { readable: "", no_history: "history not readable", forbidden: "not visible to the bot", missing: "gone from Discord" };
const SINCE = [[1, "day"], [7, "7 days"], [30, "30 days"], [365, "year"], [0, "ever"]];

function lineOf(channel, sessions) {
  const count = sessions.get(channel.channel_id) || 0;
  const marks = [channel.is_monitored && "monitored", ACCESS[channel.reading_state], channel.is_archived && "archived"].filter(Boolean);
  return h("li", {}, h("a", { class: "channel-line", href: `#/channel/${channel.channel_id}`, "data-line": true },
    h("span", { class: "what" }, h("span", { class: "name" }, `#${channel.name}`), h("span", { class: "muted" }, [plain(channel.channel_type), ...marks].join(" · "))),
    h("span", { class: "muted" }, count ? `${count} ${count === 1 ? "session" : "sessions"}` : "no session"),
    h("span", { class: "amount" }, h("span", { class: "number" }, channel.message_count.toLocaleString()), h("span", { class: "muted" }, channel.message_count === 1 ? " message" : " messages")),
    h("span", { class: "last muted" }, channel.last_activity_at ? dayTime(channel.last_activity_at) : "")));
}

function searchable(channels, sessions) {
  const list = h("ol", { class: "channels", "aria-label": "Channels" });
  const more = h("button", { type: "button", class: "plain more" });
  const note = h("p", { class: "muted", role: "status" });
  const words = h("input", { type: "search", "aria-label": "Part of a channel's name", placeholder: "Part of a name" });
  const only = h("input", { type: "checkbox" });
  let most = SHOWN;
  const show = () => {
    const text = words.value.trim().toLowerCase();
    const fitting = channels.filter((each) => each.name.toLowerCase().includes(text) && (!only.checked || !sessions.has(each.channel_id)));
    list.replaceChildren(...fitting.slice(0, most).map((each) => lineOf(each, sessions)));
    more.hidden = fitting.length <= most;
    put(more, `Show more of ${fitting.length.toLocaleString()}`);
    put(note, fitting.length ? "" : "No channel has this in its name.");
  };
  more.addEventListener("click", () => { most += SHOWN; show(); });
  for (const each of [words, only]) each.addEventListener("input", () => { most = SHOWN; show(); });
  show();
  return [h("form", { class: "filters", onsubmit: (event) => event.preventDefault() }, h("div", { class: "row" }, words, h("label", { class: "check" }, only, " without a session"))), note, list, more];
}

export async function showChannels() {
  const [found, guilds, all] = await Promise.all([ask("channels"), ask("guilds"), ask("sessions")]);
  const sessions = new Map();
  for (const id of all.items.flatMap((each) => each.channel_ids)) sessions.set(id, (sessions.get(id) || 0) + 1);
  const view = h("div", {}, heading("Channels"));
  if (!found.items.length) view.append(h("section", { class: "card" }, empty("No channel yet", "Import an export, or run the bot: channels appear with their messages.")));
  const holding = (each) => each.message_count > 0 || each.is_monitored || sessions.has(each.channel_id);
  for (const guild of guilds.items) {
    const own = found.items.filter((each) => each.guild_id === guild.guild_id && each.channel_type !== "category");
    own.sort((first, second) => holding(second) - holding(first) || second.message_count - first.message_count);
    if (own.length) view.append(card(guild.name, h("p", { class: "muted" }, `${own.length} channels`), searchable(own, sessions)));
  }
  return view;
}

async function gapsCard(channel, asked) {
  const days = Number(asked.days ?? 7);
  const since = days ? new Date(Date.now() - days * 86_400_000).toISOString() : "2015-01-01T00:00:00Z";
  const gaps = await ask(`channels/${channel.channel_id}/gaps`, { since });
  const choice = h("select", { "aria-label": "Since when", onchange: (event) => { location.hash = `#/channel/${channel.channel_id}/gaps?days=${event.target.value}`; } },
    SINCE.map(([value, words]) => h("option", { value, selected: value === days }, `last ${words}`.replace("last ever", "ever"))));
  return card("What is not proven", choice, gaps.items.length ? gapTable(gaps.items) : empty("Nothing is missing", "Everything in this time is proven complete."));
}

export async function showChannel({ params: [id, shown = ""], query: asked, signal }) {
  const names = await channelNames();
  const channel = await ask(`channels/${encodeURIComponent(id)}`).catch((error) => {
    if (error.status !== 404) throw error;
    return { channel_id: id, name: id, channel_type: "unknown to the catalogue", message_count: null };
  });
  const base = `#/channel/${encodeURIComponent(id)}`;
  const title = channel.name === id ? `Channel ${id}` : `#${channel.name}`;
  const content = shown === "gaps" ? await gapsCard(channel, asked) : await messagesWithFilters({ channel_id: id }, { asked, signal, base, names });
  const subtitle = [plain(channel.channel_type), channel.is_monitored && "monitored", ACCESS[channel.reading_state], `id ${id}`].filter(Boolean).join(" · ");
  return Object.assign(h("div", {}, heading(title, { path: crumbs(["Channels", "#/channels"]), subtitle }),
    tabs("Of this channel", [
      { text: "Messages", address: base, isShown: shown === "", count: channel.message_count },
      { text: "Gaps", address: `${base}/gaps`, isShown: shown === "gaps" },
      { text: "Settings", address: `#/settings?channel_id=${id}` },
    ]), content), { pageTitle: title });
}
