/**
 * What this tab has seen of a session and the server does not store: when calls ran, compactions, and receipts.
 * It is kept for a reload, and bounded.
 *
 * @typedef {import("../transcript.js").Transcript} Transcript
 */

const MOST_CALLS = 300;
const MOST_NOTES = 10;
const MOST_RECEIPTS = 20;

/** @param {string} id @param {Transcript} transcript */
export function keep(id, transcript) {
	const calls = [...transcript.calls.values()]
		.filter(({ began, decision }) => began !== null || decision !== null)
		.slice(-MOST_CALLS)
		.map(({ id: call, began, ended, decision, said }) => [
			call,
			{ began, ended, decision, said, live: "", skipped: 0 },
		]);
	const notes = transcript.items.filter((item) => item.kind === "note").slice(-MOST_NOTES);
	const receipts = transcript.items.filter((item) => item.kind === "receipt").slice(-MOST_RECEIPTS);
	try {
		sessionStorage.setItem(`session ${id}`, JSON.stringify({ calls, notes, receipts }));
	} catch {
		sessionStorage.clear(); // it is full; nothing of it is needed
	}
}

/** @param {string} id @returns {Before} */
export function recall(id) {
	try {
		const { calls, notes, receipts } = JSON.parse(sessionStorage.getItem(`session ${id}`) ?? "");
		return { calls: new Map(calls), notes, receipts };
	} catch {
		return { calls: new Map(), notes: [], receipts: [] };
	}
}
