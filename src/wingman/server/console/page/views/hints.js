/** What a session without messages shows: how one begins. */

import { button, h } from "../dom.js";
import { isKeyless } from "../store.js";

/** @type {[string, string][]} */
const EXAMPLES = [
	["List the files", "!bash ls -la"],
	["Two calls side by side", "!bash for i in 1 2 3 4 5; do echo line $i; sleep 1; done\n!bash sleep 30"],
	["Two steps", "!bash echo first > /tmp/wingman-console.txt\n---\n!read /tmp/wingman-console.txt"],
];

/** @param {Agent | null} agent @param {(words: string) => void} write */
export function hints(agent, write) {
	if (!agent || !isKeyless(agent)) {
		return h(
			"div.hints",
			h("h2", "What is to be done?"),
			h(
				"p.muted",
				agent
					? `${agent.name} has ${agent.tools.length ? `the tools ${agent.tools.join(", ")}` : "no tools"}, and works in the session's directory.`
					: "Choose an agent below, and write a message.",
			),
		);
	}
	const usable = EXAMPLES.filter(([, words]) =>
		[...words.matchAll(/^!(\w+)/gm)].every(([, tool]) => agent.tools.includes(tool)),
	);
	return h(
		"div.hints",
		h("h2", "This agent has no language model"),
		h(
			"p",
			"It does what each line of a message says, and needs no key. ",
			h("code", "!bash ls"),
			" is a call of the tool bash. Lines that follow each other run side by side; a line ",
			h("code", "---"),
			" begins the next step.",
		),
		h(
			"div.examples",
			usable.map(([label, words]) => {
				const element = button({ label: "", class: "example", named: `Write: ${label}` }, () => write(words));
				element.append(h("strong", label), h("code", words));
				return element;
			}),
		),
		h(
			"p.muted",
			"For a language model, give the agent another provider: ",
			h("a", { href: `#/agents/${encodeURIComponent(agent.id)}` }, "change the agent"),
			".",
		),
	);
}
