// The description of the interface, out of openapi.json: nothing is loaded from elsewhere.

import { ask, headers, query, tokenOf } from "./api.js";
import { badge, card, h, heading, put, table } from "./dom.js";

const MOST_SHOWN = 20_000;
const TONES = { get: "good", post: "warn", put: "warn", delete: "bad" };
let schemas = {};

// A schema as people read it: "string or null", "list of MessageModel".
function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf || schema.oneOf) return (schema.anyOf || schema.oneOf).map(typeOf).join(" or ");
  if (schema.enum) return schema.enum.join(", ");
  if (schema.const !== undefined) return String(schema.const);
  if (schema.type === "array") return `list of ${typeOf(schema.items)}`;
  const limits = [schema.format, schema.minimum !== undefined && `from ${schema.minimum}`, schema.maximum !== undefined && `to ${schema.maximum}`].filter(Boolean);
  return [schema.type || "any", limits.length && `(${limits.join(", ")})`].filter(Boolean).join(" ");
}

function named(schema) {
  const name = schema?.$ref?.split("/").pop();
  return name ? { name, ...schemas[name] } : schema;
}

function fieldsTable(label, schema) {
  const found = named(schema);
  if (!found?.properties) return null;
  const rows = Object.entries(found.properties).map(([name, each]) => [h("code", {}, name), typeOf(each), each.description || ""]);
  return [h("h3", {}, found.name ? `${label}: ${found.name}` : label), found.description && h("p", { class: "muted" }, found.description),
    table(`${label} ${found.name || ""}`, [["Field", ""], ["Type", ""], ["Meaning", ""]], rows), nested(found, label)];
}

function nested(found, label) {
  const items = found.properties?.items?.items;
  return items?.$ref ? fieldsTable(`${label}, each of items`, items) : null;
}

function parameterTable(parameters) {
  if (!parameters.length) return null;
  const rows = parameters.map((each) => [h("code", {}, each.name), each.required ? "required" : "", typeOf(each.schema), each.description || each.schema?.description || ""]);
  return [h("h3", {}, "Parameters"), table("Parameters", [["Name", ""], ["", ""], ["Type", ""], ["Meaning", ""]], rows)];
}

function answersTable(responses) {
  const rows = Object.entries(responses).map(([status, each]) => [h("code", {}, status), each.description || "", Object.keys(each.content || {}).join(", ")]);
  return [h("h3", {}, "Answers"), table("Answers", [["Status", ""], ["Meaning", ""], ["Form", ""]], rows)];
}

function trial(path, operation) {
  const parameters = (operation.parameters || []).filter((each) => each.in !== "header");
  const out = h("pre", { hidden: true, tabindex: "0", role: "region", "aria-label": `Answer of ${path}` });
  const note = h("p", { class: "muted", role: "status" });
  const form = h("form", { class: "try", onsubmit: async (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(form));
    const filled = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(given[name] || ""));
    const asked = query(Object.fromEntries(parameters.filter((each) => each.in === "query").map((each) => [each.name, given[each.name]])));
    const address = `${filled.slice(1)}${asked ? `?${asked}` : ""}`;
    const began = performance.now();
    const answer = await fetch(address, { headers: headers(), cache: "no-store" }).catch(() => null);
    const text = answer ? await answer.text() : "";
    put(note, answer ? `${answer.status}, ${Math.round(performance.now() - began)} ms: GET /v1/${address}` : "The server does not answer.");
    out.hidden = !answer;
    put(out, pretty(text));
  } }, parameters.length > 0 && h("div", { class: "fields" }, parameters.map((each) => h("label", { class: "field" }, h("span", {}, each.name + (each.required ? " *" : "")), h("input", { name: each.name, required: each.required })))),
  h("div", {}, h("button", { class: "plain" }, "Try it")), note, out);
  return [h("h3", {}, "Try it"), form];
}

function pretty(text) {
  const cut = (whole) => (whole.length > MOST_SHOWN ? `${whole.slice(0, MOST_SHOWN)}\n…` : whole);
  try {
    return cut(JSON.stringify(JSON.parse(text), null, 2));
  } catch {
    return cut(text);
  }
}

function isStream(operation) {
  return Boolean(operation.responses?.[200]?.content?.["text/event-stream"]);
}

function operationOf(path, method, operation) {
  const details = h("details", { class: "operation" }, h("summary", {}, h("span", { class: `badge method ${TONES[method] || ""}` }, method.toUpperCase()), h("code", {}, path), h("span", { class: "muted" }, operation.summary)));
  details.addEventListener("toggle", () => {
    if (!details.open || details.children.length > 1) return;
    const body = operation.requestBody?.content?.["application/json"]?.schema;
    const answer = Object.entries(operation.responses || {}).find(([status]) => status.startsWith("2"))?.[1].content?.["application/json"]?.schema;
    details.append(h("div", { class: "inside" }, operation.description && h("p", { class: "description" }, operation.description.replaceAll("`", "")),
      parameterTable(operation.parameters || []), body && fieldsTable("Body", body), answersTable(operation.responses || {}), answer && fieldsTable("Answer", answer),
      method === "get" && !isStream(operation) ? trial(path, operation) : null));
  });
  return details;
}

async function show() {
  const main = document.getElementById("main");
  try {
    const described = await ask("openapi.json");
    schemas = described.components?.schemas || {};
    const groups = new Map();
    for (const [path, methods] of Object.entries(described.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const tag = operation.tags?.[0] || "other";
        groups.set(tag, [...(groups.get(tag) || []), operationOf(path, method, operation)]);
      }
    }
    const address = `${described.servers?.[0]?.url || ""}`;
    const intro = described.info.description.replaceAll("`", "");
    main.replaceChildren(heading("The interface", { eyebrow: [badge("", `version ${described.info.version}`), h("span", {}, `paths begin with ${address}, or with nothing`)] }),
      h("p", { class: "description" }, intro), tokenOf("token") ? "" : h("p", { class: "muted" }, "Where reading needs a token, give it on the page first."),
      ...[...groups].map(([tag, operations]) => card(tag.charAt(0).toUpperCase() + tag.slice(1), h("p", { class: "muted" }, `${operations.length} operations`), operations)));
  } catch (error) {
    main.replaceChildren(heading("The interface"), h("p", { class: "problem", role: "alert" }, error.message));
  }
  main.removeAttribute("aria-busy");
}

show();
