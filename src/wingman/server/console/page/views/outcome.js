/** What became of a run, and what a cancel did. */

import { fill, h, icon } from "../dom.js";
import { cost, duration, plural, short } from "../text.js";

/** @type {Record<string, [string, string]>} */
const WORDS = {
	completed: ["check", "Completed"],
	failed: ["close", "Failed"],
	cancelled: ["stop", "Cancelled"],
	interrupted: ["stop", "Interrupted: the server stopped under it"],
};
/** @type {Record<string, string>} */
const REASONS = {
	step_limit: "Stopped: the limit of steps was reached",
	time_limit: "Stopped: its time was over",
	token_limit: "Stopped: the limit of tokens was reached",
	max_tokens: "The model's answer was cut at its limit of tokens",
	refusal: "The model refused",
};

/** @param {HTMLElement} element @param {Run | undefined} run */
export function showOutcome(element, run) {
	if (!run || !(run.status in WORDS)) {
		fill(element);
		return;
	}
	const [sign, words] = WORDS[run.status];
	const reason = run.result ? REASONS[run.result.stop_reason] : undefined;
	element.dataset.status = reason ? "limited" : run.status;
	fill(
		element,
		h("p.line", icon(sign), h("span", reason ?? words), ...facts(run).map((fact) => h("span.fact", fact))),
		run.error && h("p.reason", h("code", run.error.code), " ", run.error.message),
		run.result?.detail && h("p.reason", run.result.detail),
	);
}

/** @param {Run} run */
function facts(run) {
	const took = run.started_at && run.ended_at ? Date.parse(run.ended_at) - Date.parse(run.started_at) : null;
	return [
		took === null ? "" : duration(took),
		run.steps ? plural(run.steps, "step") : "",
		tokens(run.usage),
		run.cost === undefined ? "" : cost(run.cost),
	].filter(Boolean);
}

/** @param {Usage} usage */
export function tokens(usage) {
	if (!usage.input_tokens && !usage.output_tokens) return "";
	return `${short(usage.input_tokens)} tokens in, ${short(usage.output_tokens)} out`;
}

/** A receipt, as it is. @param {Receipt} receipt @param {(id: string) => string} callName */
export function receiptElement(receipt, callName) {
	return h(
		"div.receipt",
		{ role: "group", "aria-label": "Receipt" },
		h(
			"p.line",
			icon("stop"),
			h("strong", "Receipt"),
			h("span.muted", receipt.cancelled.length ? "what the cancel did" : "there was nothing to cancel: it had ended"),
		),
		receipt.cancelled.map((run) =>
			h(
				"div.cancelled",
				h("p", headline(run)),
				run.tools?.length
					? h(
							"ul",
							run.tools.map((tool) =>
								h(
									"li",
									{ class: tool.outcome },
									h("code", callName(tool.id)),
									" ",
									OUTCOMES[tool.outcome] ?? tool.outcome,
									tool.note ? h("p.note", tool.note) : null,
								),
							),
						)
					: null,
				run.unread !== undefined ? h("p.note", "Nobody has read: ", h("q", run.unread)) : null,
			),
		),
		h("details", h("summary", "As the server said it"), h("pre.raw", { dir: "ltr" }, JSON.stringify(receipt, null, 2))),
	);
}

/** @type {Record<string, string>} */
const OUTCOMES = {
	stopped: "stopped: no process of it is left",
	completed: "had ended by itself just then",
	still_running: "is still running",
};

/** @param {Receipt["cancelled"][0]} run */
function headline(run) {
	const time = duration(run.stopped_in_ms);
	if (run.outcome === "still_running") return `After ${time} it has not stopped yet. It was ${run.was}.`;
	if (run.outcome === "completed") return `It was about to end by itself, and has, in ${time}.`;
	if (run.outcome === "failed") return `It was about to fail, and has, in ${time}.`;
	return run.was === "queued"
		? `Taken out of the queue in ${time}: it never began.`
		: `Stopped in ${time}. It was ${run.was}.`;
}
