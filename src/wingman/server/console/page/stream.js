/** A session's events, from run to run, over however many connections that takes. */

import { ApiError, ask } from "./api.js";
import { FrameReader } from "./sse.js";

const SILENT_MS = 40_000; // the server says something every 15 s
const SLOWEST_MS = 10_000;

/**
 * @typedef {{
 *   path: string,
 *   after: () => number,
 *   onFrames: (frames: Frame[]) => void,
 *   onConnection: (state: Connection) => void,
 *   onGone: (error: ApiError) => void,
 *   signal: AbortSignal,
 * }} Following
 */

/**
 * Follow until the signal, or until there is nothing to follow.
 *
 * `after` says where to go on. A connection that breaks is made again, later each time; `onGone` is
 * called where no connection can help.
 *
 * @param {Following} following
 */
export async function follow(following) {
	const { signal, onConnection, onGone } = following;
	for (let failures = 0; !signal.aborted;) {
		onConnection(failures === 0 ? "connecting" : "broken");
		try {
			const frames = await connection(following);
			failures = frames > 0 ? 1 : failures + 1;
		} catch (error) {
			if (signal.aborted) return;
			if (error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429) {
				onGone(error);
				return;
			}
			failures += 1;
		}
		if (signal.aborted) return;
		onConnection("broken");
		await pause(delay(failures), signal);
	}
}

/**
 * How long to wait, in milliseconds, after so many failures in a row.
 *
 * @param {number} failures
 * @param {number} [luck] from 0 to 1: not all pages come back at the same moment
 */
export function delay(failures, luck = Math.random()) {
	return Math.min(SLOWEST_MS, 250 * 2 ** Math.min(failures, 10)) * (0.5 + luck / 2);
}

/** One connection, to its end; how many frames it had. @param {Following} following */
async function connection({ path, after, onFrames, onConnection, signal }) {
	const ours = new AbortController();
	const abort = () => ours.abort();
	signal.addEventListener("abort", abort);
	let silence = setTimeout(abort, SILENT_MS);
	let frames = 0;
	try {
		const headers = { Accept: "text/event-stream", "Last-Event-ID": String(after()) };
		const answer = await ask("GET", path, { headers, signal: ours.signal });
		if (!answer.body) throw new ApiError(0, "unreachable", "The stream has no body.");
		onConnection("live");
		const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
		const parser = new FrameReader();
		for (;;) {
			const { done, value } = await reader.read();
			if (done) return frames;
			clearTimeout(silence);
			silence = setTimeout(abort, SILENT_MS);
			const found = parser.feed(value);
			frames += found.length;
			if (found.length) onFrames(found);
		}
	} finally {
		clearTimeout(silence);
		signal.removeEventListener("abort", abort);
		ours.abort();
	}
}

/** @param {number} ms @param {AbortSignal} signal @returns {Promise<void>} */
export function pause(ms, signal) {
	return new Promise((resolve) => {
		const timer = setTimeout(over, ms);
		signal.addEventListener("abort", over);
		function over() {
			clearTimeout(timer);
			signal.removeEventListener("abort", over);
			resolve();
		}
	});
}
