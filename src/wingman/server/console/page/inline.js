/** Markdown within a line: emphasis, code, links. Text in, nodes out; linear, whatever the text. */

const DEEPEST = 16;
const LONGEST = 50_000; // characters; more is shown as it stands
const LONGEST_URL = 2_000;
const SPECIAL = /[\\`*_~[\]]|https?:\/\//g;
const ENTITIES = /&(?:amp|lt|gt|quot|#39|nbsp);/g;
/** @type {Record<string, string>} */
const MEANING = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&nbsp;": " " };

/** @param {string} text @returns {Inline[]} */
export function inline(text) {
	if (text.length > LONGEST) return [{ type: "text", text }];
	return new Scan(text).nodes();
}

/** The address, if it is one that a click may open. @param {string} address @returns {string | null} */
export function safeHref(address) {
	try {
		const url = new URL(address);
		return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
	} catch {
		return null;
	}
}

/** @typedef {{marker: string, at: number, children: Inline[]}} Open what has begun and not ended */

class Scan {
	/** @param {string} text */
	constructor(text) {
		this.text = text;
		this.at = 0;
		/** @type {Open[]} */
		this.open = [{ marker: "", at: 0, children: [] }];
		/** @type {Map<number, number[]> | null} */
		this.fences = null;
	}

	nodes() {
		const { text } = this;
		SPECIAL.lastIndex = 0;
		for (let match = SPECIAL.exec(text); match; match = SPECIAL.exec(text)) {
			this.say(text.slice(this.at, match.index));
			this.at = match.index;
			this.take(match[0]);
			SPECIAL.lastIndex = this.at;
		}
		this.say(text.slice(this.at));
		while (this.open.length > 1) this.demote();
		return this.open[0].children;
	}

	/** @param {string} found */
	take(found) {
		if (found === "\\") this.escape();
		else if (found === "`") this.code();
		else if (found === "[") this.begin("[");
		else if (found === "]") this.link();
		else if (found.length > 1) this.address();
		else this.emphasis(found);
	}

	/** @param {string} text */
	say(text) {
		if (!text) return;
		const { children } = /** @type {Open} */ (this.open.at(-1));
		text = text.replace(ENTITIES, (name) => MEANING[name]);
		const last = children.at(-1);
		if (last?.type === "text") last.text += text;
		else children.push({ type: "text", text });
	}

	escape() {
		const next = this.text[this.at + 1] ?? "";
		const isEscape = next !== "" && /[!-/:-@[-`{-~]/.test(next);
		this.say(isEscape ? next : "\\");
		this.at += isEscape ? 2 : 1;
	}

	code() {
		const length = run(this.text, this.at, "`");
		const end = this.fence(length, this.at + length);
		if (end < 0) {
			this.say("`".repeat(length));
			this.at += length;
			return;
		}
		let code = this.text.slice(this.at + length, end);
		if (/^\s.*[^\s].*\s$/s.test(code)) code = code.slice(1, -1);
		this.top().push({ type: "code", text: code });
		this.at = end + length;
	}

	/** Where the next run of so many backticks is. @param {number} length @param {number} from */
	fence(length, from) {
		if (this.fences === null) {
			this.fences = new Map();
			for (let at = this.text.indexOf("`"); at >= 0;) {
				const found = run(this.text, at, "`");
				const places = this.fences.get(found);
				if (places) places.push(at);
				else this.fences.set(found, [at]);
				at = this.text.indexOf("`", at + found);
			}
			for (const places of this.fences.values()) places.reverse();
		}
		const places = this.fences.get(length) ?? [];
		while (places.length && places[places.length - 1] < from) places.pop();
		return places.at(-1) ?? -1;
	}

	/** @param {string} marker */
	begin(marker) {
		if (this.open.length > DEEPEST) this.say(marker);
		else this.open.push({ marker, at: this.at, children: [] });
		this.at += marker.length;
	}

	/** What is open at the end is no emphasis: its marker is text, and what it has is its parent's. */
	demote() {
		const { marker, children } = /** @type {Open} */ (this.open.pop());
		this.say(marker);
		for (const child of children) {
			if (child.type === "text") this.say(child.text);
			else this.top().push(child);
		}
	}

	top() {
		return /** @type {Open} */ (this.open.at(-1)).children;
	}

	/** @param {string} character */
	emphasis(character) {
		const { text, at } = this;
		const length = run(text, at, character);
		if (length > 3 || (character === "~" && length !== 2)) {
			this.say(text.slice(at, at + length));
			this.at += length;
			return;
		}
		const before = text[at - 1] ?? " ";
		const after = text[at + length] ?? " ";
		const inWord = character === "_" && isWord(before) && isWord(after);
		const closes = !inWord && !/\s/.test(before);
		const opens = !inWord && !/\s/.test(after);
		for (let left = length; left > 0;) {
			const size = closes ? this.closable(character, left) : 0;
			if (size > 0) {
				this.close(character.repeat(size));
				left -= size;
				this.at += size;
			} else {
				const marker = character.repeat(left === 3 ? 2 : left);
				if (opens) this.begin(marker);
				else {
					this.say(marker);
					this.at += marker.length;
				}
				left -= marker.length;
			}
		}
	}

	/** How many of these end something that is open. @param {string} character @param {number} most */
	closable(character, most) {
		for (let i = this.open.length - 1; i > 0 && this.open[i].marker !== "["; i -= 1) {
			const { marker, at } = this.open[i];
			if (marker[0] === character && marker.length <= most && at + marker.length < this.at) return marker.length;
		}
		return 0;
	}

	/** @param {string} marker */
	close(marker) {
		while (this.open.at(-1)?.marker !== marker) this.demote();
		const { children } = /** @type {Open} */ (this.open.pop());
		const type = marker[0] === "~" ? "del" : marker.length === 2 ? "strong" : "em";
		this.top().push({ type, children });
	}

	link() {
		const target = /^\]\(\s{0,9}<?([^\s()<>]*(?:\([^\s()<>]*\)[^\s()<>]*)?)>?(?:\s{1,9}"[^"\n]{0,500}")?\s{0,9}\)/.exec(
			this.text.slice(this.at, this.at + LONGEST_URL),
		);
		const from = this.open.findLastIndex(({ marker }) => marker === "[");
		if (from < 0) {
			this.say("]");
			this.at += 1;
			return;
		}
		while (this.open.length - 1 > from) this.demote();
		const href = target && safeHref(target[1]);
		if (!target || !href) {
			this.demote(); // it stays as it was written, so that one sees what it is
			this.say("]");
			this.at += 1;
			return;
		}
		const { children } = /** @type {Open} */ (this.open.pop());
		const image = this.top().at(-1);
		if (image?.type === "text" && image.text.endsWith("!")) image.text = image.text.slice(0, -1);
		this.top().push({ type: "link", href, children: children.length ? children : [{ type: "text", text: href }] });
		this.at += target[0].length;
	}

	address() {
		const pattern = /https?:\/\/[^\s<>"`\\*]+/y;
		pattern.lastIndex = this.at;
		const found = (pattern.exec(this.text)?.[0] ?? "").slice(0, LONGEST_URL);
		let end = found.length;
		let unopened = found.split(")").length - found.split("(").length;
		while (end > 0 && (/[.,;:!?'_~\]]/.test(found[end - 1]) || (found[end - 1] === ")" && unopened > 0))) {
			if (found[end - 1] === ")") unopened -= 1;
			end -= 1;
		}
		const href = safeHref(found.slice(0, end));
		const inLink = this.open.some(({ marker }) => marker === "[");
		if (href === null || inLink) {
			const said = this.text.startsWith("https", this.at) ? 8 : 7;
			this.say(this.text.slice(this.at, this.at + said));
			this.at += said;
			return;
		}
		this.top().push({ type: "link", href, children: [{ type: "text", text: found.slice(0, end) }] });
		this.at += end;
	}
}

/** How many of a character stand there. @param {string} text @param {number} at @param {string} character */
function run(text, at, character) {
	let end = at;
	while (text[end] === character) end += 1;
	return end - at;
}

/** @param {string} character */
function isWord(character) {
	return /[\p{L}\p{N}]/u.test(character);
}
