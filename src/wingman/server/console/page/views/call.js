/** A tool call: its input, its output as it comes, what became of it, and how long it took. */

import { api } from "../api.js";
import { button, fill, follow, h, icon, say, set } from "../dom.js";
import { duration, elapsed } from "../text.js";
import { approval } from "./approval.js";
import { announce, complaint } from "./dialog.js";
import { imagesElement } from "./images.js";
import { outputBox } from "./output-box.js";
import { copyButton } from "./prose.js";
import { inputTable, isSummed, summary } from "./value.js";

/** @type {Record<string, string>} */
const DECISIONS = {
	once: "allowed once",
	always: "always allowed",
	reject: "rejected",
	cancelled: "not answered",
	expired: "not answered in time",
};
/** @type {Record<string, string>} */
const CUT = { cancelled: "cancelled", failed: "cut short", interrupted: "interrupted", time_limit: "out of time" };

/**
 * @param {CallItem} item
 * @param {{sessionId: string, onReceipt: OnReceipt}} session
 */
export function callElement(item, { sessionId, onReceipt }) {
	const state = h("span.state");
	const time = h("span.time");
	const details = h("div.details", { hidden: true });
	const toggle = h(
		"button",
		{ type: "button", class: "call-head", "aria-expanded": "false", onclick: fold },
		icon("fold"),
		h("span.dot"),
		h("strong.tool", item.name),
		h("code.what", { dir: "ltr" }, summary(item.input)),
	);
	const cancel = button(
		{ label: "Cancel", icon: "stop", class: "small", named: `Cancel the call of ${item.name}` },
		stop,
	);
	const asks = h("div");
	const output = outputBox({ lines: 10, characters: 2_400, from: "end" });
	const pictures = h("div.images");
	const trouble = complaint();
	const element = h(
		"article.call",
		h("div.call-top", toggle, state, time, cancel),
		details,
		asks,
		output.element,
		pictures,
		trouble.element,
	);

	function fold() {
		const open = details.hidden === false;
		set(toggle, "aria-expanded", String(!open));
		details.hidden = open;
		if (!open && !details.childElementCount) {
			fill(
				details,
				item.malformed === null ? inputTable(item.input) : h("pre.raw", item.malformed),
				h(
					"p.ids",
					h("code", item.id),
					copyButton(() => JSON.stringify(item.input, null, 2)),
				),
			);
		}
	}

	async function stop() {
		await trouble.during(async () => {
			if (item.runId === null) return;
			item.cancelling = true;
			update(item);
			try {
				const receipt = await api.cancelCall(sessionId, item.runId, item.id);
				onReceipt(receipt, item.runId, item.id);
				announce("The call is cancelled.");
			} finally {
				item.cancelling = false;
				update(item);
			}
		});
	}

	/** @param {CallItem} now */
	function update(now) {
		item = now;
		const running = item.state !== "ended";
		element.dataset.state = item.cancelling ? "cancelling" : lookOf(item);
		set(element, "aria-label", `Call of ${item.name}: ${wordsOf(item)}`);
		say(state, wordsOf(item));
		showTime(time, item);
		cancel.hidden = !running || item.runId === null;
		follow(
			asks,
			item.asks,
			({ id }) => id,
			(asked) =>
				approval({ sessionId, asked, input: item.input, showsInput: !isSummed(item.input) }),
			() => {},
		);
		output.update(running ? item.live : item.output, item.skipped);
		element.classList.toggle("bare", (running ? item.live : item.output) === "" && !item.images.length);
		if (item.images.length && !pictures.childElementCount) pictures.append(...imagesElement(item.images));
	}

	return { element, update: /** @param {any} now */ (now) => update(now) };
}

/** @param {CallItem} item */
function lookOf(item) {
	if (item.state !== "ended") return item.state;
	if (endOf(item) === "cancelled") return "cancelled";
	return item.isError ? "failed" : "done";
}

/** @param {CallItem} item */
function wordsOf(item) {
	const answer = item.decision
		? `${DECISIONS[item.decision] ?? item.decision}${item.said ? ` (“${item.said}”)` : ""}`
		: "";
	const end = endOf(item);
	if (item.cancelling) return "stopping…";
	if (item.state === "waiting") return item.asks.some(({ schema }) => schema) ? "asks you" : "waits for you";
	if (item.state === "queued") return "waits for its siblings";
	const parts =
		item.state === "running"
			? [answer && item.began === null ? "" : "running", answer]
			: [answer, answer.startsWith("rejected") ? "" : end];
	return parts.filter(Boolean).join(", ") || "done";
}

/** @param {CallItem} item */
function endOf({ cutShort, isError, output }) {
	if (cutShort) return CUT[cutShort];
	// That somebody else has cancelled a call, its result alone says.
	return !isError ? "" : output.startsWith("Cancelled: ") ? "cancelled" : "failed";
}

/** @param {HTMLElement} element @param {CallItem} item */
function showTime(element, item) {
	if (item.began !== null && item.state === "running") {
		if (element.dataset.since !== String(item.began)) {
			element.dataset.since = String(item.began);
			element.textContent = elapsed(Date.now() - item.began);
		}
		return;
	}
	delete element.dataset.since;
	say(element, item.began !== null && item.ended !== null ? duration(item.ended - item.began) : "");
}
