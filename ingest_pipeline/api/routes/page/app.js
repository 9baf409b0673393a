"use strict";

// Asks for the status every three seconds, and for what was said when something may have changed.

const EVERY = 3_000;
const SHOWN_MESSAGES = 14;
const SHOWN_DRIVERS = 12;
const TONES = {
  reading: "good", idle: "", late: "warn", failing: "bad",
  ready: "good", started: "warn", disconnected: "bad", lost: "bad", stopped: "", unknown: "",
};
const WORDS = { reading: "on time", unknown: "not running", started: "connecting", ready: "connected" };
const byId = (id) => document.getElementById(id);
let seen = new Set();
let shownSession = null;

async function ask(path) {
  const token = sessionStorage.getItem("token");
  const answer = await fetch(path, { headers: token ? { Authorization: `Bearer ${token}` } : {}, cache: "no-store" });
  if (answer.ok) return answer.json();
  const problem = await answer.json().catch(() => ({ detail: `${answer.status} ${answer.statusText}` }));
  throw Object.assign(new Error(problem.detail), { status: answer.status });
}

function put(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

function made(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 90) return `${whole} s`;
  if (whole < 5_400) return `${Math.round(whole / 60)} min`;
  if (whole >= 36_000 && whole < 172_800) return `${Math.round(whole / 3_600)} h`;
  if (whole < 172_800) return `${Math.floor(whole / 3_600)} h ${Math.round((whole % 3_600) / 60)} min`;
  return `${Math.round(whole / 86_400)} days`;
}

function dayTime(moment) {
  return new Date(moment).toLocaleString([], { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

function heading(session) {
  const parts = [session.event_name, session.session_type].filter(Boolean);
  return parts.length ? parts.join(" · ") : session.session_id;
}

function place(session) {
  return [session.session_id, [session.location, session.country].filter(Boolean).join(", ")].filter(Boolean).join(" · ");
}

function chip(name, state) {
  put(name, WORDS[state] || state);
  byId(`chip-${name}`).className = `chip ${TONES[state] || ""}`;
}

function linkChip(text, tone) {
  put("link", text);
  byId("chip-link").className = `chip ${tone}`;
}

function showHead(progress, now) {
  const { session } = progress;
  const badge = byId("badge");
  badge.className = session.state === "live" ? "badge live" : "badge";
  put("badge", session.state);
  const scheduled = session.scheduled_end ? ` (${clockTime(session.scheduled_end)} as scheduled)` : "";
  put("times", `${dayTime(session.start_time)} – ${clockTime(session.end_time)}${scheduled}`);
  put("title", heading(session));
  put("subtitle", place(session));
  const left = (Date.parse(session.end_time) - now) / 1_000;
  put("count-note", left > 0 ? `${span(left)} to go` : "in this session");
  document.title = `${session.state === "live" ? "● " : ""}${heading(session)}`;
}

function showFigures(progress, status, now) {
  const share = progress.elapsed_seconds ? progress.proven_seconds / progress.elapsed_seconds : 0;
  put("proven", `${share >= 1 ? 100 : Math.floor(share * 1_000) / 10} %`);
  put("proven-note", `${span(progress.proven_seconds)} of ${span(progress.elapsed_seconds)}`);
  put("lag", progress.lag_seconds ? span(progress.lag_seconds) : "none");
  put("lag-note", progress.session.state === "live" ? "behind the present" : "at its end");
  put("count", progress.messages.toLocaleString());
  const last = status.reading.last_completed;
  put("last-read", last ? `${span((now - Date.parse(last.at)) / 1_000)} ago` : "never");
  put("last-read-note", last ? `${last.source}, ${last.created} new, ${last.updated} changed` : "");
}

function showCoverage(progress) {
  const bar = byId("coverage"), { session, windows } = progress;
  const cells = windows.map((each) => {
    const cell = made("i", each.state);
    cell.style.flexGrow = Date.parse(each.end) - Date.parse(each.start);
    cell.style.flexBasis = "0";
    cell.title = `${each.key}, ${clockTime(each.start)}–${clockTime(each.end)}: ${each.state}`;
    return cell;
  });
  bar.replaceChildren(...cells);
  const count = (state) => windows.filter((each) => each.state === state).length;
  bar.setAttribute("aria-label", `Of ${windows.length} windows ${count("proven")} are proven, ${count("partial")} partly, ${count("missing")} missing, ${count("upcoming")} to come`);
  const start = Date.parse(session.start_time), end = Date.parse(session.end_time);
  put("scale-start", clockTime(start));
  put("scale-middle", clockTime((start + end) / 2));
  put("scale-end", clockTime(end));
}

function showDrivers(drivers) {
  const most = Math.max(1, ...drivers.map((each) => each.messages));
  const rows = drivers.slice(0, SHOWN_DRIVERS).map((each) => {
    const row = made("tr"), name = made("td", "", each.driver);
    const share = shape("svg", { class: "share", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" });
    share.append(shape("rect", { width: 100, height: 4, rx: 2 }), shape("rect", { width: (100 * each.messages) / most, height: 4, rx: 2 }));
    name.append(share);
    row.append(name, made("td", "number", each.messages.toLocaleString()), made("td", "number", clockTime(each.last_posted_at, true)));
    return row;
  });
  if (!rows.length) {
    const row = made("tr"), cell = made("td", "muted", "Nobody was named yet.");
    cell.colSpan = 3;
    row.append(cell);
    rows.push(row);
  }
  byId("drivers").replaceChildren(...rows);
}

function showMessages(items) {
  const isFirst = !seen.size;
  const lines = items.map((each) => {
    const line = made("li", isFirst || seen.has(each.discord_id) ? "" : "new"), time = made("time", "", clockTime(each.posted_at, true));
    time.dateTime = each.posted_at;
    line.append(time, made("span", "driver", each.driver || each.author_nickname || each.author_name || ""), made("span", "text", each.shown_text || each.raw_content));
    return line;
  });
  byId("messages").replaceChildren(...(lines.length ? lines : [made("li", "empty", "No message yet.")]));
  seen = new Set(items.map((each) => each.discord_id));
}

function showNext(status, shown, now) {
  const { upcoming } = status;
  byId("next").hidden = !upcoming;
  if (upcoming) {
    const wait = span((Date.parse(upcoming.start_time) - now) / 1_000);
    put("next-text", `${heading(upcoming)} · ${dayTime(upcoming.start_time)}, in ${wait}`);
  }
  if (!shown) {
    put("badge", upcoming ? "upcoming" : "idle");
    put("title", upcoming ? heading(upcoming) : "No session yet");
    put("times", upcoming ? dayTime(upcoming.start_time) : "");
    put("subtitle", upcoming ? place(upcoming) : "Add one to data/sessions.yaml, or with `ingest sessions add`.");
  }
}

function showNotice(status) {
  const others = status.live.slice(1).map((each) => each.session.session_id);
  const { state, last_failed: failed, problem } = status.reading;
  const { bot } = status;
  const told = [
    problem ? `The settings of channels are wrong: ${problem}` : "",
    state === "failing" && failed && !problem ? `The last read failed: ${failed.error}` : "",
    state === "late" ? "Reading is late: is the daemon running?" : "",
    bot.state === "lost" ? `Nothing was heard of the bot since ${dayTime(bot.since)}: is it running?` : "",
    bot.state === "stopped" && bot.reason ? `The bot is off: ${bot.reason}` : "",
    others.length ? `Also live, and read after this one: ${others.join(", ")}` : "",
  ].filter(Boolean);
  byId("notice").hidden = !told.length;
  put("notice", told.join(" "));
}

async function showSession(progress, status, now) {
  const id = encodeURIComponent(progress.session.session_id);
  if (shownSession !== id) { seen = new Set(); shownSession = id; }
  showHead(progress, now);
  showFigures(progress, status, now);
  showCoverage(progress);
  const [activity, page] = await Promise.all([
    ask(`sessions/${id}/activity`), ask(`messages?session_id=${id}&limit=${SHOWN_MESSAGES}`),
  ]);
  const drawn = drawChart(byId("chart"), activity.minutes, progress.session, now);
  put("minutes-note", drawn.peak ? `at most ${drawn.peak} in ${drawn.minutes === 1 ? "a minute" : `${drawn.minutes} minutes`}` : "");
  showDrivers(activity.drivers);
  showMessages(page.items);
}

async function update() {
  const status = await ask("status");
  const now = Date.parse(status.as_of);
  chip("reading", status.reading.state);
  chip("bot", status.bot.state);
  byId("chip-bot").title = status.bot.state === "unknown" ? "Without a bot, threads are read when a session is sealed" : "";
  showNotice(status);
  const shown = status.live[0] || status.latest;
  if (shown) await showSession(shown, status, now);
  showNext(status, shown, now);
  document.body.dataset.state = status.live.length ? "live" : "idle";
  put("as-of", `As of ${clockTime(now, true)} (${Intl.DateTimeFormat().resolvedOptions().timeZone}), ${status.engine}`);
  document.body.dataset.shows = shown ? "session" : "nothing";
}

async function keepUpdating() {
  try {
    if (!document.hidden) await update();
    byId("token-form").hidden = true;
    linkChip("connected", "good");
  } catch (error) {
    byId("token-form").hidden = error.status !== 401;
    linkChip(error.status === 401 ? "needs a token" : "waiting", error.status ? "warn" : "bad");
    if (error.status !== 401) { byId("notice").hidden = false; put("notice", error.status ? error.message : "The server does not answer."); }
  }
  setTimeout(keepUpdating, EVERY);
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", byId("token").value);
  update().then(() => { byId("token-form").hidden = true; }, () => { byId("token").select(); });
});
addEventListener("resize", () => { if (shownSession) update().catch(() => {}); });
keepUpdating();
