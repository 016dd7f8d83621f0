/** A long text, of which some lines are shown, and the rest in pieces when it is asked for. */

import { button, fill, h } from "../dom.js";
import { lineCount, pieces, tailStart } from "../output.js";
import { count, plural, size } from "../text.js";

const PIECE = 65_536; // characters that are shown at a time
const PIECE_LINES = 800;

/**
 * @param {{lines: number, characters: number, from: "start" | "end"}} bounds of what is shown at first, and
 *   whether that is the text's beginning or its end
 */
export function outputBox({ lines, characters, from }) {
	const bar = h("div.rest", { hidden: true });
	const body = h("div.output", { dir: "ltr" });
	const element = from === "end" ? h("div", {}, bar, body) : h("div", {}, body, bar);
	let text = "";
	let skipped = 0;
	let shownFrom = 0;
	let shownTo = 0;
	let opened = false;

	/** @param {string} now @param {number} [before] how many characters of it are not there any more */
	function update(now, before = 0) {
		if (now === text && before === skipped) return;
		const grown =
			opened && from === "end" && before === skipped && now.startsWith(text.slice(0, 64)) && now.length >= text.length;
		[text, skipped] = [now, before];
		if (grown && shownTo - shownFrom < 4 * PIECE) {
			body.lastElementChild?.remove();
			const last = pieceStarts.at(-1) ?? shownFrom;
			body.append(piece(last, text.length));
			shownTo = text.length;
		} else if (from === "end") {
			shownFrom = opened ? tailStart(text, PIECE_LINES, PIECE) : tailStart(text, lines, characters);
			shownTo = text.length;
			pieceStarts = [shownFrom];
			fill(body, text && piece(shownFrom, shownTo));
		} else {
			shownTo = headEnd(0, lines, characters);
			fill(body, piece(0, shownTo));
		}
		offer();
	}
	/** @type {number[]} */
	let pieceStarts = [];

	function more() {
		opened = true;
		if (from === "end") {
			const start = tailStart(text, PIECE_LINES, PIECE, shownFrom);
			body.prepend(piece(start, shownFrom));
			shownFrom = start;
			pieceStarts.unshift(start);
		} else {
			const end = headEnd(shownTo, PIECE_LINES, PIECE);
			body.append(piece(shownTo, end));
			shownTo = end;
		}
		offer();
	}

	function less() {
		opened = false;
		const [all, before] = [text, skipped];
		text = "";
		skipped = -1;
		update(all, before);
	}

	function offer() {
		const hidden = from === "end" ? text.slice(0, shownFrom) : text.slice(shownTo);
		const label = hidden.length > 2_000_000 ? size(hidden.length) : plural(lineCount(hidden), "line");
		fill(
			bar,
			skipped > 0 && h("span.muted", {}, `${count(skipped)} characters before this are not kept. `),
			hidden &&
				button(
					{
						label: `Show ${hidden.length > PIECE ? `64 KB more of ${size(hidden.length)}` : `${label} more`}`,
						class: "quiet small",
					},
					more,
				),
			opened && button({ label: "Show less", class: "quiet small" }, less),
		);
		bar.hidden = bar.childElementCount === 0;
	}

	/** @param {number} start @param {number} most @param {number} longest */
	function headEnd(start, most, longest) {
		let at = start;
		for (let line = 0; line < most; line += 1) {
			const next = text.indexOf("\n", at);
			if (next < 0 || next - start > longest)
				return Math.min(text.length, at > start ? (next < 0 ? start + longest : at) : start + longest);
			at = next + 1;
		}
		return at;
	}

	/** @param {number} start @param {number} end */
	function piece(start, end) {
		let shown = text.slice(start, end);
		if (shown.endsWith("\n")) shown = shown.slice(0, -1);
		return h(
			"pre",
			{},
			...pieces(shown).map(({ text: part, style }) => (style ? h("span", { class: style }, part) : part)),
		);
	}

	return { element, update };
}
