"use strict";

// Search in all messages, or in those of the session that is shown. The query is in the address, to be kept and sent.

let searched = 0;
let nextCursor = null;

function snippetOf(parts) {
  const text = made("span", "text");
  text.append(...parts.map((part) => (part.is_match ? made("mark", "", part.text) : part.text)));
  return text;
}

function foundLine({ message, snippet }) {
  const line = made("li"), time = made("time", "", dayTime(message.posted_at));
  time.dateTime = message.posted_at;
  const who = message.driver || message.author_nickname || message.author_name || "";
  line.append(time, made("span", "driver", who), snippetOf(snippet));
  return line;
}

function completenessOf(channels) {
  const open = channels.filter((each) => each.gaps || !each.proven_until);
  if (!channels.length) return "";
  if (open.length) return `${open.length} of ${channels.length} channels are not proven complete.`;
  const until = channels.map((each) => each.proven_until).sort()[0];
  return `Proven complete until ${dayTime(until)}.`;
}

async function search(more) {
  const text = byId("query").value.trim();
  const turn = ++searched;
  byId("more").hidden = true;
  if (!text) { byId("found").replaceChildren(); put("found-note", ""); return; }
  const asked = new URLSearchParams({ q: text, limit: 20 });
  if (byId("here").checked && shownSession) asked.set("session_id", decodeURIComponent(shownSession));
  if (more) asked.set("cursor", nextCursor);
  try {
    const page = await ask(`search?${asked}`);
    if (turn !== searched) return;
    const lines = page.items.map(foundLine);
    if (more) byId("found").append(...lines); else byId("found").replaceChildren(...lines);
    nextCursor = page.next_cursor;
    byId("more").hidden = !nextCursor;
    const count = byId("found").children.length;
    const shown = count ? `${count}${nextCursor ? " newest" : ""} found.` : "Nothing found.";
    put("found-note", `${shown} ${completenessOf(page.completeness)}`);
  } catch (error) {
    if (turn === searched) put("found-note", error.status ? error.message : "The server does not answer.");
  }
}

byId("search-form").addEventListener("submit", (event) => {
  event.preventDefault();
  history.replaceState(null, "", `#${new URLSearchParams({ q: byId("query").value })}`);
  search(false);
});
byId("here").addEventListener("change", () => search(false));
byId("more").addEventListener("click", () => search(true));
byId("query").value = new URLSearchParams(location.hash.slice(1)).get("q") || "";
search(false);
