// The stream of what happens: one connection while the page is seen, none while it is hidden.

import { headers } from "./api.js";

export const live = new EventTarget();
let reading = null;
let wait = 1_000;
let last = null;

export function latestStatus() {
  return last;
}

// Listen until a view is left.
export function listen(kind, signal, handler) {
  live.addEventListener(kind, (event) => handler(event.detail), { signal });
}

function send(kind, detail) {
  live.dispatchEvent(new CustomEvent(kind, { detail }));
}

function handle(block) {
  const lines = block.split("\n");
  const kind = lines.find((each) => each.startsWith("event: "))?.slice(7);
  const data = lines.find((each) => each.startsWith("data: "))?.slice(6);
  if (!kind || !data) return;
  const detail = JSON.parse(data);
  if (kind === "status") last = detail;
  send(kind, detail);
}

// EventSource cannot send a token, so the stream is read by hand.
async function follow(signal) {
  const answer = await fetch("live/stream", { headers: headers(), signal, cache: "no-store" });
  if (!answer.ok) throw Object.assign(new Error(String(answer.status)), { status: answer.status });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  send("connection", { state: "connected" });
  wait = 1_000;
  for (let rest = ""; ;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    blocks.forEach(handle);
  }
}

export async function connect() {
  if (reading || document.hidden) return;
  const turn = (reading = new AbortController());
  let problem = null;
  try {
    await follow(turn.signal);
  } catch (error) {
    problem = error;
  }
  if (reading === turn) reading = null;
  if (turn.signal.aborted) return;
  send("connection", { state: problem?.status === 401 ? "token" : "waiting" });
  if (problem?.status === 401) return;
  setTimeout(connect, wait * (0.5 + Math.random()));
  wait = Math.min(wait * 2, 30_000);
}

export function disconnect() {
  reading?.abort();
  reading = null;
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) disconnect();
  else connect().then(() => {}, () => {});
  if (!document.hidden) send("changes", { is_complete: false, session_ids: [], channel_ids: [], messages: [] });
});

// Calls at most once in so many milliseconds, not with all other pages at the same moment.
export function seldom(milliseconds, signal, work) {
  let timer = null;
  let at = 0;
  return () => {
    if (timer) return;
    const pause = Math.max(0, at + milliseconds - Date.now()) + Math.random() * 0.5 * milliseconds;
    timer = setTimeout(() => {
      timer = null;
      at = Date.now();
      if (!signal.aborted) work().catch(() => {});
    }, pause);
  };
}
