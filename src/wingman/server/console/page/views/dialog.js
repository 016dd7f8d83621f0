/** Dialogs, and what is announced to those who do not see the page. */

import { ApiError } from "../api.js";
import { button, h } from "../dom.js";
import { visible } from "../text.js";

/**
 * A dialog with these things in it; closed by its button, Esc, or the function that is returned.
 *
 * @param {string} title
 * @param {Node[]} content
 */
export function dialog(title, content) {
	const close = button({ label: "", icon: "close", class: "quiet", title: "Close" }, () => element.close());
	const element = h(
		"dialog",
		{ "aria-label": title, onclose: () => element.remove() },
		h("header", h("h2", title), close),
		...content,
	);
	document.body.append(element);
	element.showModal();
	return () => element.close();
}

/**
 * Ask before something is done that cannot be undone.
 *
 * @param {string} title
 * @param {string} question
 * @param {string} label
 * @param {() => Promise<unknown>} action
 */
export function confirm(title, question, label, action) {
	const trouble = complaint();
	const close = dialog(title, [
		h("p", question),
		trouble.element,
		h(
			"p.actions",
			button({ label, class: "danger" }, () =>
				trouble.during(async () => {
					await action();
					close();
				}),
			),
		),
	]);
}

/** A place for what went wrong. */
export function complaint() {
	const element = h("p.complaint", { role: "alert" });
	return {
		element,
		/** @param {unknown} error */
		show(error) {
			element.textContent = visible(sentence(error));
		},
		clear() {
			element.textContent = "";
		},
		/** @param {() => Promise<unknown>} work */
		async during(work) {
			element.textContent = "";
			try {
				await work();
			} catch (error) {
				element.textContent = visible(sentence(error));
			}
		},
	};
}

/** @param {unknown} error */
function sentence(error) {
	if (error instanceof ApiError) return error.message;
	return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** Say something to those who do not see the page. @param {string} text */
export function announce(text) {
	const said = h("p", text);
	document.getElementById("announcer")?.append(said);
	setTimeout(() => said.remove(), 10_000);
}
