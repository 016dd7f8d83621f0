/**
 * Markdown as models write it: text in, blocks out. Linear in the text, and as deep as may be shown.
 *
 * There is no HTML in it: what looks like HTML is text. Pure, without a page: `views/prose.js` shows it.
 */

import { inline } from "./inline.js";

const DEEPEST = 8;
const FENCE = /^ {0,3}(`{3,}|~{3,})([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]|$)/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])( {1,4}(?! )|\t|$| (?= ))/;
const DELIMITERS = /^ {0,3}\|?(?: *:?-+:? *\|)+(?: *:?-+:? *)?$|^ {0,3}\| *:?-+:? *$/;

/** The blocks of a text. @param {string} text @returns {Block[]} */
export function markdown(text) {
	return split(text).map(({ source }) => block(source));
}

/** How many of the last blocks may still change when a text grows: its last line may join the one before. */
export const UNSETTLED = 2;

/**
 * The sources of the blocks of a text, each with its place.
 *
 * @param {string} text
 * @param {number} [from] where a block begins
 * @returns {{from: number, source: string[]}[]}
 */
export function split(text, from = 0) {
	const lines = text.slice(from).split("\n");
	/** @type {{from: number, source: string[]}[]} */
	const found = [];
	for (let i = 0; i < lines.length;) {
		if (isBlank(lines[i])) {
			from += lines[i].length + 1;
			i += 1;
			continue;
		}
		const end = endOf(lines, i);
		found.push({ from, source: lines.slice(i, end) });
		for (; i < end; i += 1) from += lines[i].length + 1;
	}
	return found;
}

/** A block from its lines. @param {string[]} lines @param {number} [depth] @returns {Block} */
export function block(lines, depth = 0) {
	const first = lines[0];
	const fence = FENCE.exec(first);
	if (fence) {
		const open = lines.length < 2 || !closes(lines[lines.length - 1], fence[1]);
		const text = lines.slice(1, open ? undefined : -1).join("\n");
		return { type: "fence", language: fence[2].trim().split(/\s/)[0].slice(0, 40), text, open };
	}
	if (isIndented(first)) {
		const text = lines.map((line) => line.replace(/^(?: {4}|\t)/, "")).join("\n");
		return { type: "fence", language: "", text: text.trimEnd(), open: false };
	}
	const heading = HEADING.exec(first);
	if (heading) {
		const text = first.slice(heading[0].length).trim();
		let end = text.length;
		while (text[end - 1] === "#") end -= 1;
		const shown = end === 0 || /\s/.test(text[end - 1] ?? "") ? text.slice(0, end).trim() : text;
		return { type: "heading", level: heading[1].length, children: inline(shown) };
	}
	if (isRule(first)) return { type: "rule" };
	if (isQuote(first) && depth < DEEPEST) {
		return {
			type: "quote",
			children: nested(
				lines.map((line) => line.replace(/^ {0,3}> ?/, "")),
				depth + 1,
			),
		};
	}
	if (ITEM.test(first) && depth < DEEPEST) return list(lines, depth);
	if (lines.length > 1 && isTable(lines, 0)) return table(lines);
	return { type: "paragraph", children: inline(lines.map(trimStart).join("\n")) };
}

/** @param {string[]} lines @param {number} depth */
function nested(lines, depth) {
	/** @type {Block[]} */
	const found = [];
	for (let i = 0; i < lines.length;) {
		if (isBlank(lines[i])) {
			i += 1;
			continue;
		}
		const end = endOf(lines, i);
		found.push(block(lines.slice(i, end), depth));
		i = end;
	}
	return found;
}

/** Where the block that begins at a line ends. @param {string[]} lines @param {number} from */
function endOf(lines, from) {
	const first = lines[from];
	const fence = FENCE.exec(first);
	let i = from + 1;
	if (fence) {
		while (i < lines.length && !closes(lines[i], fence[1])) i += 1;
		return Math.min(i + 1, lines.length);
	}
	if (isIndented(first)) {
		while (i < lines.length && (isIndented(lines[i]) || isBlank(lines[i]))) i += 1;
		return i;
	}
	if (HEADING.test(first) || isRule(first)) return i;
	if (isQuote(first)) {
		while (i < lines.length && isQuote(lines[i])) i += 1;
		return i;
	}
	if (ITEM.test(first)) return endOfList(lines, from);
	if (isTable(lines, from)) {
		for (i = from + 2; i < lines.length && lines[i].includes("|") && !isBlank(lines[i]);) i += 1;
		return i;
	}
	while (i < lines.length && !isBlank(lines[i]) && !interrupts(lines, i)) i += 1;
	return i;
}

/** @param {string[]} lines @param {number} from */
function endOfList(lines, from) {
	const kind = kindOf(lines[from]);
	const indented = new RegExp(`^(?: {${lines[from].search(/\S/) + 2}}|\t)`);
	let i = from + 1;
	for (let blank = false; i < lines.length; i += 1) {
		const line = lines[i];
		if (isBlank(line)) {
			blank = true;
			continue;
		}
		const item = ITEM.test(line) && !isRule(line);
		const belongs = indented.test(line) || (item ? kindOf(line) === kind : !blank && !interrupts(lines, i));
		if (!belongs) break;
		blank = false;
	}
	while (isBlank(lines[i - 1])) i -= 1;
	return i;
}

/** @param {string[]} lines @param {number} depth @returns {List} */
function list(lines, depth) {
	const number = /^\s*(\d+)/.exec(lines[0]);
	/** @type {ListItem[]} */
	const items = [];
	for (let i = 0; i < lines.length;) {
		const marker = ITEM.exec(lines[i]);
		const indent = marker ? marker[0].length : 0;
		const own = [lines[i].slice(indent)];
		for (i += 1; i < lines.length && !begins(lines[i]); i += 1) own.push(unindented(lines[i], Math.max(2, indent)));
		const task = /^\[([ xX])\] /.exec(own[0]);
		if (task) own[0] = own[0].slice(4);
		items.push({ task: task ? task[1] !== " " : null, children: nested(own, depth + 1) });
	}
	return { type: "list", start: number ? Number(number[1]) : null, items };

	/** @param {string} line */
	function begins(line) {
		return /^ {0,1}\S/.test(line) && ITEM.test(line);
	}
}

/** @param {string[]} lines @returns {Table} */
function table(lines) {
	const align = cells(lines[1]).map((cell) =>
		cell.endsWith(":") ? (cell.startsWith(":") ? "center" : "right") : "left",
	);
	const head = cells(lines[0]).slice(0, align.length).map(inline);
	const rows = lines.slice(2).map((line) => cells(line).slice(0, align.length).map(inline));
	return { type: "table", align, head, rows };
}

/** @param {string} line */
function cells(line) {
	let text = line.trim();
	if (text.startsWith("|")) text = text.slice(1);
	if (text.endsWith("|") && !text.endsWith("\\|")) text = text.slice(0, -1);
	return text
		.split(/(?<!\\)\|/)
		.slice(0, 50)
		.map((cell) => cell.trim().replaceAll("\\|", "|"));
}

/** @param {string[]} lines @param {number} at */
function isTable(lines, at) {
	const next = lines[at + 1];
	return lines[at].includes("|") && next !== undefined && next.length < 2000 && DELIMITERS.test(next);
}

/** Whether a line ends the paragraph before it. @param {string[]} lines @param {number} at */
function interrupts(lines, at) {
	const line = lines[at];
	const item = ITEM.exec(line);
	const begins = item !== null && line.length > item[0].length && /^(?:[-*+]|1[.)])/.test(item[2]);
	return begins || FENCE.test(line) || HEADING.test(line) || isRule(line) || isQuote(line);
}

/** @param {string} line */
function kindOf(line) {
	return /[-*+]|[.)]/.exec(line)?.[0];
}

/** @param {string} line @param {string} fence */
function closes(line, fence) {
	const text = line.trim();
	return text.length >= fence.length && line.search(/\S/) < 4 && text === fence[0].repeat(text.length);
}

/** @param {string} line */
function isRule(line) {
	if (line.length > 200 || isIndented(line)) return false;
	return /^(?:-{3,}|\*{3,}|_{3,})$/.test(line.replace(/[ \t]/g, ""));
}

/** @param {string} line */
function isQuote(line) {
	return /^ {0,3}>/.test(line);
}

/** @param {string} line */
function isIndented(line) {
	return /^(?: {4}|\t)/.test(line) && !isBlank(line);
}

/** @param {string | undefined} line */
function isBlank(line) {
	return line !== undefined && !/\S/.test(line);
}

/** @param {string} line @param {number} most */
function unindented(line, most) {
	let at = 0;
	while (at < most && line[at] === " ") at += 1;
	return line.slice(line[0] === "\t" ? 1 : at);
}

/** @param {string} line */
function trimStart(line) {
	return line.trimStart();
}
