// Search in all messages.

import { channelNames } from "./api.js";
import { h, heading } from "./dom.js";
import { messagesWithFilters } from "./view-messages.js";

export async function showSearch({ query: asked, signal }) {
  const names = await channelNames();
  const found = await messagesWithFilters({}, { asked, signal, base: "#/search", names, isSearch: true });
  return Object.assign(h("div", {}, heading("Search"), found), { focusOn: asked.q ? null : "input[type=search]" });
}
