/** Markdown on the page: elements and texts only. A text that grows is read again from its last block. */

import { button, fill, h } from "../dom.js";
import { UNSETTLED, block, split } from "../markdown.js";
import { outputBox } from "./output-box.js";

const LONGEST_BLOCK = 20_000; // characters; a longer one is shown as plain text, in pieces
const MOST_BLOCKS = 120; // shown at first; those before them when they are asked for

/** A text that is shown as Markdown, and may grow. */
export function prose() {
	const earlier = h("div.earlier");
	const body = h("div.prose", { dir: "auto" });
	const element = h("div", earlier, body);
	/** @type {{from: number, source: string, element: HTMLElement}[]} */
	let blocks = [];
	let hidden = 0; // of the blocks, how many of the first have no element
	let text = "";

	/** @param {string} now */
	function update(now) {
		if (now === text) return;
		const grown = now.startsWith(text.slice(0, 64)) && now.length > text.length;
		if (!grown) clear();
		text = now;
		const settled = Math.max(hidden, blocks.length - UNSETTLED);
		const before = blocks.splice(settled);
		for (const { from, source } of split(text, before[0]?.from ?? 0)) {
			const joined = source.join("\n");
			const same = before.find((each) => each.from === from && each.source === joined);
			const made = same?.element ?? blockElement(source, joined);
			blocks.push({ from, source: joined, element: made });
			if (!same) body.insertBefore(made, before.find((each) => each.from >= from)?.element ?? null);
		}
		const kept = new Set(blocks.slice(settled).map((each) => each.element));
		for (const each of before) if (!kept.has(each.element)) each.element.remove();
		bound();
	}

	function bound() {
		while (blocks.length - hidden > MOST_BLOCKS * 1.5) {
			for (const each of blocks.slice(hidden, blocks.length - MOST_BLOCKS)) each.element.remove();
			hidden = blocks.length - MOST_BLOCKS;
			offerEarlier();
		}
	}

	function offerEarlier() {
		fill(
			earlier,
			hidden > 0 &&
				button({ label: `Show what is before (${hidden} paragraphs)`, class: "quiet" }, () => {
					const from = Math.max(0, hidden - MOST_BLOCKS);
					body.prepend(...blocks.slice(from, hidden).map((each) => each.element));
					hidden = from;
					offerEarlier();
				}),
		);
	}

	function clear() {
		blocks = [];
		hidden = 0;
		fill(body);
		fill(earlier);
	}

	return { element, update };
}

/** @param {string[]} lines @param {string} source @returns {HTMLElement} */
function blockElement(lines, source) {
	if (source.length <= LONGEST_BLOCK) return elementOf(block(lines));
	const box = outputBox({ lines: 60, characters: LONGEST_BLOCK, from: "start" });
	box.update(source);
	return box.element;
}

/** @param {Block} block @returns {HTMLElement} */
function elementOf(block) {
	switch (block.type) {
		case "paragraph":
			return h("p", ...block.children.map(inlineElement));
		case "heading":
			// All are below the session's title: models leave out levels, and a page may not.
			return h("h2", { class: `level-${block.level}` }, ...block.children.map(inlineElement));
		case "fence":
			return fence(block.language, block.text);
		case "rule":
			return h("hr");
		case "quote":
			return h("blockquote", ...block.children.map(elementOf));
		case "list":
			return list(block);
		case "table":
			return table(block);
	}
}

/** @param {string} language @param {string} text */
function fence(language, text) {
	return h(
		"div.fence",
		h(
			"div.bar",
			h("span", language || "text"),
			copyButton(() => text),
		),
		h(
			"pre",
			{ tabindex: 0, role: "region", "aria-label": language ? `Code, ${language}` : "Code" },
			h("code", { dir: "ltr" }, text),
		),
	);
}

/** @param {Extract<Block, {type: "list"}>} block */
function list({ start, items }) {
	const children = items.map(({ task, children }) => {
		const only =
			children.length === 1 && children[0].type === "paragraph"
				? children[0].children.map(inlineElement)
				: children.map(elementOf);
		if (task === null) return h("li", ...only);
		return h(
			"li.task",
			h("span", { class: task ? "ticked" : "unticked", role: "img", "aria-label": task ? "done" : "to do" }),
			...only,
		);
	});
	return start === null ? h("ul", ...children) : h("ol", { start: start === 1 ? null : start }, ...children);
}

/** @param {Extract<Block, {type: "table"}>} block */
function table({ align, head, rows }) {
	/** @param {"th" | "td"} tag @param {Inline[]} cell @param {number} at */
	const cell = (tag, cell, at) => h(tag, { class: align[at] }, ...cell.map(inlineElement));
	return h(
		"div.table",
		{ tabindex: 0, role: "region", "aria-label": "Table" },
		h(
			"table",
			h("thead", h("tr", ...head.map((each, at) => cell("th", each, at)))),
			h("tbody", ...rows.map((row) => h("tr", ...row.map((each, at) => cell("td", each, at))))),
		),
	);
}

/** @param {Inline} node @returns {Node | string} */
function inlineElement(node) {
	switch (node.type) {
		case "text":
			return node.text;
		case "code":
			return h("code", { dir: "ltr" }, node.text);
		case "link":
			return h(
				"a",
				{ href: node.href, target: "_blank", rel: "noopener noreferrer", title: node.href },
				...node.children.map(inlineElement),
			);
		default:
			return h(node.type, {}, ...node.children.map(inlineElement));
	}
}

/** A button that copies a text as it stands. @param {() => string} text */
export function copyButton(text) {
	const element = button({ label: "Copy", icon: "copy", class: "quiet small" }, async () => {
		const label = /** @type {HTMLElement} */ (element.lastElementChild);
		try {
			await navigator.clipboard.writeText(text());
			label.textContent = "Copied";
		} catch {
			label.textContent = "Not allowed";
		}
		setTimeout(() => (label.textContent = "Copy"), 1500);
	});
	return element;
}
