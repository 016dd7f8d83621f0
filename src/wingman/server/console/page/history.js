/**
 * A history, and what is under way, as the items of a transcript.
 *
 * Pure. It begins a transcript; `transcript.js` goes on with the events.
 *
 * @typedef {import("./transcript.js").Transcript} Transcript
 */

import { asImage, inFlight } from "./items.js";
import { runsOfTurns } from "./turns.js";

/** @param {Transcript} transcript @param {Session} session @param {Before | null} before */
export function takeHistory(transcript, session, before) {
	const history = session.history ?? [];
	const running = session.in_progress?.run_id ?? inFlight(session, transcript.runs.values());
	const turns = runsOfTurns(history, [...transcript.runs.values()], running);
	history.forEach((message, index) => takeMessage(transcript, message, index, turns));
	if (running !== null) {
		transcript.flight = { id: running, step: session.in_progress?.step ?? 0 };
		if (!turns.includes(running)) {
			transcript.end(turns.at(-1) ?? null);
			transcript.beginRun(running);
		}
	} else if (turns.length) transcript.end(turns.at(-1) ?? null);
	transcript.attempt = transcript.items.length;
	if (session.in_progress) takeProgress(transcript, session.in_progress);
	takeCompactions(transcript);
	if (before) recall(transcript, before);
}

/** Runs that were asked for to compact the history: they have no message, and are not in it. @param {Transcript} transcript */
function takeCompactions(transcript) {
	const found = [...transcript.runs.values()].filter(
		(run) => run.message === "" && run.started_at && run.ended_at && !transcript.heads.has(run.id),
	);
	for (const { id } of found.reverse()) {
		const items = transcript.items.splice(placeOf(transcript, id));
		transcript.add({ kind: "user", key: `u${id}`, runId: id, text: "", images: [], steers: false });
		transcript.end(id);
		transcript.items.push(...items);
	}
}

/** Where something of a run belongs that the history does not have. @param {Transcript} transcript @param {string | null} runId */
function placeOf(transcript, runId) {
	const end = runId === null ? undefined : transcript.ends.get(runId);
	const at = end
		? transcript.items.indexOf(end)
		: transcript.items.findIndex(
				(item) => item.kind === "user" && runId !== null && item.runId !== null && item.runId > runId,
			);
	return at < 0 ? transcript.items.length : at;
}

/** @param {Transcript} transcript @param {Message} message @param {number} index @param {(string | null)[]} turns the run of each message */
function takeMessage(transcript, message, index, turns) {
	const runId = turns[index];
	if (index > 0 && runId !== turns[index - 1]) transcript.end(turns[index - 1]);
	const key = `m${index}`;
	if (message.role === "assistant") {
		message.content.forEach((block, at) => takeBlock(transcript, block, `${key}.${at}`, key, runId));
		if (message.cut_short) {
			const last = transcript.items.at(-1);
			if (last?.kind === "text") last.cutShort = message.cut_short;
		}
		return;
	}
	for (const block of message.content) if (block.type === "tool_result") takeResult(transcript, block);
	const text = message.content
		.filter((block) => block.type === "text")
		.map((block) => block.text ?? "")
		.join("\n");
	const images = message.content.filter((block) => block.type === "image").map(asImage);
	const first = index === 0 || turns[index - 1] !== runId || runId === null;
	if (text || images.length) transcript.add({ kind: "user", key, runId, text, images, steers: !first });
}

/** @param {Transcript} transcript @param {ContentBlock} block @param {string} key @param {string} group @param {string | null} runId */
function takeBlock(transcript, block, key, group, runId) {
	if (block.type === "text" && block.text)
		transcript.add({ kind: "text", key, runId, text: block.text, cutShort: null });
	else if (block.type === "thinking" && block.thinking)
		transcript.add({ kind: "thinking", key, runId, text: block.thinking, redacted: false });
	else if (block.type === "redacted_thinking")
		transcript.add({ kind: "thinking", key, runId, text: "", redacted: true });
	else if (block.type === "tool_use") {
		const call = transcript.addCall(String(block.id), String(block.name), block.input ?? {}, group, runId);
		call.malformed = block.malformed ?? null;
	}
}

/** @param {Transcript} transcript @param {ContentBlock} block */
function takeResult(transcript, block) {
	const call = transcript.calls.get(String(block.tool_use_id));
	if (!call) return;
	transcript.settle(call, block.content ?? "", block.is_error ?? false);
	call.cutShort = block.cut_short ?? null;
	call.images = (block.images ?? []).map(asImage);
}

/** @param {Transcript} transcript @param {NonNullable<Session["in_progress"]>} progress */
function takeProgress(transcript, progress) {
	const runId = progress.run_id;
	transcript.seed = progress.event_id;
	transcript.cursor = Math.max(transcript.cursor, progress.event_id);
	if (progress.thinking)
		transcript.add({ kind: "thinking", key: transcript.key(), runId, text: progress.thinking, redacted: false });
	if (progress.text)
		transcript.add({ kind: "text", key: transcript.key(), runId, text: progress.text, cutShort: null });
	const group = transcript.key();
	for (const each of progress.calls) {
		const call = transcript.addCall(each.id, each.name, each.input, group, runId);
		if (each.permission_id) call.asks.push({ id: each.permission_id });
		if (each.state === "ended") transcript.settle(call, each.content ?? "", each.is_error ?? false);
		else call.state = each.state === "announced" ? "running" : each.state;
	}
}

/**
 * What the page has seen of a session and the server does not store: when calls ran, receipts.
 *
 * @param {Transcript} transcript
 * @param {Before} before
 */
function recall(transcript, { calls, notes, receipts }) {
	for (const call of transcript.calls.values()) {
		const known = calls.get(call.id);
		if (!known) continue;
		const { began, ended, live, skipped, decision, said } = known;
		Object.assign(call, { began, ended, decision, said });
		if (call.state !== "ended") Object.assign(call, { live, skipped });
	}
	for (const note of notes)
		transcript.items.splice(placeOf(transcript, note.runId), 0, { ...note, key: transcript.key(), version: 0 });
	for (const { receipt, runId, callId } of receipts) transcript.addReceipt(receipt, runId, callId);
}
