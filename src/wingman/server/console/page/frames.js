/** Work that is done once for a frame, and times that are counted on the screen. */

import { elapsed } from "./text.js";

/** @type {Set<() => void>} */
const due = new Set();

/** Do this before the next frame: once, however often it is asked for. @param {() => void} work */
export function soon(work) {
	if (due.size === 0) {
		// A page that is not seen has no frames.
		if (document.hidden) setTimeout(flush, 250);
		else requestAnimationFrame(flush);
	}
	due.add(work);
}

document.addEventListener("visibilitychange", flush); // the frame that is waited for may not come

function flush() {
	const now = [...due];
	due.clear();
	for (const work of now) work();
}

/** Let elements with `data-since` count: the time since then, in milliseconds. */
export function countTimes() {
	setInterval(() => {
		if (document.hidden) return;
		for (const element of document.querySelectorAll("[data-since]")) {
			element.textContent = elapsed(Date.now() - Number(/** @type {HTMLElement} */ (element).dataset.since));
		}
	}, 1000);
}

/**
 * Call this again and again: in the foreground every `ms`, in the background ten times less often.
 * It is never called while it goes on. The function that is returned calls it now.
 *
 * @param {number} ms
 * @param {() => Promise<unknown>} work
 * @param {AbortSignal} [signal]
 */
export function every(ms, work, signal) {
	let busy = false;
	let again = false;
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	let timer;
	async function turn() {
		clearTimeout(timer);
		if (signal?.aborted) return;
		if (busy) {
			again = true;
			return;
		}
		busy = true;
		try {
			await work();
		} finally {
			busy = false;
			if (!signal?.aborted) timer = setTimeout(turn, again ? 0 : document.hidden ? ms * 10 : ms);
			again = false;
		}
	}
	document.addEventListener("visibilitychange", () => !document.hidden && turn(), { signal });
	signal?.addEventListener("abort", () => clearTimeout(timer));
	turn();
	return turn;
}
