/** The MCP servers, and what is connected to them. */

import { api } from "../api.js";
import { button, h } from "../dom.js";
import { oneLine, plural } from "../text.js";
import { rows, stateChip } from "./table.js";

/** @param {ReturnType<typeof import("./dialog.js").complaint>} trouble */
export function serversTable(trouble) {
	const table = rows("MCP servers", ["Server", "State", "", "Connections", "Reached by"]);
	/** @type {McpServer[]} */
	let servers = [];

	/** @param {McpServer[]} now */
	function show(now) {
		servers = now;
		table.show(servers, ({ name }) => name, cells, "There are none. They give agents more tools.");
	}

	/** @param {McpServer} server @returns {(Node | string)[]} */
	function cells({ name, status, reason, command, url, connections }) {
		return [
			h("strong", name),
			h("div", stateChip(status), reason && h("p.complaint", reason)),
			h(
				"div.actions",
				status !== "disabled" && status !== "connected" && order(name, "Connect", api.connect),
				connections.length > 0 && order(name, "Disconnect", api.disconnect),
			),
			h("ul", connections.map((each) => h("li", connectionElement(each)))),
			h("code", { dir: "ltr" }, oneLine(command?.join(" ") ?? url ?? "", 120)),
		];
	}

	/** @param {string} name @param {string} label @param {(name: string) => Promise<McpServer>} ask */
	function order(name, label, ask) {
		return button({ label, class: "small", named: `${label}: ${name}` }, () =>
			trouble.during(async () => {
				const after = await ask(name);
				show(servers.map((each) => (each.name === name ? after : each)));
			}),
		);
	}

	return { element: table.element, show };
}

/** @param {McpServer["connections"][0]} connection */
function connectionElement({ status, work_dir: directory, pid, calls = 0, tools = 0 }) {
	const facts = [pid && `process ${pid}`, plural(tools, "tool"), calls && `${plural(calls, "call")} under way`];
	return [
		directory ? h("code", { dir: "ltr" }, directory) : "all directories",
		h("p.muted", status === "connecting" ? "connecting" : facts.filter(Boolean).join(" · ")),
	];
}
