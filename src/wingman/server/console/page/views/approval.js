/** A question to a person: may this call run? */

import { ApiError, api } from "../api.js";
import { button, fill, h, say } from "../dom.js";
import { refresh, store } from "../store.js";
import { announce, complaint } from "./dialog.js";
import { inputTable } from "./value.js";

/**
 * What one can answer. `always` and `input` are null where the server has to be asked for them.
 *
 * @param {{sessionId: string, id: string, tool: string, always: string[] | null, input: Record<string, any> | null, withInput: boolean}} asked
 */
export function approval({ sessionId, id, tool, always, input, withInput }) {
	const trouble = complaint();
	const word = h("input", {
		type: "text",
		class: "word",
		placeholder: "A word to the model, if you like",
		"aria-label": "A word to the model",
		maxlength: 10_000,
	});
	const editor = h("textarea.code", {
		rows: 6,
		spellcheck: "false",
		"aria-label": `The input of ${tool}, as JSON`,
		hidden: true,
	});
	const edit = button({ label: "Edit the input", class: "quiet" }, () =>
		editor.hidden ? openEditor() : closeEditor(),
	);
	const allowAlways = button({ label: "Always allow" }, () => answer("always"));
	const grants = h("p.muted.always");
	const table = h("div");
	const element = h(
		"div.approval",
		{ role: "group", "aria-label": `May ${tool} run?` },
		table,
		editor,
		h(
			"div.actions",
			button({ label: "Allow once", icon: "check", class: "primary" }, () => answer("once")),
			button({ label: "Reject", icon: "close", class: "danger" }, () => answer("reject")),
			allowAlways,
			edit,
			word,
		),
		grants,
		trouble.element,
	);
	showGrants(always ?? []);
	if (withInput && input) fill(table, inputTable(input));
	if (always === null || (withInput && !input)) {
		whole().then((request) => {
			showGrants(request.always);
			if (withInput) fill(table, inputTable(request.input ?? {}));
		}, trouble.show);
	}

	function whole() {
		return api.permission(sessionId, id);
	}

	/** @param {string[]} patterns what `always` would allow; nothing, where it cannot be answered */
	function showGrants(patterns) {
		allowAlways.hidden = patterns.length === 0;
		fill(
			grants,
			patterns.length > 0 && "“Always” allows in this session: ",
			...patterns.flatMap((each, at) => [at ? ", " : "", h("code", { dir: "ltr" }, each)]),
		);
	}

	async function openEditor() {
		await trouble.during(async () => {
			editor.value = JSON.stringify(input ?? (await whole()).input ?? {}, null, 2);
			editor.rows = Math.min(20, editor.value.split("\n").length + 1);
			editor.hidden = false;
			say(/** @type {Element} */ (edit.firstElementChild), "Leave the input as it was");
			editor.focus();
		});
	}

	function closeEditor() {
		editor.hidden = true;
		say(/** @type {Element} */ (edit.firstElementChild), "Edit the input");
	}

	/** @param {"once" | "always" | "reject"} decision */
	async function answer(decision) {
		await trouble.during(async () => {
			/** @type {Record<string, any>} */
			const body = { decision };
			if (word.value.trim()) body.message = word.value.trim();
			if (!editor.hidden && decision !== "reject") body.input = parsed(editor.value);
			try {
				await api.answer(sessionId, id, body);
			} catch (error) {
				if (!(error instanceof ApiError && error.code === "already_resolved")) throw error;
				announce("It was answered already.");
			}
			store.permissions = store.permissions.filter((each) => each.id !== id);
			element.classList.add("answered");
			for (const each of element.querySelectorAll("button, input, textarea")) each.setAttribute("disabled", "");
			announce(decision === "reject" ? `${tool} is rejected.` : `${tool} is allowed.`);
			refresh();
		});
	}

	return element;
}

/** @param {string} text */
function parsed(text) {
	let value;
	try {
		value = JSON.parse(text);
	} catch (error) {
		throw new ApiError(0, "invalid_json", `The input is no JSON: ${/** @type {Error} */ (error).message}`);
	}
	if (typeof value !== "object" || value === null || Array.isArray(value))
		throw new ApiError(0, "invalid_json", "The input must be an object: {…}.");
	return value;
}
