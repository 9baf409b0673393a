// What was read out of messages: one kind of content as a table, in pages.

import { ask } from "./api.js";
import { card, empty, h, paged } from "./dom.js";
import { outside } from "./message-list.js";
import { dayTime, plain, shown } from "./words.js";

const NUMBERS = /(_price|score|_bytes|zone_low|zone_high|stop)$/;
const CLIP_COLUMNS = ["file_name", "origin", "size_bytes", "url", "expires_at"];

function cellOf(column, value) {
  if (column === "url" && value) return outside(value, "open");
  if (column.endsWith("_bytes") && value) return `${(value / 1e6).toFixed(1)} MB`;
  if (column === "score" && typeof value === "number") return value.toFixed(2);
  return Array.isArray(value) ? value.map(shown).join("; ") : shown(value);
}

export async function showFound(kind, filters) {
  const description = kind.description.replaceAll("`", "");
  const columns = kind.path === "clips" ? CLIP_COLUMNS : kind.columns;
  const row = (item) => h("tr", {},
    h("td", { class: "time" }, h("a", { href: `#/message/${item.discord_id}`, "data-line": true }, dayTime(item.posted_at, true))),
    columns.map((each) => h("td", { class: NUMBERS.test(each) ? "number" : "" }, cellOf(each, item[each]))));
  const load = async (cursor) => {
    const page = await ask(kind.path, { ...filters, limit: 50, cursor });
    return { lines: page.items.map(row), next: page.next_cursor };
  };
  const first = await load();
  if (!first.lines.length) return h("section", { class: "card" }, empty(`No ${kind.title.toLowerCase()} here`, description));
  const body = h("tbody");
  const [, button, problem] = paged(body, first, load);
  return card(kind.title, null, h("p", { class: "muted description" }, description),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${kind.title}, table` }, h("table", { class: "found" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Posted"),
      columns.map((each) => h("th", { scope: "col", class: NUMBERS.test(each) ? "number" : "" }, plain(each))))), body)), button, problem);
}
