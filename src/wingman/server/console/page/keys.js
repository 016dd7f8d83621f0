/** Keys that work everywhere. They can be switched off, for those whose tools press keys themselves. */

import { h } from "./dom.js";
import { dialog } from "./views/dialog.js";

/** @type {[string, string][]} */
const HELP = [
	["n", "New session"],
	["/", "Search the sessions"],
	["j, k", "Next session, the one before"],
	["a", "Approvals"],
	["r", "Runtime"],
	["g", "Agents"],
	["i", "Write a message"],
	["?", "These keys"],
	["Enter", "Send the message"],
	["Shift + Enter", "A new line in the message"],
	["Esc", "Leave a field, or close what is open"],
];

/** @type {Record<string, () => void>} */
const ACTIONS = {
	n: () => visit("#/new"),
	a: () => visit("#/approvals"),
	r: () => visit("#/runtime"),
	g: () => visit("#/agents"),
	j: () => neighbour(1),
	k: () => neighbour(-1),
	"/": () => focus("#search"),
	i: () => focus("#message"),
	"?": help,
};

export function keys() {
	document.addEventListener("keydown", (event) => {
		if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
		const target = /** @type {HTMLElement} */ (event.target);
		if (event.key === "Escape" && isField(target)) target.blur();
		if (isField(target) || document.querySelector("dialog[open]") || !areOn()) return;
		const action = ACTIONS[event.key];
		if (!action || document.body.classList.contains("locked")) return;
		event.preventDefault();
		action();
	});
}

function areOn() {
	return localStorage.getItem("keys") !== "off";
}

/** @param {HTMLElement} element */
function isField(element) {
	return element.matches("input, textarea, select, [contenteditable]");
}

/** @param {string} hash */
function visit(hash) {
	location.hash = hash;
}

/** @param {string} selector */
function focus(selector) {
	const element = /** @type {HTMLElement | null} */ (document.querySelector(selector));
	element?.focus();
}

/** @param {number} step */
function neighbour(step) {
	const links = [...document.querySelectorAll(".sessions a")];
	const at = links.findIndex((link) => link.getAttribute("aria-current") === "page");
	const next = links[Math.max(0, Math.min(links.length - 1, at + step))];
	if (next) visit(next.getAttribute("href") ?? "");
}

export function help() {
	const on = h("input", {
		type: "checkbox",
		checked: areOn(),
		onchange: () => localStorage.setItem("keys", on.checked ? "on" : "off"),
	});
	dialog("Keys", [
		h("dl.keys", ...HELP.flatMap(([key, meaning]) => [h("dt", h("kbd", key)), h("dd", meaning)])),
		h("label.check", on, h("span", "Single letters work as keys")),
	]);
}
