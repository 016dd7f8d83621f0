/** A new session: its agent and its directory. */

import { api } from "../api.js";
import { fill, form, h, heading, sessionHref } from "../dom.js";
import { agentOf, isKeyless, refresh, refreshAgents, store, watch } from "../store.js";
import { agentForm } from "./agent-form.js";
import { complaint } from "./dialog.js";

/** @type {View} */
export function newSessionView(main, signal) {
	const trouble = complaint();
	const agents = h("select", { id: "new-agent", onchange: show });
	const about = h("p.muted");
	const place = directoryField("new-dir");
	const firstPlace = directoryField("first-dir");
	const title = h("input", { id: "new-title", placeholder: "Its first message, if you give it none", maxlength: 4096 });
	const choice = form(
		{ class: "fields" },
		() => create(agents.value, place.value),
		h("label", { for: "new-agent" }, "Agent"),
		agents,
		about,
		...placeFields(),
		trouble.element,
		h(
			"p.actions",
			h("button", { type: "submit", class: "primary" }, "Start the session"),
			h("a", { href: "#/agents", class: "button" }, "Another agent…"),
		),
	);
	const first = h("div");
	const card = h("div.card.narrow");
	main.append(heading("New session"), h("div.page", card));
	let shown = "";
	const loaded = refreshAgents().catch(trouble.show);
	watch(async () => {
		await loaded;
		const kind = store.agents.length ? "choice" : "first";
		if (kind !== shown) {
			shown = kind;
			if (kind === "choice") fill(card, choice);
			else {
				fill(
					first,
					h("p.lead", "A session needs an agent: which model it has, and which tools. Here is one to begin with."),
					h("div.fields", h("label", { for: "first-dir" }, "Directory that its tools work in"), firstPlace),
					agentForm(
						null,
						async (agent) => {
							await refreshAgents();
							await create(agent.id, firstPlace.value);
						},
						"Create it and start a session",
					),
				);
				fill(card, first);
			}
		}
		const chosen = agents.value || localStorage.getItem("agent") || "";
		const ids = store.agents.map(({ id }) => id).join();
		if (agents.dataset.ids === ids) return;
		agents.dataset.ids = ids;
		fill(agents, ...store.agents.map(({ id, name }) => h("option", { value: id }, name)));
		agents.value = agentOf(chosen) ? chosen : (store.agents[0]?.id ?? "");
		show();
	}, signal);

	function placeFields() {
		return [
			h("label", { for: "new-dir" }, "Directory that its tools work in"),
			place,
			h("label", { for: "new-title" }, "Title"),
			title,
		];
	}

	function show() {
		const agent = agentOf(agents.value);
		if (!agent) return;
		const { id, model } = agent.provider;
		fill(
			about,
			isKeyless(agent)
				? "No language model: it does as it is told, and needs no key"
				: `${id}${model ? `, ${model}` : ""}`,
			`. ${agent.tools.length ? `Tools: ${agent.tools.join(", ")}` : "No tools"}.`,
		);
	}

	/** @param {string} agentId @param {string} directory */
	async function create(agentId, directory) {
		await trouble.during(async () => {
			/** @type {Record<string, any>} */
			const fields = { agent_id: agentId };
			if (directory.trim()) fields.work_dir = directory.trim();
			if (title.value.trim()) fields.title = title.value.trim();
			const session = await api.createSession(fields);
			localStorage.setItem("agent", agentId);
			refresh();
			location.hash = sessionHref(session.id);
		});
	}
}

/** @param {string} id */
function directoryField(id) {
	return h("input.code", {
		id,
		placeholder: "The server's own directory",
		dir: "ltr",
		autocomplete: "off",
		spellcheck: "false",
	});
}
