/** The items of a transcript on the page: the last of them, and those before when they are asked for. */

import { fill, h, icon, say, set } from "../dom.js";
import { count } from "../text.js";
import { callElement } from "./call.js";
import { imagesElement } from "./images.js";
import { outputBox } from "./output-box.js";
import { receiptElement, showOutcome } from "./outcome.js";
import { prose } from "./prose.js";

/**
 * @typedef {import("../transcript.js").Transcript} Transcript
 * @typedef {{element: HTMLElement, update: (item: any) => void, version: number}} Shown
 * @typedef {{sessionId: string, transcript: () => Transcript, onReceipt: OnReceipt}} Context
 */

/** @type {{[Kind in Item["kind"]]: (item: any, context: Context) => {element: HTMLElement, update: (item: any) => void}}} */
const MAKERS = {
	user: userElement,
	text: textElement,
	thinking: thinkingElement,
	call: callElement,
	note: noteElement,
	end: endElement,
	receipt: (item, { transcript }) => ({
		element: receiptElement(item.receipt, (id) => transcript().calls.get(id)?.name ?? id),
		update: () => {},
	}),
};

/** @param {Item} item @param {Context} context @returns {Shown} */
function itemElement(item, context) {
	const { element, update } = MAKERS[item.kind](item, context);
	element.dataset.key = item.key;
	element.classList.add("item");
	return { element, update, version: -1 };
}

/** @param {UserItem} item @param {Context} context */
function userElement(item, { transcript }) {
	const meta = h("span.when.muted");
	const body = prose();
	const pictures = h("div.images");
	const element = h(
		"article.user",
		{ "aria-label": item.steers ? "Your words to the run" : "Your message" },
		h("p.who", icon("user"), h("strong", item.steers ? "You, to the run under way" : "You"), meta),
		body.element,
		pictures,
	);
	return {
		element,
		/** @param {UserItem} now */
		update(now) {
			body.update(now.text === "" && !now.images.length ? "*The history is to be compacted.*" : (now.text ?? "…"));
			const run = now.runId && !now.steers ? transcript().runs.get(now.runId) : null;
			say(
				meta,
				run?.started_at ? new Date(run.started_at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) : "",
			);
			if (now.images.length && !pictures.childElementCount) pictures.append(...imagesElement(now.images));
		},
	};
}

function textElement() {
	const body = prose();
	const cut = h("p.muted.cut");
	return {
		element: h("article.said", { "aria-label": "The model" }, body.element, cut),
		/** @param {TextItem} item */
		update(item) {
			body.update(item.text);
			say(cut, item.cutShort ? `The answer ends here: ${item.cutShort.replace("_", " ")}.` : "");
		},
	};
}

function thinkingElement() {
	const label = h("span");
	const box = outputBox({ lines: 400, characters: 20_000, from: "end" });
	const element = h("details.thinking", h("summary", icon("fold"), label), box.element);
	/** @type {ThinkingItem} */
	let item;
	element.addEventListener("toggle", () => element.open && box.update(item.text));
	return {
		element,
		/** @param {ThinkingItem} now */
		update(now) {
			item = now;
			say(
				label,
				item.redacted
					? "Thinking, which the provider does not show"
					: `Thinking, ${count(item.text.length)} characters`,
			);
			if (element.open) box.update(item.text);
		},
	};
}

/** @param {NoteItem} item */
function noteElement(item) {
	const box = outputBox({ lines: 200, characters: 20_000, from: "start" });
	const element = h(
		"details.compacted",
		h("summary", icon("fold"), h("span", item.title)),
		h("p.muted", "From here on models are shown this summary in place of what is above. Nothing is deleted."),
		box.element,
	);
	return { element, update: () => box.update(item.text) };
}

/** @param {EndItem} _item @param {Context} context */
function endElement(_item, { transcript }) {
	const element = h("div.outcome");
	return {
		element,
		/** @param {EndItem} now */
		update: (now) => showOutcome(element, transcript().runs.get(now.runId ?? "")),
	};
}

const WINDOW = 150; // items that are shown; more when they are asked for
const SLACK = 100;

/** @param {Context} context */
export function itemsView(context) {
	const earlier = h("div.earlier");
	const list = h("div.items");
	const element = h("div.column", earlier, list);
	/** @type {Map<string, Shown>} */
	const shown = new Map();
	let first = -1; // of the items, the first that is shown; -1: the window follows the end

	/** @param {boolean} following whether the end is what one looks at */
	function update(following) {
		const { items } = context.transcript();
		if (first < 0 || first > items.length) first = Math.max(0, items.length - WINDOW);
		if (following && items.length - first > WINDOW + SLACK) first = items.length - WINDOW;
		/** @type {Element | null} */
		let next = list.firstElementChild;
		const keys = new Set();
		for (let at = first; at < items.length; at += 1) {
			const item = items[at];
			keys.add(item.key);
			let each = shown.get(item.key);
			if (!each) {
				each = itemElement(item, context);
				shown.set(item.key, each);
			}
			if (each.version !== item.version) {
				each.update(item);
				each.version = item.version;
			}
			if (item.kind === "call") group(each.element, items, at);
			if (each.element === next) next = next.nextElementSibling;
			else list.insertBefore(each.element, next);
		}
		for (const [key, each] of shown) {
			if (keys.has(key)) continue;
			each.element.remove();
			shown.delete(key);
		}
		offer(items.length);
	}

	let offered = -1;
	/** @param {number} length */
	function offer(length) {
		if (offered === first) return;
		offered = first;
		const more = h(
			"button",
			{
				type: "button",
				class: "quiet",
				onclick: () => {
					first = Math.max(0, first - WINDOW);
					update(false);
				},
			},
			`Show what is before: ${count(first)} more`,
		);
		fill(earlier, first > 0 && length > 0 ? more : null);
	}

	/** Begin anew, with another transcript. */
	function reset() {
		first = -1;
		offered = -1;
		shown.clear();
		fill(list);
	}

	return { element, update, reset };
}

/**
 * Calls of one step run side by side, and are shown so.
 *
 * @param {HTMLElement} element
 * @param {Item[]} items
 * @param {number} at
 */
function group(element, items, at) {
	const item = items[at];
	/** @param {Item | undefined} other */
	const same = (other) => other?.kind === "call" && item.kind === "call" && other.group === item.group;
	const before = same(items[at - 1]);
	const after = same(items[at + 1]);
	set(element, "data-group", before && after ? "middle" : after ? "first" : before ? "last" : null);
}
