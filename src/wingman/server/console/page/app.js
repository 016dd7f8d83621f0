/**
 * The console: it starts here, and goes where the address says.
 *
 *     api.js         the public API; nothing else is asked
 *     stream.js      a session's events, over however many connections; sse.js their format
 *     transcript.js  history (history.js, turns.js) and events, folded into items (items.js)
 *     markdown.js    Markdown as blocks (inline.js within a line)
 *     output.js      what commands print; text.js what people may read
 *     store.js       sessions, agents, what waits for people
 *     dom.js         elements; frames.js what is done once a frame
 *     views/         what is on the screen
 *
 * All but the views, dom.js and frames.js work without a page, and are tested so.
 */

import { ApiError, api, whenUnauthorized } from "./api.js";
import { fill, h } from "./dom.js";
import { countTimes } from "./frames.js";
import { start, store, watch } from "./store.js";
import { keys } from "./keys.js";
import { agentsView } from "./views/agents.js";
import { approvalsView } from "./views/approvals.js";
import { loginView } from "./views/login.js";
import { newSessionView } from "./views/new-session.js";
import { runtimeView } from "./views/runtime.js";
import { sessionView } from "./views/session.js";
import { side } from "./views/side.js";

/** @type {Record<string, View>} */
const VIEWS = {
	"": homeView,
	new: newSessionView,
	session: sessionView,
	approvals: approvalsView,
	agents: agentsView,
	runtime: runtimeView,
};
/** @type {Record<string, string>} */
const TITLES = { new: "New session", approvals: "Approvals", agents: "Agents", runtime: "Runtime" };

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
/** All that runs: ended when we must log in. */
let life = new AbortController();
/** The view that is shown. */
let shown = new AbortController();
let title = "";

/** The view and its argument that the address names. */
function place() {
	const [, name = "", argument = ""] = /^#\/([a-z]*)\/?(.*)$/.exec(location.hash) ?? [];
	return { name: Object.hasOwn(VIEWS, name) ? name : "", argument: decoded(argument) };
}

/** @param {string} text */
function decoded(text) {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}

function go() {
	const { name, argument } = place();
	shown.abort();
	shown = new AbortController();
	for (const open of document.querySelectorAll("dialog")) open.close();
	document.body.dataset.place = name || "home";
	title = TITLES[name] ?? "";
	main.className = `main at-${name || "home"}`;
	fill(main);
	VIEWS[name](main, shown.signal, argument);
	showTitle();
}

/** @type {View} */
function homeView(view, signal) {
	watch(() => {
		if (!store.loaded || view.childElementCount) return;
		if (store.sessions.length === 0) location.replace("#/new");
		else
			view.append(
				h(
					"div.empty",
					h("p", "Choose a session, or "),
					h("a", { href: "#/new", class: "button primary" }, "start a new one"),
				),
			);
	}, signal);
}

/** The page's title says that somebody is waited for. */
function showTitle() {
	const waiting = store.permissions.length;
	const name = document.body.dataset.title || title;
	document.title = `${waiting ? `(${waiting}) ` : ""}${name ? `${name} · ` : ""}Wingman`;
	const href = waiting ? "/console/icon-waits.svg" : "/console/icon.svg";
	const link = document.querySelector("link[rel=icon]");
	if (link?.getAttribute("href") !== href) link?.setAttribute("href", href);
}

function enter() {
	life.abort();
	life = new AbortController();
	document.body.classList.remove("locked");
	side(/** @type {HTMLElement} */ (document.getElementById("side")), life.signal);
	start(life.signal);
	watch(showTitle, life.signal);
	go();
}

function isLocked() {
	return document.body.classList.contains("locked");
}

/** Ask who it is. @param {string} [refused] why a link did not work */
function lock(refused = "") {
	if (isLocked() && !refused) return;
	life.abort();
	shown.abort();
	document.body.classList.add("locked");
	loginView(main, enter, refused);
}

/** A link that `wingman serve` printed has a secret that works once: it is not kept in the address. */
async function useLink() {
	const link = /^#link=(.+)$/.exec(location.hash)?.[1];
	if (!link) return "";
	history.replaceState(null, "", `${location.pathname}#/`);
	try {
		await api.login({ link });
		return "";
	} catch (error) {
		return error instanceof ApiError ? error.message : String(error);
	}
}

async function arrive() {
	const refused = await useLink();
	const login = await api.whetherLoggedIn().catch(() => null);
	if (login?.needed && !login.expires_at) lock(refused);
	else enter();
}

whenUnauthorized(() => lock());
window.addEventListener("hashchange", () => {
	if (location.hash.startsWith("#link=")) arrive();
	else if (!isLocked()) go();
});
keys();
countTimes();
await arrive();
