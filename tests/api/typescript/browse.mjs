// `node browse.mjs URL TOKEN`: opens /docs in Chromium, tries a route out with and without the token;
// prints what was asked of which origins, what the page complained of, and the answers.
import { chromium } from "playwright-core";

const [, , url, token] = process.argv;
let executablePath = process.env.CHROMIUM;
if (!executablePath) executablePath = await (await import("@sparticuz/chromium")).default.executablePath();
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--no-zygote"] });
const page = await browser.newPage();
const asked = [];
const complaints = [];
page.on("request", (request) => asked.push(request.url()));
page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
page.on("pageerror", (error) => complaints.push(String(error)));
await page.goto(`${url}/docs`);

async function tryOut() {
  const block = page.locator("#operations-server-list_tools");
  await block.locator("button.execute").click();
  const status = block.locator(".live-responses-table .response-col_status").last();
  await status.waitFor();
  return (await status.textContent()).trim().slice(0, 3);
}

const operation = page.locator("#operations-server-list_tools");
await operation.locator(".opblock-summary-control").click();
await operation.locator("button.try-out__btn").click();
const bare = await tryOut();
const before = [...complaints]; // the browser itself tells of an answer that is 401
await page.locator("button.authorize").first().click();
await page.locator(".auth-container input").first().fill(token);
await page.locator(".auth-btn-wrapper button.authorize").click();
await page.locator(".auth-btn-wrapper button.btn-done").click();
await operation.locator("button.btn-clear").click();
const trusted = await tryOut();
console.log(JSON.stringify({ asked, complaints: [...new Set([...before, ...complaints])], bare, trusted }));
await browser.close();
