/**
 * Server-Sent Events: pieces of text in, frames out.
 *
 * Pure and linear, also where one frame comes in a thousand pieces.
 * The format is that of https://html.spec.whatwg.org/multipage/server-sent-events.html.
 */

export class FrameReader {
	constructor() {
		/** @type {string[]} */
		this.line = []; // the pieces of the line that has no end yet
		this.id = "";
		this.event = "";
		/** @type {string[]} */
		this.data = [];
	}

	/** The frames that this piece completes. @param {string} piece @returns {Frame[]} */
	feed(piece) {
		/** @type {Frame[]} */
		const frames = [];
		let from = 0;
		for (let end = piece.indexOf("\n"); end >= 0; end = piece.indexOf("\n", from)) {
			this.line.push(piece.slice(from, end));
			from = end + 1;
			const line = this.line.length === 1 ? this.line[0] : this.line.join("");
			this.line = [];
			const frame = this.take(line.endsWith("\r") ? line.slice(0, -1) : line);
			if (frame) frames.push(frame);
		}
		if (from < piece.length) this.line.push(piece.slice(from));
		return frames;
	}

	/** @param {string} line @returns {Frame | null} */
	take(line) {
		if (line === "") return this.end();
		const colon = line.indexOf(":");
		const field = colon < 0 ? line : line.slice(0, colon);
		const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
		if (field === "id") this.id = value;
		else if (field === "event") this.event = value;
		else if (field === "data") this.data.push(value);
		return null;
	}

	/** @returns {Frame | null} */
	end() {
		const [id, event, data] = [this.id, this.event, this.data];
		this.id = this.event = "";
		this.data = [];
		if (data.length === 0) return null;
		const number = Number(id);
		return { id: id === "" || !Number.isFinite(number) ? null : number, event, data: JSON.parse(data.join("\n")) };
	}
}
