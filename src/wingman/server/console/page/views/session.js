/** A session: its transcript as it grows, what waits, and where one writes. */

import { ApiError, api } from "../api.js";
import { button, fill, form, h, icon, say, set } from "../dom.js";
import { soon } from "../frames.js";
import { agentOf, changed, nameOf, refresh, store, watch } from "../store.js";
import { cost, oneLine } from "../text.js";
import { composer } from "./composer.js";
import { announce, complaint, confirm, dialog } from "./dialog.js";
import { Follower } from "./follower.js";
import { hints } from "./hints.js";
import { itemsView } from "./items.js";
import { tokens } from "./outcome.js";
import { queueView } from "./queue.js";

const FIELDS = ":is(button, input, select, textarea):not([hidden])";
const NEAR = 90; // pixels from the end at which one looks at the end

/** @type {View} */
export function sessionView(main, signal, id) {
	const follower = new Follower(id, { onChange: () => soon(show), onNew, onEnd, onEvent }, signal);
	/** The agent of the next message. */
	let agentId = /** @type {string | null} */ (null);
	let following = true;
	let gone = false; // the session, for good

	const dot = h("span.dot");
	const title = h("h1", "…");
	const status = h("span.chip.status");
	const facts = h("p.facts.muted");
	const stopRun = button({ label: "Cancel the run", icon: "stop", class: "danger" }, cancelRun);
	const trouble = complaint();
	const head = h(
		"header.head",
		h("a.up", { href: "#/", "aria-label": "All sessions" }, icon("back")),
		h("div.grow", h("div.line", dot, title, status), facts),
		stopRun,
		button({ label: "", icon: "more", class: "quiet", title: "More about this session" }, about),
	);
	const link = h("p.broken", { role: "alert" });
	const items = itemsView({
		sessionId: id,
		transcript: () => /** @type {any} */ (follower.transcript),
		onReceipt: takeReceipt,
	});
	const welcome = h("div.welcome.column");
	const scroll = h(
		"section.transcript",
		{ "aria-label": "Transcript", tabindex: 0, onscroll: onScroll },
		welcome,
		items.element,
	);
	const down = button({ label: "To the end", icon: "down", class: "to-end" }, () => {
		following = true;
		toEnd();
	});
	const waits = h("p.waits", { hidden: true });
	const queue = queueView(id, (receipt, run) => {
		takeReceipt(receipt, null, null);
		follower.transcript?.amend(run.id, { status: "cancelled" });
		if (write.isEmpty()) write.write(run.message);
		soon(show);
	});
	const write = composer({
		sessionId: id,
		ready: follower.ready,
		flight: () => follower.transcript?.flight?.id ?? null,
		agentId: () => agentId,
		onAgent: (chosen) => {
			agentId = chosen;
			soon(show);
		},
		onSent,
	});
	main.append(
		head,
		link,
		scroll,
		h("footer.foot", h("div.column", down, trouble.element, waits, queue.element, write.element)),
	);
	watch(() => {
		pickAgent();
		show();
	}, signal);
	signal.addEventListener("abort", () => delete document.body.dataset.title);
	follower.start();
	if (matchMedia("(min-width: 800px)").matches) write.focus();

	function onNew() {
		items.reset();
		pickAgent();
		soon(show);
	}

	/** @param {ApiError} error */
	function onEnd(error) {
		if (error.status === 401) return;
		gone = true;
		say(link, error.status === 404 ? "This session does not exist, or was deleted." : error.message);
		if (!follower.transcript) say(title, "No session");
	}

	/** @param {Frame} frame */
	function onEvent({ id: eventId, event, data }) {
		if (event === "permission_requested" || event === "permission_resolved") refresh();
		if (event === "permission_requested") announce(`${data.tool} waits for your answer.`);
		if (event === "error" && eventId === null && data.code === "session_deleted")
			onEnd(new ApiError(404, data.code, data.message));
		if (event === "done")
			announce(data.stop_reason === "cancelled" ? "The run is cancelled." : "The run is completed.");
		if (event === "error" && eventId !== null) announce("The run has failed.");
		if (event === "done" || event === "error") {
			refresh();
			follower.pollRuns();
		}
	}

	/** The session's agent, or that of its last run, or the only one there is. */
	function pickAgent() {
		if (agentId !== null && agentOf(agentId)) return;
		const runs = [...(follower.transcript?.runs.values() ?? [])];
		const last = runs.find((run) => agentOf(run.agent_id))?.agent_id;
		agentId =
			follower.session?.agent_id ?? last ?? (follower.session && store.agents.length === 1 ? store.agents[0].id : null);
	}

	function onScroll() {
		following = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR;
		down.hidden = following;
	}

	function toEnd() {
		scroll.scrollTop = scroll.scrollHeight;
		down.hidden = true;
	}

	function show() {
		const { session, transcript } = follower;
		if (!session || !transcript || signal.aborted) return;
		const { flight } = transcript;
		const asked = [...transcript.calls.values()].filter(({ state }) => state === "waiting");
		const state =
			flight === null ? "idle" : asked.length ? "waiting" : (transcript.runs.get(flight.id)?.status ?? "running");
		const listed = store.sessions.find((each) => each.id === id);
		if (listed && session.title === null) session.title = listed.title;
		set(dot, "data-state", state);
		say(title, nameOf(session));
		document.body.dataset.title = oneLine(nameOf(session), 60);
		say(
			status,
			state === "idle"
				? "idle"
				: state === "waiting"
					? "waits for you"
					: `${state}${flight && flight.step > 1 ? `, step ${flight.step}` : ""}`,
		);
		status.dataset.state = state;
		fill(facts, h("code", { dir: "ltr" }, session.work_dir), ...sums(transcript).map((fact) => h("span.fact", fact)));
		stopRun.hidden = flight === null;
		if (gone) stopRun.hidden = true;
		else if (follower.connection === "live") say(link, "");
		else if (follower.connection === "broken") say(link, "The connection is gone. It is tried again; nothing is lost.");
		items.update(following);
		const empty = transcript.items.length === 0;
		const agent = agentId ? agentOf(agentId) : null;
		if (empty && welcome.dataset.agent !== (agent?.id ?? "")) {
			welcome.dataset.agent = agent?.id ?? "";
			fill(welcome, hints(agent, write.write));
		}
		welcome.hidden = !empty;
		queue.update(transcript.queue());
		showWaits(asked);
		write.update();
		if (following) toEnd();
	}

	/** @param {CallItem[]} asked */
	function showWaits(asked) {
		if (waits.dataset.asked === String(asked.length)) return;
		waits.dataset.asked = String(asked.length);
		waits.hidden = asked.length === 0;
		fill(
			waits,
			icon("hand"),
			h("span", asked.length === 1 ? "A call waits for your answer." : `${asked.length} calls wait for your answer.`),
			button({ label: "Go there", class: "quiet small" }, () => {
				const first = scroll.querySelector(`.approval:not(.answered) ${FIELDS}`);
				first?.scrollIntoView({ block: "center" });
				if (first instanceof HTMLElement) first.focus();
			}),
		);
	}

	/** @param {{run_id: string, steers?: string}} run @param {string} message @param {Image[]} images */
	function onSent({ run_id: runId, steers }, message, images) {
		const { transcript, session } = follower;
		if (images.length) follower.sent.set(runId, images);
		following = true;
		if (transcript && !transcript.runs.has(runId))
			transcript.amend(runId, { message, status: "queued", agent_id: agentId ?? "", steers });
		const isFirst = [...(transcript?.heads.keys() ?? [])].every((known) => known === runId);
		if (session && session.title === null && isFirst) {
			session.title = oneLine(message, 80);
			api
				.updateSession(id, { title: session.title, ...(session.agent_id ? {} : { agent_id: agentId }) })
				.then(refresh, () => {});
		}
		follower.pollRuns();
		refresh();
		soon(show);
	}

	/** @param {Receipt} receipt @param {string | null} runId @param {string | null} callId */
	function takeReceipt(receipt, runId, callId) {
		follower.transcript?.addReceipt(receipt, runId, callId);
		follower.keep();
		following = true;
		soon(show);
	}

	async function cancelRun() {
		await trouble.during(async () => {
			const runId = follower.transcript?.flight?.id;
			if (!runId) return;
			follower.transcript?.amend(runId, { status: "cancelling" });
			soon(show);
			const receipt = await api.cancelRun(id, runId);
			takeReceipt(receipt, runId, null);
			announce(
				receipt.cancelled.length ? "The run is cancelled. The receipt is at the end." : "There was nothing to cancel.",
			);
			refresh();
		});
	}

	function about() {
		const { session } = follower;
		if (!session) return;
		const problem = complaint();
		const name = h("input", { type: "text", value: session.title ?? "", maxlength: 4096, id: "session-title" });
		const place = h("input", { type: "text", value: session.work_dir, id: "session-dir", class: "code", dir: "ltr" });
		const close = dialog("This session", [
			form(
				{ class: "fields" },
				() =>
					problem.during(async () => {
						const after = await api.updateSession(id, { title: name.value.trim() || null, work_dir: place.value });
						Object.assign(session, { title: after.title, work_dir: after.work_dir });
						refresh();
						changed();
						close();
					}),
				h("label", { for: "session-title" }, "Title"),
				name,
				h("label", { for: "session-dir" }, "Directory, for the next run to start"),
				place,
				h("p.muted", "Id: ", h("code", id)),
				problem.element,
				h(
					"p.actions",
					h("button", { type: "submit", class: "primary" }, "Save"),
					button({ label: "Compact the history" }, () =>
						problem.during(async () => {
							await api.compact(id);
							follower.pollRuns();
							close();
						}),
					),
					button({ label: "Delete…", class: "danger" }, () => {
						close();
						confirm(
							"Delete this session?",
							"What runs is cancelled, and all of it is removed: messages, runs, images. It cannot be brought back.",
							"Delete",
							async () => {
								await api.deleteSession(id);
								store.sessions = store.sessions.filter((each) => each.id !== id);
								location.hash = "#/";
							},
						);
					}),
				),
			),
		]);
	}
}

/** Tokens and cost of all runs. @param {import("../transcript.js").Transcript} transcript */
function sums(transcript) {
	const sum = { input_tokens: 0, output_tokens: 0 };
	let dollars = 0;
	for (const { usage, cost: each } of transcript.runs.values()) {
		sum.input_tokens += usage.input_tokens;
		sum.output_tokens += usage.output_tokens;
		dollars += each ?? 0;
	}
	return [tokens(sum), dollars ? cost(dollars) : ""].filter(Boolean);
}
