/** A tool call's input: in one line, as a table, and as JSON that people change. */

import { ApiError } from "../api.js";
import { h } from "../dom.js";
import { oneLine } from "../text.js";
import { outputBox } from "./output-box.js";

const NAMED = ["command", "path", "file_path", "pattern", "url", "query"];
/** Before and after, as the tool `edit` calls them. @type {Record<string, string>} */
const CHANGES = { old: "removed", new: "added", old_string: "removed", new_string: "added" };

/** What a call is about, in a line. @param {Record<string, any>} input */
export function summary(input) {
	const name =
		NAMED.find((each) => typeof input[each] === "string") ??
		Object.keys(input).find((each) => typeof input[each] === "string");
	if (name) return oneLine(input[name]);
	return Object.keys(input).length ? oneLine(JSON.stringify(input)) : "";
}

/** Whether the line says all of it. @param {Record<string, any>} input */
export function isSummed(input) {
	const values = Object.values(input);
	return (
		values.length === 0 || (values.length === 1 && typeof values[0] === "string" && oneLine(values[0]) === values[0])
	);
}

/** @param {Record<string, any>} input */
export function inputTable(input) {
	return h(
		"dl.input",
		...Object.entries(input).flatMap(([name, value]) => {
			const box = outputBox({ lines: 24, characters: 4_000, from: "start" });
			box.update(typeof value === "string" ? value : JSON.stringify(value, null, 2));
			return [h("dt", name), h("dd", { class: CHANGES[name] }, box.element)];
		}),
	);
}

/** A field for an object, as JSON. @param {string} name @param {Record<string, any>} value */
export function jsonField(name, value) {
	const text = JSON.stringify(value, null, 2);
	const rows = Math.min(20, text.split("\n").length + 1);
	const element = h("textarea.code", { rows, spellcheck: "false", "aria-label": name, value: text });
	return {
		element,
		/** @returns {Record<string, any>} */
		read() {
			let read;
			try {
				read = JSON.parse(element.value);
			} catch (error) {
				throw new ApiError(0, "invalid_json", `This is no JSON: ${/** @type {Error} */ (error).message}`);
			}
			if (typeof read === "object" && read !== null && !Array.isArray(read)) return read;
			throw new ApiError(0, "invalid_json", "This must be an object: {…}.");
		},
	};
}
