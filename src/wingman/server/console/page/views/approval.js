/** What a call waits for, asked of a person: may it run, or what does the tool want to know? */

import { ApiError, api } from "../api.js";
import { button, fill, h, say, set } from "../dom.js";
import { answered, refresh } from "../store.js";
import { announce, complaint } from "./dialog.js";
import { question } from "./question.js";
import { inputTable, jsonField } from "./value.js";

/**
 * What is not known of it yet is asked of the server.
 *
 * @param {{sessionId: string, asked: Asked, input: Record<string, any> | null, showsInput: boolean}} call
 */
export function approval({ sessionId, asked, input, showsInput }) {
	const trouble = complaint();
	const element = h("div.approval", { role: "group" }, trouble.element);
	if (asked.always && input) show(input);
	else read();
	return element;

	async function read() {
		trouble.clear();
		fill(element, trouble.element);
		try {
			Object.assign(asked, await api.permission(sessionId, asked.id));
			show(asked.input ?? input ?? {});
		} catch (error) {
			trouble.show(error);
			element.append(button({ label: "Look again", class: "small" }, read));
		}
	}

	/** @param {Record<string, any>} known */
	function show(known) {
		set(element, "aria-label", asked.schema ? `A question of ${asked.tool}` : `May ${asked.tool} run?`);
		const form = asked.schema ? question(asked, answer) : permission(asked, answer, known, showsInput);
		fill(element, form, trouble.element);
	}

	/** @type {Answer} */
	function answer(body, said) {
		return trouble.during(async () => {
			try {
				await api.answer(sessionId, asked.id, body());
			} catch (error) {
				if (!(error instanceof ApiError && error.code === "already_resolved")) throw error;
				said = "It was answered already.";
			}
			answered(asked.id);
			element.classList.add("answered");
			for (const each of element.querySelectorAll("button, input, select, textarea")) set(each, "disabled", true);
			announce(said);
			refresh();
		});
	}
}

/** @param {Asked} asked @param {Answer} answer @param {Record<string, any>} input @param {boolean} showsInput */
function permission({ tool, always = [] }, answer, input, showsInput) {
	const word = h("input", {
		type: "text",
		class: "word",
		placeholder: "A word to the model, if you like",
		"aria-label": "A word to the model",
		maxlength: 10_000,
	});
	const editor = jsonField(`The input of ${tool}, as JSON`, input);
	editor.element.hidden = true;
	const edit = button({ label: "Edit the input", class: "quiet" }, () => {
		const isOpen = editor.element.hidden;
		editor.element.hidden = !isOpen;
		say(edit.firstElementChild, isOpen ? "Leave the input as it was" : "Edit the input");
		if (isOpen) editor.element.focus();
	});

	/** @param {"once" | "always" | "reject"} decision @param {string} said */
	function decide(decision, said) {
		return answer(
			() => ({
				decision,
				message: word.value.trim() || undefined,
				input: editor.element.hidden || decision === "reject" ? undefined : editor.read(),
			}),
			`${tool} is ${said}.`,
		);
	}

	return h(
		"div.asking",
		showsInput && inputTable(input),
		editor.element,
		h(
			"div.actions",
			button({ label: "Allow once", icon: "check", class: "primary" }, () => decide("once", "allowed")),
			button({ label: "Reject", icon: "close", class: "danger" }, () => decide("reject", "rejected")),
			always.length > 0 && button({ label: "Always allow" }, () => decide("always", "allowed")),
			edit,
			word,
		),
		always.length > 0 &&
			h(
				"p.muted.always",
				"“Always” allows in this session: ",
				always.flatMap((each, at) => [at ? ", " : "", h("code", { dir: "ltr" }, each)]),
			),
	);
}
