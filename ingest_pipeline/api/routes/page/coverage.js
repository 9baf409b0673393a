// The windows of a session as a bar, and its gaps with their reasons.

import { h, table } from "./dom.js";
import { clock, range, span } from "./words.js";

const REASONS = {
  never_read: "the channel was never read completely",
  before_first_reading: "before the first reading",
  between_readings: "between two readings",
  after_last_reading: "after the last reading",
  import_unfinished: "an import is not finished",
  no_permission_for_history: "the bot may not read the history",
  channel_not_visible: "the bot does not see the channel",
  channel_gone: "the channel is gone",
  read_without_words: "read without words of embeds",
  read_without_media: "read without media",
};
const SHOWN = 10;

export function coverageBar({ windows }) {
  const count = (state) => windows.filter((each) => each.state === state).length;
  const label = `Of ${windows.length} windows ${count("proven")} are proven, ${count("partial")} partly, ${count("missing")} missing, ${count("upcoming")} to come`;
  return h("span", { class: "coverage", role: "img", "aria-label": label }, windows.map((each) => {
    const cell = h("i", { class: each.state, title: `${each.key}, ${clock(each.start)}–${clock(each.end)}: ${each.state}` });
    cell.style.flexGrow = Math.max(1, Date.parse(each.end) - Date.parse(each.start));
    return cell;
  }));
}

export function legend() {
  const names = [["proven", "proven"], ["partial", "partly"], ["missing", "missing"], ["upcoming", "to come"]];
  return h("ul", { class: "legend", "aria-hidden": "true" }, names.map(([state, words]) => h("li", {}, h("span", { class: `swatch ${state}` }), words)));
}

export function scale(start, end) {
  const middle = (Date.parse(start) + Date.parse(end)) / 2;
  return h("div", { class: "scale" }, [start, middle, end].map((each) => h("span", {}, clock(each))));
}

function rowOf(gap) {
  const seconds = (Date.parse(gap.end) - Date.parse(gap.start)) / 1_000;
  const reason = REASONS[gap.reason] || gap.reason;
  return [range(gap.start, gap.end, seconds < 120), span(seconds), gap.channel_name ? `#${gap.channel_name}` : gap.channel_id,
    gap.accepted ? `${reason}; accepted: ${gap.accepted}` : reason];
}

// Gaps as a table; the first ones, the rest when asked for.
export function gapTable(gaps) {
  const columns = [["When", "time"], ["Length", "number"], ["Channel", ""], ["Why", ""]];
  const holder = h("div", {}, table("Gaps", columns, gaps.slice(0, SHOWN).map(rowOf)));
  if (gaps.length > SHOWN) {
    holder.append(h("button", { type: "button", class: "plain more", onclick: () => holder.replaceChildren(table("Gaps", columns, gaps.map(rowOf))) },
      `Show all ${gaps.length}`));
  }
  return holder;
}
