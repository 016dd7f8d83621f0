/**
 * What a command prints, as lines of coloured pieces. Escapes colour, and do nothing else.
 *
 * Pure and linear in the length of the text.
 */

const ESCAPE =
	// eslint-disable-next-line no-control-regex
	/\u001b(?:\[([0-?]{0,64})[ -/]{0,8}([@-~])|[\]PX^_][^\u0007\u001b]{0,4096}(?:\u0007|\u001b\\)?|[ -/]{0,8}[0-~])|\u009b[0-?]{0,64}[@-~]/g;
const COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/** @param {string} text @returns {Piece[]} */
export function pieces(text) {
	text = overwritten(text);
	if (!text.includes("\u001b") && !text.includes("\u009b")) return text ? [{ text, style: "" }] : [];
	/** @type {Piece[]} */
	const found = [];
	let style = { colour: "", bold: false, faint: false };
	let from = 0;
	/** @param {string} part */
	const add = (part) => {
		if (!part) return;
		const named = [style.colour, style.bold ? "bold" : "", style.faint ? "faint" : ""].filter(Boolean).join(" ");
		const last = found.at(-1);
		if (last && last.style === named) last.text += part;
		else found.push({ text: part, style: named });
	};
	for (const match of text.matchAll(ESCAPE)) {
		add(text.slice(from, match.index));
		from = match.index + match[0].length;
		if (match[2] === "m") style = styled(style, match[1]);
	}
	add(text.slice(from));
	return found;
}

/** @param {{colour: string, bold: boolean, faint: boolean}} style @param {string} codes */
function styled(style, codes) {
	const after = { ...style };
	const numbers = codes.split(/[;:]/).map(Number);
	for (let i = 0; i < numbers.length; i += 1) {
		const code = numbers[i];
		if (code === 0) Object.assign(after, { colour: "", bold: false, faint: false });
		else if (code === 1) after.bold = true;
		else if (code === 2) after.faint = true;
		else if (code === 22) after.bold = after.faint = false;
		else if (code === 39) after.colour = "";
		else if (code >= 30 && code <= 37) after.colour = `ansi-${COLOURS[code - 30]}`;
		else if (code >= 90 && code <= 97) after.colour = `ansi-${COLOURS[code - 90]}`;
		else if (code === 38 || code === 48) i += numbers[i + 1] === 5 ? 2 : 4; // colours that we have not
	}
	return after;
}

/** A line that was written over with carriage returns is its last state, as on a terminal. @param {string} text */
function overwritten(text) {
	if (!text.includes("\r")) return text;
	return text
		.split("\n")
		.map((line) => {
			let end = line.length;
			while (end > 0 && line[end - 1] === "\r") end -= 1;
			return line.slice(line.lastIndexOf("\r", end - 1) + 1, end);
		})
		.join("\n");
}

/**
 * Where the last lines of a text begin: at most so many lines, and so many characters.
 *
 * @param {string} text
 * @param {number} lines
 * @param {number} characters
 * @param {number} [end] where the text ends
 */
export function tailStart(text, lines, characters, end = text.length) {
	const floor = Math.max(0, end - characters);
	let at = end > 0 && text[end - 1] === "\n" ? end - 1 : end;
	for (; lines > 0; lines -= 1) {
		const before = at === 0 ? -1 : text.lastIndexOf("\n", at - 1);
		if (before < floor) return before < 0 && floor === 0 ? 0 : whole(text, floor);
		at = before;
	}
	return at + 1;
}

/** Not between the two halves of a character. @param {string} text @param {number} at */
function whole(text, at) {
	const code = text.charCodeAt(at);
	return code >= 0xdc00 && code <= 0xdfff ? at + 1 : at;
}

/** @param {string} text */
export function lineCount(text) {
	let lines = 0;
	for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines += 1;
	return text.endsWith("\n") || text === "" ? lines : lines + 1;
}
