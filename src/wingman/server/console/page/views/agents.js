/** The agents: what there is, and a form to make or to change one. */

import { api } from "../api.js";
import { button, fill, follow, h, heading, say } from "../dom.js";
import { agentOf, isKeyless, refreshAgents, store, watch } from "../store.js";
import { agentForm } from "./agent-form.js";
import { confirm } from "./dialog.js";

/** @type {View} */
export function agentsView(main, signal, id) {
	const list = h("ul.agents");
	const card = h("section.card.narrow");
	main.append(heading("Agents", id ? "#/agents" : "#/"), h("div.page.two", list, card));
	const loaded = refreshAgents().catch(() => {});
	let formOf = /** @type {string | null} */ (null);
	watch(async () => {
		await loaded;
		follow(
			list,
			store.agents,
			(agent) => agent.id,
			row,
			(element, agent) => {
				const [name, what] = /** @type {HTMLElement[]} */ ([...element.children]);
				say(name, agent.name);
				say(
					what,
					`${isKeyless(agent) ? "no model" : [agent.provider.id, agent.provider.model].filter(Boolean).join(", ")} · ${agent.tools.length ? agent.tools.join(", ") : "no tools"}`,
				);
				if (agent.id === id) name.setAttribute("aria-current", "page");
			},
		);
		const agent = id ? agentOf(id) : null;
		const wanted = agent?.id ?? "new";
		if (formOf === wanted) return;
		formOf = wanted;
		const isCode = agent !== null && agent.id === agent.name;
		fill(
			card,
			h("h2", agent ? agent.name : "New agent"),
			isCode
				? h("p.muted", "The program defines this agent: it cannot be changed here.")
				: agentForm(agent, async (saved) => {
						await refreshAgents();
						location.hash = agent ? "#/agents" : `#/agents/${encodeURIComponent(saved.id)}`;
					}),
			agent && !isCode
				? h(
						"p.actions",
						h("a.button", { href: "#/agents" }, "A new one instead"),
						button({ label: "Delete…", class: "danger" }, () =>
							confirm(
								`Delete ${agent.name}?`,
								"Sessions keep their histories. Runs that were admitted keep the agent as it was.",
								"Delete",
								async () => {
									await api.deleteAgent(agent.id);
									await refreshAgents();
									location.hash = "#/agents";
								},
							),
						),
					)
				: null,
		);
	}, signal);
}

/** @param {Agent} agent */
function row(agent) {
	return h("li", h("a", { href: `#/agents/${encodeURIComponent(agent.id)}` }), h("span.muted"));
}
