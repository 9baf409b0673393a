// Settings of channels: what is in force and where it comes from; with the write token they are changed.

import { ask, askOnce, change, tokenOf } from "./api.js";
import { card, h, heading, put, table } from "./dom.js";

function written(value) {
  return Array.isArray(value) ? `[${value.join(", ")}]` : String(value);
}

// What was typed, as JSON has it: the list without its brackets, numbers and flags as such.
function typed(text) {
  const trimmed = text.trim();
  const list = trimmed.match(/^\[(.*)\]$/s);
  if (list) return list[1].split(",").map((each) => each.trim()).filter(Boolean);
  return trimmed;
}

function scopeChoice(scope, guilds, channels) {
  const options = [["", "All guilds (defaults)"], ...guilds.map((each) => [`guild_id=${each.guild_id}`, each.name]),
    ...channels.filter((each) => each.channel_type !== "category").map((each) => [`channel_id=${each.channel_id}`, `#${each.name}`])];
  return h("label", { class: "field" }, h("span", {}, "Of"), h("select", { onchange: (event) => { location.hash = event.target.value ? `#/settings?${event.target.value}` : "#/settings"; } },
    options.map(([value, words]) => h("option", { value, selected: value === scope }, words))));
}

function editor(setting, scope, again, status) {
  const field = h("input", { value: written(setting.value), "aria-label": `Value of ${setting.key}`, title: setting.form });
  const save = async (value) => {
    try {
      await change("settings", { ...scope, changes: { [setting.key]: value } });
      put(status, `${setting.key} is saved; it applies from the next poll or batch of events on.`);
      await again();
    } catch (error) {
      put(status, error.message);
    }
  };
  const isOwn = setting.origin.startsWith(scope.channel_id ? "channel" : "guild");
  return h("form", { class: "setting", onsubmit: (event) => { event.preventDefault(); save(typed(field.value)); } }, field,
    h("button", { class: "plain", "aria-label": `Save ${setting.key}` }, "Save"),
    isOwn && h("button", { type: "button", class: "plain", "aria-label": `Remove the own value of ${setting.key}`, onclick: () => save(null) }, "Remove"));
}

function tokenForm(again) {
  const field = h("input", { type: "password", autocomplete: "off", "aria-label": "Write token" });
  return h("form", { class: "row", onsubmit: (event) => { event.preventDefault(); sessionStorage.setItem("write-token", field.value); again(); } },
    field, h("button", { class: "plain" }, "Change settings"));
}

export async function showSettings({ query: asked }) {
  const scope = { guild_id: asked.guild_id, channel_id: asked.channel_id };
  const [guilds, channels] = await Promise.all([askOnce("guilds"), askOnce("channels")]);
  const status = h("p", { class: "muted", role: "status" });
  const holder = h("div");
  const isScoped = Boolean(scope.guild_id || scope.channel_id);
  const again = async () => {
    const found = await ask("settings", scope);
    const canChange = isScoped && Boolean(tokenOf("write-token"));
    const rows = found.items.map((each) => [h("code", {}, each.key), canChange ? editor(each, scope, again, status) : written(each.value), each.origin, each.form]);
    holder.replaceChildren(table("Settings", [["Setting", ""], ["Value", "value"], ["From", "fixed"], ["Values", "muted wide-only"]], rows),
      isScoped ? (canChange ? "" : h("div", { class: "write" }, h("p", { class: "muted" }, "To change them, give the write token (INGEST_API_TOKEN); it is kept until this tab is closed."), tokenForm(again)))
        : h("p", { class: "muted" }, "Defaults for all guilds are written in data/settings.yaml; choose a guild or a channel to change its own."));
  };
  await again();
  const chosen = scope.channel_id ? `channel_id=${scope.channel_id}` : scope.guild_id ? `guild_id=${scope.guild_id}` : "";
  return h("div", {}, heading("Settings", { subtitle: "How channels are read: the value in force, and which place sets it." }),
    card("In force", scopeChoice(chosen, guilds.items, channels.items), status, holder));
}
