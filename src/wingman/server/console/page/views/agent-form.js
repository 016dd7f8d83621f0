/** What an agent is: a form, to make one or to change one. */

import { api } from "../api.js";
import { fill, form, h } from "../dom.js";
import { complaint } from "./dialog.js";

/** @type {Record<string, [string, any]>} */
const ASKING = {
	some: [
		"Ask me before commands, changes of files, and the web",
		{ "*": "allow", bash: "ask", edit: "ask", webfetch: "ask" },
	],
	all: ["Ask me before each call", "ask"],
	none: ["Run all calls without asking", null],
};
const USUAL = ["bash", "read", "write", "edit", "glob", "grep"];

/**
 * @param {Agent | null} agent the one to change; null: a new one
 * @param {(agent: Agent) => void} onSaved
 * @param {string} [label]
 */
export function agentForm(agent, onSaved, label = agent ? "Save" : "Create the agent") {
	const trouble = complaint();
	const name = h("input", { id: "agent-name", required: true, maxlength: 200, value: agent?.name ?? "Assistant" });
	const provider = h("select", { id: "agent-provider", onchange: showModels });
	const model = h("input", {
		id: "agent-model",
		list: "agent-models",
		placeholder: "The provider's default",
		value: agent?.provider.model ?? "",
		autocomplete: "off",
	});
	const models = h("datalist", { id: "agent-models" });
	const modelField = h("div", h("label", { for: "agent-model" }, "Model"), model, models);
	const advice = h("p.muted");
	const instructions = h("textarea", {
		id: "agent-instructions",
		rows: 3,
		value: agent?.instructions ?? "",
		placeholder: "What the model is told first. May be empty.",
		dir: "auto",
	});
	const tools = h("fieldset.tools", h("legend", "Tools"));
	const rules = h("select", { id: "agent-rules" });
	const files = h("input", { type: "checkbox", checked: agent?.instruction_files ?? false });
	/** @type {Partial<Provider>[]} */
	let providers = [];

	const element = form(
		{ class: "fields" },
		() => trouble.during(save),
		h("label", { for: "agent-name" }, "Name"),
		name,
		h("div.pair", h("div", h("label", { for: "agent-provider" }, "Provider"), provider), modelField),
		advice,
		h("label", { for: "agent-instructions" }, "Instructions"),
		instructions,
		tools,
		h("label", { for: "agent-rules" }, "Before its calls run"),
		rules,
		h("label.check", files, h("span", "The model also reads AGENTS.md of the session's directory")),
		trouble.element,
		h("p.actions", h("button", { type: "submit", class: "primary" }, label)),
	);
	const own = agent
		? Object.keys(ASKING).find((id) => JSON.stringify(ASKING[id][1]) === JSON.stringify(agent.permissions ?? null))
		: "some";
	fill(
		rules,
		...Object.entries(ASKING).map(([id, [words]]) => h("option", { value: id }, words)),
		own ? null : h("option", { value: "own" }, "Its own rules, as they are"),
	);
	rules.value = own ?? "own";
	trouble.during(load);

	async function load() {
		const [found, known] = await Promise.all([api.providers(), api.tools()]);
		providers = found;
		fill(
			provider,
			found.map(({ id, configured }) =>
				h(
					"option",
					{ value: id },
					id === "scripted" ? "No model (scripted): does as it is told" : `${id}${configured ? "" : " (no key)"}`,
				),
			),
		);
		const first = ["anthropic", "openai", "gemini"].find((id) =>
			found.some((each) => each.id === id && each.configured),
		);
		provider.value = agent?.provider.id ?? first ?? "scripted";
		const chosen = new Set(agent?.tools ?? USUAL);
		for (const { name: tool, description } of known) {
			const box = h("input", { type: "checkbox", name: "tool", value: tool, checked: chosen.has(tool) });
			tools.append(h("label.check", { title: description }, box, h("span", tool)));
		}
		showModels();
	}

	function showModels() {
		const {
			id,
			configured,
			default_model: usual,
			key_variable: variable,
		} = providers.find((each) => each.id === provider.value) ?? {};
		modelField.hidden = id === "scripted";
		model.placeholder = usual ?? "Which model?";
		fill(
			advice,
			configured === false && [
				"It has no key yet: set ",
				h("code", variable ?? "its key"),
				" where the server runs, or store one under ",
				h("a", { href: "#/runtime" }, "Runtime"),
				".",
			],
		);
		fill(models);
		if (id && id !== "scripted" && configured)
			api.models(id).then(
				(found) => fill(models, found.slice(0, 300).map((each) => h("option", { value: each.id }))),
				() => {},
			);
	}

	async function save() {
		/** @type {Record<string, any>} */
		const fields = {
			name: name.value.trim(),
			instructions: instructions.value,
			tools: [...element.querySelectorAll("input[name=tool]:checked")].map(
				(each) => /** @type {HTMLInputElement} */ (each).value,
			),
			provider: { ...(agent?.provider.id === provider.value ? agent.provider : {}), id: provider.value },
			instruction_files: files.checked,
		};
		delete fields.provider.model;
		if (provider.value !== "scripted" && model.value.trim()) fields.provider.model = model.value.trim();
		if (rules.value !== "own") fields.permissions = ASKING[rules.value][1];
		onSaved(await (agent ? api.updateAgent(agent.id, fields) : api.createAgent(fields)));
	}

	return element;
}
