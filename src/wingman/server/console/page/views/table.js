/** Tables that follow what there is. */

import { fill, follow, h, say, set } from "../dom.js";

/** @param {string} state */
export function stateChip(state) {
	return h("span.state-of", h("span.dot", { "data-state": state }), state);
}

/** @param {string} title @param {string[]} columns */
export function rows(title, columns) {
	const body = h("tbody");
	const nothing = h("p.muted");
	const frame = h(
		"div.table",
		{ tabindex: 0, role: "region", "aria-label": title },
		h("table", h("thead", h("tr", ...columns.map((name) => (name ? h("th", { scope: "col" }, name) : h("td"))))), body),
	);
	const element = h("section", h("h2", title), frame, nothing);
	return {
		element,
		/**
		 * @param {any[]} values
		 * @param {(value: any) => string} keyOf
		 * @param {(value: any) => (Node | string)[]} cells
		 * @param {string} otherwise
		 */
		show(values, keyOf, cells, otherwise) {
			frame.hidden = values.length === 0;
			say(nothing, values.length ? "" : otherwise);
			follow(
				body,
				values.slice(0, 500),
				keyOf,
				() => h("tr", ...columns.map(() => h("td"))),
				(row, value) => {
					cells(value).forEach((cell, at) => {
						const place = row.children[at];
						const text = typeof cell === "string" ? cell : (cell.textContent ?? "");
						if (/** @type {HTMLElement} */ (place).dataset.text === text) return;
						set(place, "data-text", text);
						fill(place, cell);
					});
				},
			);
		},
	};
}
