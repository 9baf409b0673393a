// Elements, made of text alone: whatever people wrote is never taken for markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((each) => each !== null && each !== undefined && each !== false));
  return element;
}

// h("p", {class: "muted"}, "text", otherElement)
export function h(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function shape(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function card(title, head, ...content) {
  const id = `card-${(card.number = (card.number || 0) + 1)}`;
  return h("section", { class: "card", "aria-labelledby": id },
    h("div", { class: "card-head" }, h("h2", { id }, title), head), content);
}

export function badge(state, text) {
  return h("span", { class: `badge ${state}` }, text || state);
}

export function empty(title, ...more) {
  return h("div", { class: "empty" }, title && h("p", { class: "empty-title" }, title), more.map((each) => h("p", {}, each)));
}

export function crumbs(...links) {
  return h("nav", { class: "crumbs", "aria-label": "Path" },
    links.map(([text, address]) => h("a", { href: address }, text)));
}

export function heading(text, { eyebrow, subtitle, path } = {}) {
  return h("header", { class: "hero" }, path, eyebrow && h("p", { class: "eyebrow" }, eyebrow),
    h("h1", { tabindex: "-1" }, text), subtitle && h("p", { class: "muted" }, subtitle));
}

export function tabs(label, links) {
  return h("nav", { class: "tabs", "aria-label": label }, h("ul", {}, links.map((each) =>
    h("li", {}, h("a", { href: each.address, "aria-current": each.isShown && "page", class: each.count === 0 && "none" },
      each.text, each.count === undefined || each.count === null ? null : h("span", { class: "count" }, each.count.toLocaleString()))))));
}

// A table that scrolls by itself where it is too wide; columns are [name, class].
export function table(caption, columns, rows) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${caption}, table` },
    h("table", {}, h("caption", { class: "hidden-text" }, caption),
      h("thead", {}, h("tr", {}, columns.map(([name, kind]) => h("th", { scope: "col", class: kind }, name)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, place) => h("td", { class: columns[place][1] }, cell)))))));
}

// A list in pages: `load(cursor)` returns {lines, next}; what is there stays where it is.
export function paged(list, first, load, words = "Show more") {
  let next = first.next;
  list.append(...first.lines);
  const problem = h("p", { class: "muted", role: "status" });
  const button = h("button", { type: "button", class: "plain more", hidden: !next, onclick: async () => {
    button.disabled = true;
    try {
      const page = await load(next);
      list.append(...page.lines);
      next = page.next;
      put(problem, "");
      button.hidden = !next;
      page.lines[0]?.querySelector("a")?.focus();
    } catch (error) {
      put(problem, error.message);
    }
    button.disabled = false;
  } }, words);
  return [list, button, problem];
}
