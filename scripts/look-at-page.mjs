// Looks at every view of the page: axe-core without a violation, nothing wider than the screen, no jump while it
// loads, no error in the console; in Chromium and Firefox, light and dark, on a phone and on a desk.
//
//   npm install --no-save playwright-core puppeteer-core axe-core   (in any folder; run it from there)
//   node …/scripts/look-at-page.mjs http://127.0.0.1:8000 [folder for pictures]
//
// BROWSERS=chromium, VIEWS=sessions,messages, SCHEMES=dark and WIDTHS=390 look at less. Ends with 1 after a problem.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.cwd(), "look-at-page.js"));
const [url = "http://127.0.0.1:8000", pictures] = process.argv.slice(2);
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const MOST_SHIFT = 0.005;
const chosen = (name, all) => (process.env[name] || all).split(",");

async function first(path) {
  return (await (await fetch(`${url}/${path}`)).json()).items?.[0] ?? {};
}

async function addresses() {
  const session = (await first("sessions?state=live")).session_id ?? (await first("sessions?newest=true")).session_id;
  const message = (await first("messages?limit=1")).discord_id;
  const channel = (await first("channels")).channel_id;
  const journey = (await first("journeys?limit=1")).correlation_id;
  const of = `#/session/${session}`;
  const kinds = (await (await fetch(`${url}/kinds`)).json()).items.map((each) => [each.path, `${of}/${each.path}`]);
  return Object.entries({
    sessions: "#/", coming: "#/sessions/upcoming", session: of, messages: `${of}/messages`, files: `${of}/files`,
    ...Object.fromEntries(kinds), message: `#/message/${message}`, search: "#/search", found: "#/search?q=box",
    nothing: "#/search?q=zzzz", wrong: "#/search?q=NOT+a", channels: "#/channels", channel: `#/channel/${channel}`,
    gaps: `#/channel/${channel}/gaps?days=0`, journeys: "#/journeys", failed: "#/journeys?status=failed",
    journey: `#/journey/${journey}`, events: "#/events", settings: "#/settings",
    own: `#/settings?channel_id=${channel}`, missing: "#/session/none", docs: "docs",
  }).filter(([name]) => !process.env.VIEWS || chosen("VIEWS").includes(name));
}

async function openChromium(scheme, width) {
  const { chromium } = require("playwright-core");
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
  const context = await browser.newContext({ viewport: { width, height: 860 }, colorScheme: scheme });
  return { browser, page: () => context.newPage() };
}

async function openFirefox(scheme, width) {
  const puppeteer = require("puppeteer-core").default ?? require("puppeteer-core");
  const preferences = { "layout.css.prefers-color-scheme.content-override": scheme === "dark" ? 0 : 1 };
  const browser = await puppeteer.launch({ browser: "firefox", headless: true, executablePath: process.env.FIREFOX || "/usr/bin/firefox-esr", extraPrefsFirefox: preferences });
  return { browser, page: async () => { const page = await browser.newPage(); await page.setViewport({ width, height: 860 }); return page; } };
}

async function problemsOf(page, address) {
  const found = [];
  page.on("console", (each) => { if (each.type() === "error" && !/40[04]|422/.test(each.text())) found.push(`console: ${each.text()}`); });
  page.on("pageerror", (error) => found.push(`error: ${error.message}`));
  await page.goto(`${url}/${address}`);
  await page.waitForSelector("main > *", { timeout: 30_000 });
  await new Promise((resolve) => { setTimeout(resolve, 500); });
  const seen = await page.evaluate(() => new Promise((resolve) => {
    const { scrollWidth, clientWidth } = document.documentElement;
    const done = (shift) => resolve({ wide: scrollWidth - clientWidth, shift });
    if (!PerformanceObserver.supportedEntryTypes.includes("layout-shift")) { done(0); return; }
    new PerformanceObserver((list) => done(list.getEntries().reduce((sum, each) => sum + each.value, 0))).observe({ type: "layout-shift", buffered: true });
    setTimeout(() => done(0), 200);
  }));
  if (seen.wide > 0) found.push(`${seen.wide} px wider than the screen`);
  if (seen.shift > MOST_SHIFT) found.push(`jumps by ${seen.shift.toFixed(3)} while it loads`);
  await page.evaluate(axe);
  const violations = await page.evaluate(async (rules) => (await globalThis.axe.run(document, { runOnly: rules })).violations.map((each) => `${each.id}: ${each.help}: ${each.nodes.slice(0, 3).map((node) => node.target.join(" ")).join(", ")}`), RULES);
  return [...found, ...violations];
}

const views = await addresses();
const opened = { chromium: openChromium, firefox: openFirefox };
let count = 0;
let problems = 0;
if (pictures) mkdirSync(pictures, { recursive: true });
for (const name of chosen("BROWSERS", "chromium,firefox")) for (const scheme of chosen("SCHEMES", "light,dark")) for (const width of chosen("WIDTHS", "390,1280").map(Number)) {
  const { browser, page: open } = await opened[name](scheme, width);
  for (const [view, address] of views) {
    const page = await open();
    for (const problem of await problemsOf(page, address)) { problems += 1; console.log(`${name} ${view} ${scheme} ${width}: ${problem}`); }
    if (pictures) await page.screenshot({ path: join(pictures, `${view}-${name}-${scheme}-${width}.png`) });
    count += 1;
    await page.close();
  }
  await browser.close();
}
console.log(`${count} views, ${problems} problems`);
process.exit(problems ? 1 : 0);
