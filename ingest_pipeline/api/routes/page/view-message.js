// One message: what it says, where it stands, and its journey; or the journey of a batch.

import { ask, channelNames } from "./api.js";
import { badge, card, crumbs, h, heading } from "./dom.js";
import { linked, messageLine, outside, whoOf } from "./message-list.js";
import { dayTime, exactSpan, plain, shown } from "./words.js";

const TONES = { completed: "good", stored: "good", failed: "bad", deleted: "bad", started: "warn", received: "warn" };
const WORDS = { completed: "done", started: "unfinished" };

export function statusBadge(status) {
  return badge(TONES[status] || "", WORDS[status] || status);
}

function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) =>
    h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function stagesCard(journey) {
  const lines = journey.stages.map((stage, place) => h("li", {},
    h("span", { class: "when" }, h("time", { datetime: stage.at }, dayTime(stage.at, true)), place > 0 && h("span", { class: "muted" }, `+ ${exactSpan(stage.seconds)}`)),
    h("span", { class: "what" }, h("span", { class: "name" }, plain(stage.name)), h("span", { class: "muted" }, stage.source)),
    h("span", { class: "text" }, shown(stage.data), stage.correlation_id && stage.correlation_id !== journey.identifier
      ? [" ", h("a", { href: `#/journey/${encodeURIComponent(stage.correlation_id)}` }, "its journey")] : null)));
  return card("Journey", statusBadge(journey.status), h("ol", { class: "stages" }, lines));
}

export async function showMessage({ params: [id] }) {
  const [message, names] = await Promise.all([ask(`messages/${encodeURIComponent(id)}`), channelNames()]);
  const journey = await ask(`trace/${encodeURIComponent(id)}`);
  const channel = names.get(message.channel_id) ? `#${names.get(message.channel_id)}` : message.channel_id;
  const place = message.guild_id && `https://discord.com/channels/${message.guild_id}/${message.channel_id}/${message.discord_id}`;
  const own = messageLine({ ...message, shown_text: message.shown_text || message.message_text }, { withDay: true });
  const path = message.session_id
    ? crumbs(["Sessions", "#/"], [message.session_id, `#/session/${encodeURIComponent(message.session_id)}/messages`])
    : crumbs(["Channels", "#/channels"], [channel, `#/channel/${message.channel_id}`]);
  return Object.assign(h("div", {}, heading(`Message of ${whoOf(message)}`, { path, eyebrow: [statusBadge(journey.status), h("time", { datetime: message.posted_at }, dayTime(message.posted_at, true))] }),
    h("div", { class: "stack" },
      card("What it says", place && outside(place, "Open in Discord"), h("div", { class: "words" }, linked(message.shown_text || message.raw_content)), own.querySelector(".extras")),
      card("Facts", null, facts([
        ["Channel", h("a", { href: `#/channel/${message.channel_id}` }, channel)],
        ["Session", message.session_id && h("a", { href: `#/session/${encodeURIComponent(message.session_id)}` }, message.session_id)],
        ["Author", [message.author_nickname, message.author_name && `(${message.author_name})`, message.author_is_bot ? "bot" : ""].filter(Boolean).join(" ")],
        ["Driver", message.driver],
        ["Answers", message.reference_id && h("a", { href: `#/message/${message.reference_id}` }, message.reference_id)],
        ["Id", message.discord_id], ["Type", message.message_type],
        ["Edited", message.edited_at && dayTime(message.edited_at, true)], ["Deleted", message.deleted_at && dayTime(message.deleted_at, true)],
        ["Last read", `${dayTime(message.observed_at, true)}, first by ${message.source}`],
      ])),
      stagesCard(journey))), { pageTitle: `Message of ${whoOf(message)}` });
}

export async function showJourney({ params: [id] }) {
  const journey = await ask(`trace/${encodeURIComponent(id)}`);
  const subtitle = [journey.messages === 1 ? "1 message has its content from it" : `${journey.messages.toLocaleString()} messages have their content from it`,
    journey.run_id && `Dagster run ${journey.run_id}`].filter(Boolean).join(" · ");
  return Object.assign(h("div", {}, heading(id, { path: crumbs(["Journeys", "#/journeys"]), eyebrow: statusBadge(journey.status), subtitle }),
    h("div", { class: "stack" }, journey.message && card("Message", null, h("ol", { class: "messages with-day" }, messageLine(journey.message, { withDay: true }))), stagesCard(journey))),
  { pageTitle: `Journey ${id}` });
}
