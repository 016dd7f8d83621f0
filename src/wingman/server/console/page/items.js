/** The items that a transcript is made of. */

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
		asks: [],
		decision: null,
		said: null,
		began: null,
		ran: 0,
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

/** @param {ContentBlock | Image} block @returns {Image} */
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
