/** The side: where one can go, and the sessions. */

import { api } from "../api.js";
import { button, fill, follow, h, icon, say, sessionHref, set } from "../dom.js";
import { help } from "../keys.js";
import { nameOf, older, store, watch } from "../store.js";
import { ago } from "../text.js";

/** @type {[string, string, (session: Session) => boolean][]} */
const FILTERS = [
	["all", "All", () => true],
	["active", "Active", ({ status }) => status !== "idle"],
	[
		"waiting",
		"Waiting",
		({ id, status }) => status === "waiting" || store.permissions.some(({ session_id }) => session_id === id),
	],
];

/** @param {HTMLElement} element @param {AbortSignal} signal */
export function side(element, signal) {
	let filter = "all";
	const search = h("input", {
		type: "search",
		id: "search",
		placeholder: "Search",
		"aria-label": "Search the sessions",
		autocomplete: "off",
		oninput: () => {
			if (search.value) loadAll(signal).catch(() => {});
			show();
		},
	});
	const filters = h(
		"div.filters",
		{ role: "group", "aria-label": "Which sessions" },
		FILTERS.map(([id, label]) =>
			button({ label, class: "chip" }, () => {
				filter = id;
				show();
			}),
		),
	);
	const list = h("ul.sessions");
	const more = button({ label: "Older sessions", class: "quiet wide" }, older);
	const nothing = h("p.muted.nothing");
	const trouble = h("p.trouble", { role: "alert" });
	const links = {
		approvals: link("#/approvals", "hand", "Approvals"),
		runtime: link("#/runtime", "pulse", "Runtime"),
		agents: link("#/agents", "user", "Agents"),
	};
	const out = button({ label: "Log out", class: "quiet small" }, async () => {
		await api.logout();
		location.reload();
	});
	out.hidden = true;
	api.whetherLoggedIn().then(
		({ needed }) => {
			out.hidden = !needed;
		},
		() => {},
	);
	const waiting = h("span");
	const waits = h("span.count", waiting, h("span.unseen", " wait"));
	links.approvals.append(waits);
	fill(
		element,
		h(
			"div.top",
			h(
				"a.brand",
				{ href: "#/" },
				h("img", { src: "/console/icon.svg", alt: "", width: 22, height: 22 }),
				h("span", "Wingman"),
			),
			out,
			button({ label: "", icon: "keys", class: "quiet", title: "Keys" }, help),
		),
		h("a.button.primary.wide", { href: "#/new" }, icon("add"), h("span", "New session")),
		h("nav", { "aria-label": "Console" }, ...Object.values(links)),
		trouble,
		h(
			"section.list",
			{ "aria-label": "Sessions" },
			h("div.find", icon("search"), search),
			filters,
			h("div.scroll", list, nothing, more),
		),
	);
	watch(show, signal);
	window.addEventListener("hashchange", show, { signal });

	function show() {
		for (const [name, each] of Object.entries(links))
			set(each, "aria-current", location.hash.startsWith(`#/${name}`) ? "page" : null);
		say(waiting, store.permissions.length ? String(store.permissions.length) : "");
		waits.hidden = store.permissions.length === 0;
		FILTERS.forEach(([id], index) => set(filters.children[index], "aria-pressed", String(id === filter)));
		const sessions = found(search.value, filter);
		follow(list, sessions, ({ id }) => id, row, update);
		more.hidden = !store.next;
		say(
			nothing,
			sessions.length || !store.loaded
				? ""
				: store.sessions.length
					? "No session is like that."
					: "There are no sessions yet.",
		);
		say(trouble, store.trouble ?? "");
	}
}

/** @param {string} href @param {string} sign @param {string} label */
function link(href, sign, label) {
	return h("a", { href }, icon(sign), h("span", label));
}

/** @param {string} words @param {string} filter */
function found(words, filter) {
	const fits = /** @type {(typeof FILTERS)[0]} */ (FILTERS.find(([id]) => id === filter))[2];
	const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
	return store.sessions.filter((session) => {
		const text = `${nameOf(session)} ${session.work_dir} ${session.id}`.toLowerCase();
		return fits(session) && wanted.every((word) => text.includes(word));
	});
}

/** A search looks at all sessions, and not at the newest alone. @param {AbortSignal} signal */
async function loadAll(signal) {
	while (!signal.aborted && store.sessions.length < 5000 && (await older()));
}

/** @param {Session} session */
function row(session) {
	return h(
		"li",
		h("a", { href: sessionHref(session.id) }, h("span.dot"), h("span.name"), h("span.when"), h("span.where")),
	);
}

/** @param {HTMLElement} element @param {Session} session */
function update(element, session) {
	const link = /** @type {HTMLElement} */ (element.firstElementChild);
	const [dot, name, when, where] = /** @type {HTMLElement[]} */ ([...link.children]);
	const asks = store.permissions.filter(({ session_id }) => session_id === session.id).length;
	const state = asks ? "waiting" : session.status;
	set(dot, "data-state", state);
	say(name, nameOf(session));
	say(when, ago(session.updated_at, Date.now()));
	say(
		where,
		`${state === "idle" ? "" : `${asks ? "waits for you" : state} · `}${session.work_dir.split("/").filter(Boolean).at(-1) ?? "/"}`,
	);
	set(link, "title", `${nameOf(session)}\n${session.work_dir}`);
	set(link, "aria-current", location.hash === link.getAttribute("href") ? "page" : null);
}
