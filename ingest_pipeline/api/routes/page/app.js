// The page: addresses lead to views, the header shows how everything is.

import { ask } from "./api.js";
import { empty, h, heading, put } from "./dom.js";
import { useKeys } from "./keys.js";
import { connect, disconnect, live } from "./live.js";
import { showChannel, showChannels } from "./view-channels.js";
import { showEvents, showJourneys } from "./view-journeys.js";
import { showJourney, showMessage } from "./view-message.js";
import { showSearch } from "./view-search.js";
import { showSession } from "./view-session.js";
import { showSessions } from "./view-sessions.js";
import { showSettings } from "./view-settings.js";
import { clock, dayTime } from "./words.js";

const VIEWS = {
  "": [showSessions, "sessions", "Sessions"], sessions: [showSessions, "sessions", "Sessions"],
  session: [showSession, "sessions", "Session"], search: [showSearch, "search", "Search"],
  message: [showMessage, "", "Message"], channels: [showChannels, "channels", "Channels"],
  channel: [showChannel, "channels", "Channel"], journeys: [showJourneys, "journeys", "Journeys"],
  journey: [showJourney, "journeys", "Journey"], events: [showEvents, "events", "Events"],
  settings: [showSettings, "settings", "Settings"],
};
const TONES = {
  reading: "good", idle: "", late: "warn", failing: "bad", connected: "good", waiting: "warn", token: "warn",
  ready: "good", started: "warn", disconnected: "bad", lost: "bad", stopped: "", unknown: "",
};
const WORDS = { reading: "on time", unknown: "not running", started: "connecting", ready: "connected", token: "needs a token" };
const byId = (id) => document.getElementById(id);
let turn = new AbortController();
const RETRY_MILLISECONDS = 3_000;
let isFirst = true;

function chip(name, state) {
  put(byId(name), WORDS[state] || state);
  byId(`chip-${name}`).className = `chip ${TONES[state] || ""}`;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

// "#/session/2026-monza/messages?q=box"; "#q=box" is how a search was kept before.
function addressed() {
  if (location.hash.startsWith("#q=")) history.replaceState(null, "", `#/search?${location.hash.slice(1)}`);
  const [path, asked = ""] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [name, ...params] = path.split("/").map(decoded);
  return { name, params, query: Object.fromEntries(new URLSearchParams(asked)) };
}

function tokenForm() {
  const field = h("input", { id: "token", type: "password", autocomplete: "current-password", required: true });
  const note = h("p", { role: "status" });
  const given = async (event) => {
    event.preventDefault();
    sessionStorage.setItem("token", field.value);
    try {
      await ask("status");
      connect();
      show();
    } catch (error) {
      put(note, error.message);
      field.select();
    }
  };
  return h("form", { id: "token-form", class: "notice", onsubmit: given },
    h("label", { for: "token" }, "Reading needs a token (", h("code", {}, "INGEST_API_READ_TOKEN"), ")"),
    h("span", { class: "row" }, field, h("button", {}, "Show")), note);
}

function nowhere(title, ...words) {
  return h("div", {}, heading(title), h("section", { class: "card", "aria-label": "What to do" }, empty("", ...words)));
}

function problem(error) {
  if (error.status === 404) return nowhere("There is nothing here", error.message, h("a", { href: "#/" }, "All sessions"));
  if (error.status === 401) return h("div", {}, heading("A token is needed"), tokenForm());
  // The database is busy, or the search index is behind: that ends by itself.
  const again = error.status === 503 ? setTimeout(show, RETRY_MILLISECONDS) : 0;
  turn.signal.addEventListener("abort", () => clearTimeout(again), { once: true });
  return nowhere("This cannot be shown now", error.message, again ? "It is tried again in a moment." : "",
    h("button", { type: "button", class: "plain", onclick: show }, "Try again"));
}

async function viewOf(signal) {
  try {
    const { name, params, query } = addressed();
    const [make, , title] = VIEWS[name] || [];
    if (!make) return { view: nowhere("There is nothing here", "No view has this address.", h("a", { href: "#/" }, "All sessions")), title: "Nothing here" };
    const view = await make({ params, query, signal });
    return { view, title: view.pageTitle || title };
  } catch (error) {
    return { view: problem(error), title: "Problem" };
  }
}

function mark(name) {
  const own = VIEWS[name]?.[1];
  for (const link of document.querySelectorAll("[data-place]")) {
    if (link.dataset.place !== own) { link.removeAttribute("aria-current"); continue; }
    link.setAttribute("aria-current", "page");
    // On a phone the places are wider than the screen.
    const list = link.closest("ul");
    list.scrollLeft = link.offsetLeft - (list.clientWidth - link.offsetWidth) / 2;
  }
}

async function show() {
  turn.abort();
  turn = new AbortController();
  const { signal } = turn;
  const main = byId("main");
  main.setAttribute("aria-busy", "true");
  const before = main.dataset.shows;
  const { view, title } = await viewOf(signal);
  if (signal.aborted) return;
  const { name, params } = addressed();
  mark(name);
  main.replaceChildren(view);
  main.removeAttribute("aria-busy");
  document.body.dataset.ready = "";
  main.dataset.shows = `${name}/${params[0] || ""}`;
  document.title = `${title} · ingest_pipeline`;
  if (!isFirst && main.dataset.shows !== before) { scrollTo(0, 0); }
  const target = view.focusOn ? view.querySelector(view.focusOn) : view.querySelector("h1");
  if (!isFirst && main.dataset.shows !== before) target?.focus({ preventScroll: true });
  isFirst = false;
}

const DEAF = ["unknown", "stopped", "lost"];

function noticeOf(status) {
  const { state, last_failed: failed, problem: wrong } = status.reading;
  const { bot } = status;
  return [
    wrong ? `The settings of channels are wrong: ${wrong}` : "",
    state === "failing" && failed && !wrong ? `The last read failed: ${failed.error}` : "",
    state === "late" ? "Reading is late: is the daemon running?" : "",
    bot.state === "lost" ? `Nothing was heard of the bot since ${dayTime(bot.since)}: is it running?` : "",
    bot.state === "stopped" && bot.reason ? `The bot is off: ${bot.reason}` : "",
    status.live.length && DEAF.includes(bot.state) ? "No bot listens: threads are read when the session is sealed, not live." : "",
  ].filter(Boolean).join(" ");
}

function showStatus(status) {
  chip("reading", status.reading.state);
  chip("bot", status.bot.state);
  byId("chip-bot").title = status.bot.state === "unknown" ? "Without a bot, threads are read when a session is sealed" : "";
  const notice = noticeOf(status);
  byId("notice").hidden = !notice;
  put(byId("notice"), notice);
  put(byId("as-of"), `As of ${clock(status.as_of, true)} (${Intl.DateTimeFormat().resolvedOptions().timeZone}), ${status.engine}`);
}

live.addEventListener("status", (event) => showStatus(event.detail));
live.addEventListener("connection", (event) => chip("link", event.detail.state));
live.addEventListener("problem", (event) => { byId("notice").hidden = false; put(byId("notice"), event.detail.detail); });
addEventListener("hashchange", show);
addEventListener("pagehide", disconnect);
addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); byId("main").focus(); });
useKeys();
connect();
show();
