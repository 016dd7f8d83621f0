/** The runtime: what is alive, what runs and waits, how models are reached. */

import { ApiError, api } from "../api.js";
import { button, fill, follow, form, h, heading, say, sessionHref } from "../dom.js";
import { every } from "../frames.js";
import { nameOf, store, watch } from "../store.js";
import { ago, count, duration, oneLine } from "../text.js";
import { complaint, dialog } from "./dialog.js";
import { receiptElement } from "./outcome.js";
import { serversTable } from "./servers.js";
import { rows, stateChip } from "./table.js";

/** @type {View} */
export function runtimeView(main, signal) {
	const trouble = complaint(); // of what is asked again and again
	const refused = complaint();
	const tiles = h("dl.tiles");
	const actors = rows("In memory", ["Session or toolset", "State", "Mailbox", "Doing", "For", "Handled", "Restarts"]);
	const runs = rows("Runs in flight and waiting", ["Run", "Session", "Status", "Since", ""]);
	const quarantine = h("section");
	const providers = rows("Providers", ["Provider", "Configured", "Default model", "Where its key goes", ""]);
	const servers = serversTable(refused);
	const tools = h("section");
	main.append(
		heading("Runtime"),
		h(
			"div.page.wide",
			trouble.element,
			refused.element,
			tiles,
			quarantine,
			runs.element,
			actors.element,
			providers.element,
			servers.element,
			tools,
		),
	);
	let show = () => {};
	watch(() => show(), signal); // the store has the sessions' names
	every(2_000, live, signal);
	every(30_000, slow, signal);

	async function live() {
		try {
			const [state, open, mcp, ready] = await Promise.all([
				api.actors(),
				api.runs("queued,running,waiting,cancelling"),
				api.mcp(),
				api.ready().then(
					() => null,
					(error) => error,
				),
			]);
			trouble.clear();
			show = () => {
				showTiles(state, ready);
				showActors(state.actors);
				showQuarantine(state.quarantined);
				showRuns(open.entries);
			};
			show();
			servers.show(mcp);
		} catch (error) {
			trouble.show(error);
		}
	}

	async function slow() {
		try {
			const [known, auth] = await Promise.all([api.providers(), api.providerAuth()]);
			showProviders(known, auth.providers);
			showTools(await api.tools());
		} catch (error) {
			trouble.show(error);
		}
	}

	/** @param {Actors} state @param {ApiError | null} ready */
	function showTiles(state, ready) {
		const { in_flight, places, waiting, asking } = state.runs;
		/** @type {[string, string, boolean][]} */
		const facts = [
			["Server", ready ? ready.code.replace("_", " ") : "ready", ready !== null],
			["In flight", `${count(in_flight)} of ${count(places)}`, in_flight >= places],
			["Wait for a place", count(waiting), false],
			["Wait for people", count(asking), asking > 0],
			["In memory", count(state.actors.length), false],
			["Restarts", count(state.actors.reduce((sum, { restarts }) => sum + restarts, 0)), false],
			["Dead letters", count(state.dead_letters), state.dead_letters > 0],
		];
		follow(
			tiles,
			facts,
			([name]) => name,
			([name]) => h("div", h("dt", name), h("dd")),
			(tile, [, value, alarming]) => {
				say(tile.lastElementChild, value);
				tile.classList.toggle("alarming", alarming);
			},
		);
	}

	/** @param {any[]} found */
	function showActors(found) {
		actors.show(
			found,
			({ name }) => name,
			({ name, state, mailbox, doing, for_seconds: seconds, handled, restarts }) => [
				actorName(name),
				stateChip(state),
				count(mailbox),
				doing ? h("code", doing.replace(/^run /, "").slice(-6)) : "",
				seconds === null ? "" : duration(seconds * 1000),
				count(handled),
				count(restarts),
			],
			"Nothing is in memory: sessions come when they are needed.",
		);
	}

	/** @param {Record<string, string>} set_aside */
	function showQuarantine(set_aside) {
		const found = Object.entries(set_aside ?? {});
		quarantine.hidden = found.length === 0;
		fill(
			quarantine,
			h("h2", "Set aside"),
			h("p.muted", "These sessions' actors crashed too often. They are tried again after a minute."),
			h(
				"ul",
				...found.map(([id, reason]) => h("li.complaint", sessionLink(id.replace(/^session /, "")), " ", reason)),
			),
		);
	}

	/** @param {any[]} open */
	function showRuns(open) {
		runs.show(
			open,
			({ id }) => id,
			(run) => [
				h("span", oneLine(run.message, 80)),
				sessionLink(run.session_id),
				h("span", stateChip(run.status), run.waiting_for ? h("p.muted", run.waiting_for.message) : null),
				ago(run.started_at ?? run.created_at, Date.now()),
				button({ label: "Cancel", class: "small", named: `Cancel the run: ${oneLine(run.message, 60)}` }, () =>
					refused.during(async () => {
						const receipt = await api.cancelRun(run.session_id, run.id);
						dialog("Cancelled", [receiptElement(receipt, (id) => id)]);
					}),
				),
			],
			"Nothing runs, and nothing waits.",
		);
	}

	/** @param {any[]} known @param {Record<string, any>} auth */
	function showProviders(known, auth) {
		providers.show(
			known,
			({ id }) => id,
			({ id, configured, default_model: model, key_variable: variable }) => [
				h("strong", id === "scripted" ? "scripted (no model)" : id),
				h(
					"span",
					{ class: configured ? "yes" : "muted" },
					configured ? "yes" : variable ? h("span", "no: ", h("code", variable)) : "no",
				),
				model ?? "",
				h("code", { dir: "ltr" }, auth[id]?.base_url ?? ""),
				id === "scripted"
					? ""
					: button({ label: "Set a key…", class: "small", named: `Set a key for ${id}` }, () => keyDialog(id)),
			],
			"",
		);
	}

	/** @param {string} id */
	function keyDialog(id) {
		const problem = complaint();
		const key = h("input", {
			type: "password",
			id: "provider-key",
			autocomplete: "off",
			placeholder: "It is stored, and never shown again",
		});
		const base = h("input", {
			type: "url",
			id: "provider-base",
			class: "code",
			placeholder: "The provider's own",
			dir: "ltr",
		});
		const close = dialog(`Key for ${id}`, [
			form(
				{ class: "fields" },
				() =>
					problem.during(async () => {
						/** @type {Record<string, any>} */
						const credential = { type: "api_key" };
						if (key.value) credential.key = key.value;
						if (base.value) credential.base_url = base.value;
						await api.storeCredential(id, credential);
						close();
						await slow();
					}),
				h("label", { for: "provider-key" }, "Key"),
				key,
				h("label", { for: "provider-base" }, "Where its API lives"),
				base,
				problem.element,
				h(
					"p.actions",
					h("button", { type: "submit", class: "primary" }, "Store"),
					button({ label: "Remove what is stored", class: "danger" }, () =>
						problem.during(async () => {
							await api.deleteCredential(id);
							close();
							await slow();
						}),
					),
				),
			),
		]);
	}

	/** @param {any[]} found */
	function showTools(found) {
		fill(
			tools,
			h("h2", "Tools"),
			h(
				"dl.known",
				...found.flatMap(({ name, description }) => [
					h("dt", h("code", name)),
					h("dd", oneLine(description.split("\n")[0], 200)),
				]),
			),
		);
	}
}

/** A session by its name, and what holds a toolset by that of the toolset. @param {string} actor */
function actorName(actor) {
	const [, kind, name] = /^(session |toolset\/)(.+?)(?:\/\d+)?$/.exec(actor) ?? [];
	if (kind === "session ") return sessionLink(name);
	return h("span", name ? h("span.muted", "toolset ") : "", name ?? actor);
}

/** @param {string} id */
function sessionLink(id) {
	return h("a", { href: sessionHref(id) }, nameOf(store.sessions.find((each) => each.id === id) ?? { id }));
}
