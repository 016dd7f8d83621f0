// `node drive.mjs SOCKET`: starts Chromium once, and drives it for whoever connects to the socket.
//
// A connection has a browser context of its own, with one page, until it ends. A line of JSON is one
// order, and is answered by one: `{code, values}` is a body of an async function, which has `page`,
// `context`, `seen`, `axe` and the values by their names; the answer is `{result}` or `{error}`. The first line
// is the options of the context instead. The process ends when its standard input does.
import { createServer } from "node:net";
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const AsyncFunction = (async () => {}).constructor;
const axeSource = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let executablePath = process.env.CHROMIUM;
if (!executablePath) executablePath = await (await import("@sparticuz/chromium")).default.executablePath();
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--no-zygote"] });

/** What a test may want to know of a page: what it asked for, what it complained of, its longest task. */
async function watch(page) {
  const seen = { asked: [], complaints: [] };
  page.on("request", (request) => seen.asked.push(request.url()));
  page.on("console", (message) => message.type() === "error" && seen.complaints.push(message.text()));
  page.on("pageerror", (error) => seen.complaints.push(String(error)));
  page.on("dialog", async (dialog) => {
    seen.complaints.push(`a dialog: ${dialog.message()}`);
    await dialog.dismiss();
  });
  await page.addInitScript(() => {
    globalThis.longestTask = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) globalThis.longestTask = Math.max(globalThis.longestTask, entry.duration);
    }).observe({ type: "longtask", buffered: true });
  });
  return seen;
}

/** The violations that axe-core finds in a page, each with the elements that it is about. */
async function axe(page, options = {}) {
  await page.evaluate(axeSource);
  const found = await page.evaluate((given) => globalThis.axe.run(document, given), options);
  return found.violations.map(({ id, impact, help, nodes }) => ({
    id,
    impact,
    help,
    nodes: nodes.map(({ html, failureSummary }) => `${html}: ${failureSummary}`),
  }));
}

async function obey(connection) {
  const lines = createInterface({ input: connection })[Symbol.asyncIterator]();
  const first = await lines.next();
  if (first.done) return;
  const context = await browser.newContext(JSON.parse(first.value));
  try {
    context.setDefaultTimeout(25_000);
    const page = await context.newPage();
    const seen = await watch(page);
    for await (const line of { [Symbol.asyncIterator]: () => lines }) {
      const { code, values } = JSON.parse(line);
      let answer;
      try {
        const names = ["page", "context", "seen", "axe", ...Object.keys(values)];
        const given = [page, context, seen, axe, ...Object.values(values)];
        answer = { result: (await new AsyncFunction(...names, code)(...given)) ?? null };
      } catch (error) {
        answer = { error: String(error.stack ?? error) };
      }
      if (!connection.writable) break;
      connection.write(`${JSON.stringify(answer)}\n`);
    }
  } finally {
    await context.close();
    connection.end();
  }
}

const server = createServer((connection) => {
  connection.on("error", () => {});
  obey(connection).catch((error) => console.error(error));
});
server.listen(process.argv[2], () => console.log("ready"));
process.stdin.resume();
process.stdin.on("end", async () => {
  await browser.close();
  process.exit(0);
});
