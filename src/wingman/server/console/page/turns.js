/** Which run each message of a history is of. The history does not say; the runs' messages do. */

const COMPARED = 1000; // characters of its message that a run in a list has

/**
 * The run of each message, null where it is not known.
 *
 * The user's words are looked for from the newest on. Words that are no run's message are of the run
 * under way there: they have steered it, or ask it to correct itself.
 *
 * @param {Message[]} history
 * @param {Run[]} runs newest first; not all, where there are many
 * @param {string | null} running the run in flight
 * @returns {(string | null)[]}
 */
export function runsOfTurns(history, runs, running) {
	const begun = runs.filter(
		(run) => run.started_at !== null && run.status !== "steered" && (isOver(run) || run.id === running),
	);
	/** @type {(string | null)[]} */
	const found = history.map(() => null);
	let next = 0;
	for (let i = history.length - 1; i >= 0 && next < begun.length; i -= 1) {
		const words = wordsOf(history[i]);
		if (words === null) continue;
		const at = begun.findIndex(
			(run, index) => index >= next && index < next + 20 && run.message.slice(0, COMPARED) === words,
		);
		if (at < 0) continue;
		found[i] = begun[at].id;
		next = at + 1;
	}
	/** @type {string | null} */
	let current = null;
	return found.map((run) => {
		current = run ?? current;
		return current;
	});
}

/** @param {Message} message */
function wordsOf(message) {
	if (message.role !== "user" || message.content.some((block) => block.type === "tool_result")) return null;
	const text = message.content.filter((block) => block.type === "text").map((block) => block.text ?? "");
	return text.length ? text.join("\n").slice(0, COMPARED) : null;
}

/** @param {Run} run */
function isOver(run) {
	return run.ended_at !== null;
}
