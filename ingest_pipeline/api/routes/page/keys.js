// The keyboard: / search, j k and arrows along a list, Enter opens, Esc leaves, ? shows these keys.

import { h } from "./dom.js";

const LINES = "main [data-line]";
const WRITING = "input, textarea, select, [contenteditable]";
const KEYS = [
  ["/", "Search"], ["j  ↓", "Next line of a list"], ["k  ↑", "Line before"], ["Enter", "Open"],
  ["Esc", "Leave a field, close, go up"], ["g s", "Sessions"], ["g c", "Channels"], ["g j", "Journeys"],
  ["g e", "Events"], ["?", "These keys"],
];
const PLACES = { s: "#/", c: "#/channels", j: "#/journeys", e: "#/events" };
let went = 0;

function move(step) {
  const lines = [...document.querySelectorAll(LINES)].filter((each) => each.offsetParent !== null);
  if (!lines.length) return;
  const place = lines.indexOf(document.activeElement.closest?.("[data-line]") || document.activeElement);
  const next = lines[Math.min(Math.max(place + step, 0), lines.length - 1)];
  next.focus({ preventScroll: true });
  next.closest("li, tr")?.scrollIntoView({ block: "nearest" });
}

function help() {
  const found = document.getElementById("keys");
  if (found) { found.showModal(); return; }
  const dialog = h("dialog", { id: "keys", "aria-labelledby": "keys-title" },
    h("h2", { id: "keys-title" }, "Keys"),
    h("dl", {}, KEYS.map(([key, words]) => h("div", {}, h("dt", {}, key.split("  ").map((each) => h("kbd", {}, each))), h("dd", {}, words)))),
    h("form", { method: "dialog" }, h("button", { class: "plain" }, "Close")));
  document.body.append(dialog);
  dialog.showModal();
}

function search() {
  const field = document.querySelector("main input[type=search]");
  if (field) { field.focus(); field.select(); } else location.hash = "#/search";
}

function up() {
  const above = document.querySelector("main .crumbs a:last-of-type");
  if (above) above.click();
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const isWriting = event.target.matches?.(WRITING);
  if (event.key === "Escape") {
    if (document.querySelector("dialog[open]")) return;
    if (isWriting) event.target.blur(); else up();
    return;
  }
  if (isWriting || document.querySelector("dialog[open]")) return;
  if (Date.now() - went < 1_000 && PLACES[event.key]) { location.hash = PLACES[event.key]; went = 0; return; }
  const isOnLine = Boolean(event.target.closest?.("[data-line]"));
  const acts = { "/": search, "?": help, j: () => move(1), k: () => move(-1), g: () => { went = Date.now(); } };
  // Arrows scroll the page until a line has the focus.
  if (isOnLine) Object.assign(acts, { ArrowDown: acts.j, ArrowUp: acts.k });
  if (!acts[event.key]) return;
  event.preventDefault();
  acts[event.key]();
}

export function useKeys() {
  addEventListener("keydown", pressed);
  document.getElementById("keys-button").addEventListener("click", help);
}
