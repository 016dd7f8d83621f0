/**
 * Text as people may read it: nothing in it hides, and numbers and times are short.
 *
 * Pure: knows no page.
 */

// Control characters, and those that turn the direction of text around or are not seen at all.
const HIDDEN =
	// eslint-disable-next-line no-control-regex
	/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]|\udb40[\udc00-\udc7f]/g;

/**
 * The same text, with a visible sign in place of each character that would act or hide.
 *
 * @param {string} text
 * @returns {string}
 */
export function visible(text) {
	return text.replace(HIDDEN, (found) => {
		const code = /** @type {number} */ (found.codePointAt(0));
		if (code < 0x20) return String.fromCodePoint(0x2400 + code);
		return `‹U+${code.toString(16).toUpperCase().padStart(4, "0")}›`;
	});
}

/** The beginning of a text, on one line. @param {string} text @param {number} [most] characters */
export function oneLine(text, most = 160) {
	const start = text
		.slice(0, most * 4)
		.replace(/\s+/g, " ")
		.trim();
	return start.length > most || text.length > most * 4 ? `${start.slice(0, most)}…` : start;
}

/** @param {number} count */
export function count(count) {
	return count.toLocaleString("en-US");
}

/** A count of tokens or characters in four places at most: 950, 9.5k, 95k, 9.5M. @param {number} value */
export function short(value) {
	if (value < 1000) return String(value);
	for (const unit of ["k", "M", "G"]) {
		value /= 1000;
		if (value < 999.5 || unit === "G") return `${value < 9.95 ? value.toFixed(1) : Math.round(value)}${unit}`;
	}
	return String(value);
}

/** @param {number} bytes */
export function size(bytes) {
	return bytes < 1024
		? `${bytes} B`
		: bytes < 1048576
			? `${Math.round(bytes / 1024)} KB`
			: `${(bytes / 1048576).toFixed(1)} MB`;
}

/** @param {number} dollars */
export function cost(dollars) {
	if (dollars === 0) return "$0";
	return dollars < 0.01 ? `$${dollars.toPrecision(2)}` : `$${dollars.toFixed(2)}`;
}

/** A time that is still counted: in whole seconds. @param {number} ms */
export function elapsed(ms) {
	const seconds = Math.max(0, Math.floor(ms / 1000));
	return seconds < 60 ? `${seconds} s` : duration(seconds * 1000);
}

/** @param {number} ms */
export function duration(ms) {
	if (ms < 0) ms = 0;
	if (ms < 9.95) return `${ms.toFixed(1)} ms`;
	if (ms < 999.5) return `${Math.round(ms)} ms`;
	const seconds = ms / 1000;
	if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
	const whole = Math.round(seconds);
	if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
	const minutes = Math.round(seconds / 60);
	if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
	return `${Math.round(minutes / 1440)} days`;
}

/** How long ago a time was, roughly. @param {string} time RFC 3339 @param {number} now in milliseconds */
export function ago(time, now) {
	const seconds = (now - Date.parse(time)) / 1000;
	if (seconds < 45) return "now";
	if (seconds < 3570) return `${Math.round(seconds / 60)} min`;
	if (seconds < 84600) return `${Math.round(seconds / 3600)} h`;
	return `${Math.round(seconds / 86400)} d`;
}

/** "1 call", "3 calls". @param {number} number @param {string} word */
export function plural(number, word) {
	return `${count(number)} ${word}${number === 1 ? "" : "s"}`;
}
