/**
 * A transcript: a session's history and events, folded into the items that are shown.
 *
 * Pure: no page, no network, no clock. An item that changes gets a new `version`; who shows it looks
 * at that. What the history has and what the events say of the same thing gives the same items.
 */

import { takeHistory } from "./history.js";
import { blankRun, compactedTitle, isOpen, newCall, statusOf } from "./items.js";

const LIVE_MOST = 262_144; // characters of a running tool's output that are kept
/** What the answers to a tool's question are called. @type {Record<string, string>} */
const QUESTIONS = { once: "answered", reject: "declined" };

export class Transcript {
	/**
	 * @param {Session} session with its history
	 * @param {Run[]} runs its runs, newest first
	 * @param {Before | null} [before] what this page has seen of it until now
	 */
	constructor(session, runs, before = null) {
		/** @type {Item[]} */
		this.items = [];
		/** @type {Map<string, CallItem>} */
		this.calls = new Map();
		/** The message of each run. @type {Map<string, UserItem>} */
		this.heads = new Map();
		/** @type {Map<string, EndItem>} */
		this.ends = new Map();
		/** @type {Map<string, Run>} */
		this.runs = new Map(runs.map((run) => [run.id, run]));
		/** The run in flight. @type {{id: string, step: number} | null} */
		this.flight = null;
		/** Runs that events have named and of which nothing else is known. @type {Set<string>} */
		this.unknown = new Set();
		this.cursor = session.last_event_id;
		/** Up to which event `in_progress` has them. Only what tools have said meanwhile is not in it. */
		this.seed = 0;
		this.streamFrom = session.last_event_id;
		this.serial = 0;
		this.attempt = 0; // where the items of the inference under way begin
		takeHistory(this, session, before);
	}

	/** Fold an event. @param {Frame} frame @param {number} now in milliseconds */
	fold({ id, event, data }, now) {
		const seeded = id !== null && id <= this.seed;
		if (id !== null) {
			this.cursor = Math.max(this.cursor, id);
			this.streamFrom = id;
		}
		if (seeded && event !== "tool_progress") return;
		const runId = data?.run_id;
		if (typeof runId !== "string") return;
		if (event === "done" || event === "error") {
			if (id !== null) this.finish(runId, event, data, now);
			return;
		}
		if (!seeded && this.flight?.id !== runId) this.beginRun(runId);
		switch (event) {
			case "step":
				this.takeStep(data);
				break;
			case "text":
			case "thinking":
				this.append(event, runId, data.text);
				break;
			case "tool_use": {
				const known = this.calls.get(data.id);
				if (known?.runId === runId && known.state !== "ended") break;
				this.addCall(data.id, data.name, data.input, `s${this.attempt}.${this.flight?.step}`, runId).began = now;
				break;
			}
			case "tool_progress":
				this.progress(data);
				break;
			case "tool_result": {
				const call = this.calls.get(data.tool_use_id);
				if (call) this.settle(call, data.content, data.is_error, now);
				break;
			}
			case "permission_requested":
			case "permission_resolved":
				this.takePermission(event, data, now);
				break;
			case "steered":
				this.add({ kind: "user", key: this.key(), runId, text: data.text, images: [], steers: true });
				this.amend(data.message_id, { status: "steered" });
				break;
			case "compacted":
				this.add({ kind: "note", key: this.key(), runId, title: compactedTitle(data), text: data.summary });
				break;
		}
	}

	/** @param {string} runId */
	beginRun(runId) {
		this.flight = { id: runId, step: 0 };
		this.attempt = this.items.length;
		const run = this.runs.get(runId);
		if (!run || run.cut) this.unknown.add(runId);
		if (!this.heads.has(runId)) {
			this.add({ kind: "user", key: `u${runId}`, runId, text: run?.message ?? null, images: [], steers: false });
		}
		if (run && isOpen(run) && run.status === "queued") this.amend(runId, { status: "running" });
	}

	/** @param {any} data */
	takeStep(data) {
		if (!this.flight) return;
		if (data.step === this.flight.step) {
			// The inference is asked again: its reasoning comes again, its text goes on.
			for (let i = this.items.length - 1; i >= this.attempt; i -= 1) {
				if (this.items[i].kind === "thinking") this.items.splice(i, 1);
			}
		}
		this.flight.step = data.step;
		this.attempt = this.items.length;
		this.amend(this.flight.id, {
			steps: data.step - 1,
			usage: data.usage,
			...(data.cost === undefined ? {} : { cost: data.cost }),
		});
	}

	/** @param {"text" | "thinking"} kind @param {string} runId @param {string} text */
	append(kind, runId, text) {
		const last = this.items.findLast((item) => item.kind !== "receipt");
		if (last?.kind === kind && last.runId === runId && this.items.length > this.attempt) {
			last.text += text;
			last.version += 1;
		} else if (kind === "text") this.add({ kind, key: this.key(), runId, text, cutShort: null });
		else this.add({ kind, key: this.key(), runId, text, redacted: false });
	}

	/** @param {{tool_use_id: string, text: string}} data */
	progress(data) {
		const call = this.calls.get(data.tool_use_id);
		if (!call || call.state === "ended") return;
		call.live += data.text;
		if (call.live.length > 2 * LIVE_MOST) {
			const cut = call.live.length - LIVE_MOST;
			call.live = call.live.slice(cut);
			call.skipped += cut;
		}
		call.version += 1;
	}

	/** @param {CallItem} call @param {string} output @param {boolean} isError @param {number | null} [now] */
	settle(call, output, isError, now = null) {
		Object.assign(call, { state: "ended", output, isError, live: "", skipped: 0, asks: [], cancelling: false });
		call.ended ??= now;
		call.version += 1;
	}

	/** @param {string} event @param {any} data @param {number} now */
	takePermission(event, data, now) {
		const call = this.calls.get(data.tool_use_id);
		if (!call || call.state === "ended") return;
		call.version += 1;
		if (event === "permission_requested") {
			if (call.began !== null) call.ran = data.schema ? now - call.began : 0;
			call.asks = [...call.asks.filter(({ id }) => id !== data.id), data];
			Object.assign(call, { state: "waiting", began: null });
			return;
		}
		const isQuestion = call.asks.some(({ id, schema }) => id === data.id && schema);
		call.asks = call.asks.filter(({ id }) => id !== data.id);
		if (call.asks.length) return;
		const decision = data.decision ?? data.status;
		Object.assign(call, {
			state: "running", // a call that is not allowed, until its result comes
			decision: isQuestion ? (QUESTIONS[decision] ?? decision) : decision,
			said: data.message ?? null,
		});
		if (isQuestion || data.status === "allowed") call.began = now - call.ran;
	}

	/**
	 * A run's end, be it a result or an error.
	 *
	 * @param {string} runId
	 * @param {"done" | "error"} event
	 * @param {any} data
	 * @param {number} now
	 */
	finish(runId, event, data, now) {
		// One that ends before it has begun, as one that is taken back does, was never in the history.
		const began =
			this.heads.has(runId) ||
			(event === "done" ? data.stop_reason !== "cancelled" || data.steps > 0 : this.flight === null);
		if (began && !this.heads.has(runId)) this.beginRun(runId);
		const ended_at = this.runs.get(runId)?.ended_at ?? new Date(now).toISOString();
		if (event === "done") {
			for (const each of data.tool_calls) {
				const call = this.calls.get(each.id);
				if (call && call.state !== "ended") this.settle(call, each.output, each.is_error, now);
			}
			const { steps, usage, cost } = data;
			this.amend(runId, { result: data, steps, usage, cost, status: statusOf(data.stop_reason), ended_at });
		} else {
			this.amend(runId, { error: data, status: "failed", ended_at });
		}
		for (const call of this.calls.values()) {
			if (call.runId === runId && call.state !== "ended") {
				this.settle(call, call.live, true, now);
				call.cutShort = "failed";
			}
		}
		if (began) this.end(runId);
		if (this.flight?.id === runId) this.flight = null;
		this.unknown.add(runId); // its times and its cost are in the store
	}

	/** @param {string | null} runId */
	end(runId) {
		if (runId === null || this.ends.has(runId)) return;
		/** @type {ReceiptItem[]} */
		const receipts = []; // of its cancel: they stand below the end
		for (let last = this.items.at(-1); last?.kind === "receipt" && last.callId === null; last = this.items.at(-1)) {
			receipts.unshift(last);
			this.items.pop();
		}
		this.add({ kind: "end", key: `e${runId}`, runId });
		this.items.push(...receipts);
	}

	/** What the server says of runs. @param {Run[]} runs */
	learn(runs) {
		for (const run of runs) {
			const known = this.runs.get(run.id);
			if (known && !isOpen(known) && isOpen(run)) continue; // it is older than what we have seen
			const whole =
				run.cut && known && !known.cut
					? { message: known.message, result: known.result ?? run.result, cut: false }
					: {};
			this.runs.set(run.id, { ...run, ...whole });
			if (!run.cut) this.unknown.delete(run.id);
			this.touch(run.id);
			const head = this.heads.get(run.id);
			if (head && (head.text === null || (!run.cut && head.key === `u${run.id}`))) head.text = run.message;
		}
	}

	/** @param {string} runId @param {Partial<Run>} change */
	amend(runId, change) {
		const run = this.runs.get(runId) ?? blankRun(runId);
		this.runs.set(runId, { ...run, ...change });
		this.touch(runId);
	}

	/** @param {string} runId */
	touch(runId) {
		for (const item of [this.heads.get(runId), this.ends.get(runId)]) if (item) item.version += 1;
	}

	/**
	 * A receipt stands below the calls of the step that it is about, or below the end of its run.
	 *
	 * @param {Receipt} receipt
	 * @param {string | null} runId
	 * @param {string | null} callId the call that was cancelled, where it was one alone
	 */
	addReceipt(receipt, runId, callId) {
		for (const tool of receipt.cancelled.flatMap(({ tools }) => tools ?? [])) {
			const call = this.calls.get(tool.id);
			if (call && tool.outcome === "stopped") Object.assign(call, { cutShort: "cancelled", version: call.version + 1 });
		}
		const call = callId === null ? undefined : this.calls.get(callId);
		const last = call
			? this.items.findLast((item) => item.kind === "call" && item.group === call.group)
			: this.ends.get(runId ?? "");
		let at = last ? this.items.indexOf(last) + 1 : this.items.length;
		while (last && this.items[at]?.kind === "receipt") at += 1;
		this.items.splice(at, 0, { kind: "receipt", key: this.key(), version: 0, runId, receipt, callId });
	}

	/** What waits for its turn, or to be read by the run in flight; in order. */
	queue() {
		return [...this.runs.values()]
			.filter((run) => run.status === "queued" && run.id !== this.flight?.id)
			.sort((a, b) => (a.id < b.id ? -1 : 1));
	}

	key() {
		this.serial += 1;
		return `l${this.serial}`;
	}

	/**
	 * @param {string} id
	 * @param {string} name
	 * @param {Record<string, any>} input
	 * @param {string} group
	 * @param {string | null} runId
	 */
	addCall(id, name, input, group, runId) {
		const call = newCall(this.calls.has(id) ? `c${id}.${this.key()}` : `c${id}`, id, name, input, group, runId);
		this.items.push(call);
		this.calls.set(id, call);
		return call;
	}

	/** @param {any} item an `Item` without its version */
	add(item) {
		item.version = 0;
		this.items.push(item);
		if (item.runId === null) return;
		if (item.kind === "end") this.ends.set(item.runId, item);
		else if (item.kind === "user" && !item.steers) this.heads.set(item.runId, item);
	}
}
