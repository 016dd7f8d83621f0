/**
 * The items that a transcript is made of.
 *
 * @typedef {import("../types.js").Block} Block
 * @typedef {import("../types.js").Image} Image
 * @typedef {import("../types.js").Message} Message
 * @typedef {import("../types.js").Receipt} Receipt
 * @typedef {import("../types.js").Run} Run
 * @typedef {import("../types.js").Session} Session
 * @typedef {import("./sse.js").Frame} Frame
 *
 * @typedef {{key: string, version: number, runId: string | null}} Base
 * @typedef {Base & {kind: "user", text: string | null, images: Image[], steers: boolean}} UserItem
 *   `text` is null until it is known
 * @typedef {Base & {kind: "text", text: string, cutShort: string | null}} TextItem
 * @typedef {Base & {kind: "thinking", text: string, redacted: boolean}} ThinkingItem
 * @typedef {Base & {kind: "note", title: string, text: string}} NoteItem
 * @typedef {Base & {kind: "end"}} EndItem what became of a run; `runs` has it
 * @typedef {Base & {kind: "receipt", receipt: Receipt, callId: string | null}} ReceiptItem
 * @typedef {Base & {
 *   kind: "call", id: string, name: string, input: Record<string, any>, malformed: string | null,
 *   group: string, state: "running" | "waiting" | "queued" | "ended", live: string, skipped: number,
 *   output: string, isError: boolean, cutShort: string | null, images: Image[],
 *   permissionId: string | null, always: string[] | null, decision: string | null, said: string | null,
 *   began: number | null, ended: number | null, cancelling: boolean,
 * }} CallItem
 * @typedef {UserItem | TextItem | ThinkingItem | NoteItem | EndItem | ReceiptItem | CallItem} Item
 */

/**
 * @param {string} key
 * @param {string} id
 * @param {string} name
 * @param {Record<string, any>} input
 * @param {string} group its siblings have the same
 * @param {string | null} runId
 * @returns {CallItem}
 */
export function newCall(key, id, name, input, group, runId) {
	return {
		kind: "call",
		key,
		version: 0,
		runId,
		id,
		name,
		input,
		malformed: null,
		group,
		state: "running",
		live: "",
		skipped: 0,
		output: "",
		isError: false,
		cutShort: null,
		images: [],
		permissionId: null,
		always: null,
		decision: null,
		said: null,
		began: null,
		ended: null,
		cancelling: false,
	};
}

/** @param {Run} run */
export function isOpen(run) {
	return ["queued", "running", "waiting", "cancelling"].includes(run.status);
}

/** @param {Session} session @param {Iterable<Run>} runs */
export function inFlight(session, runs) {
	if (session.status === "idle" || session.status === "queued") return null;
	for (const run of runs) if (isOpen(run) && run.status !== "queued") return run.id;
	return null;
}

/** The status of a run that stopped for this reason. @param {string} reason */
export function statusOf(reason) {
	return reason === "cancelled" || reason === "interrupted" ? reason : "completed";
}

/** @param {any} data */
export function compactedTitle(data) {
	return `The history was compacted: about ${data.tokens_before} tokens became ${data.tokens_after}`;
}

/** @param {Block | Image} block @returns {Image} */
export function asImage({ media_type, data, note }) {
	return { media_type: media_type ?? "", data: data ?? "", note };
}

/** A run of which only the events have told. @param {string} id @returns {Run} */
export function blankRun(id) {
	return {
		id,
		session_id: "",
		message: "",
		agent_id: "",
		status: "running",
		result: null,
		error: null,
		steps: 0,
		usage: { input_tokens: 0, output_tokens: 0 },
		created_at: "",
		started_at: null,
		ended_at: null,
		cut: true,
	};
}
