/** A session that is followed: its transcript, kept true over breaks, restarts and gaps. */

import { ApiError, api } from "../api.js";
import { every } from "../frames.js";
import { asImage } from "../items.js";
import { delay, follow, pause } from "../stream.js";
import { Transcript } from "../transcript.js";
import { keep, recall } from "./memory.js";

const RUNS_EVERY_MS = 2_500;
const UNSEEN_MS = 60_000; // a page in the background gives its connection back: a browser has six of them

export class Follower {
	/**
	 * @param {string} id
	 * @param {{onChange: () => void, onNew: () => void, onEnd: (error: ApiError) => void, onEvent: (frame: Frame) => void}} told
	 * @param {AbortSignal} signal
	 */
	constructor(id, told, signal) {
		this.id = id;
		this.told = told;
		this.signal = signal;
		/** @type {Session | null} */
		this.session = null;
		/** @type {Transcript | null} */
		this.transcript = null;
		/** @type {Connection} */
		this.connection = "connecting";
		/** Frames that wait until the session is read. @type {Frame[] | null} */
		this.held = null;
		/** Images of messages that this page has sent. @type {Map<string, Image[]>} */
		this.sent = new Map();
		this.asking = false;
		this.pollRuns = () => {};
		this.isRead = () => {};
		/** Until the session has been read. @type {Promise<void>} */
		this.ready = new Promise((resolve) => {
			this.isRead = resolve;
		});
	}

	async start() {
		try {
			await this.read();
		} catch (error) {
			if (!this.signal.aborted) this.told.onEnd(error instanceof ApiError ? error : new ApiError(0, "", String(error)));
			return;
		}
		this.isRead();
		this.pollRuns = every(RUNS_EVERY_MS, () => this.askRuns(), this.signal);
		addEventListener("pagehide", () => this.keep(), { signal: this.signal });
		this.signal.addEventListener("abort", () => this.keep());
		for (;;) {
			const seen = await this.stream();
			if (!seen) return;
			await whenSeen(this.signal);
			if (this.signal.aborted) return;
		}
	}

	/** Follow the events; true once the page is out of sight, and the connection given back. */
	async stream() {
		const ours = new AbortController();
		const stop = () => ours.abort();
		this.signal.addEventListener("abort", stop);
		/** @type {ReturnType<typeof setTimeout> | undefined} */
		let timer;
		const look = () => {
			clearTimeout(timer);
			if (document.hidden) timer = setTimeout(stop, UNSEEN_MS);
		};
		document.addEventListener("visibilitychange", look, { signal: ours.signal });
		look();
		let gone = false;
		await follow({
			path: `/sessions/${encodeURIComponent(this.id)}/events?include=thinking,step,progress`,
			after: () => this.transcript?.streamFrom ?? 0,
			onFrames: (frames) => this.take(frames),
			onConnection: (state) => {
				this.connection = state;
				this.told.onChange();
			},
			onGone: (error) => {
				gone = true;
				this.told.onEnd(error);
			},
			signal: ours.signal,
		});
		clearTimeout(timer);
		this.signal.removeEventListener("abort", stop);
		return !gone && !this.signal.aborted;
	}

	/** Read the session and its runs anew. What this page alone has seen is kept. */
	async read() {
		const session = await api.session(this.id, this.signal);
		const runs = await api.sessionRuns(this.id);
		const before = this.transcript ? seenBy(this.transcript) : recall(this.id);
		this.transcript = new Transcript(session, runs.entries, before);
		this.session = { ...session, history: undefined };
		this.told.onNew();
	}

	/** @param {Frame[]} frames */
	take(frames) {
		for (let at = 0; at < frames.length; at += 1) {
			const frame = frames[at];
			if (this.held) {
				this.held.push(frame);
				continue;
			}
			if (frame.event === "resync") {
				this.held = [];
				this.resync();
				continue;
			}
			this.transcript?.fold(frame, Date.now());
			this.told.onEvent(frame);
		}
		this.askUnknown();
		this.told.onChange();
	}

	/** Events were missed. What they told is in the history, which is read; then it goes on. */
	async resync() {
		for (let failures = 0; !this.signal.aborted; failures += 1) {
			try {
				await this.read();
				break;
			} catch (error) {
				if (error instanceof ApiError && error.status === 404) return this.told.onEnd(error);
				await pause(delay(failures), this.signal);
			}
		}
		/** @type {Frame[]} */
		const held = this.held ?? [];
		this.held = null;
		if (this.transcript) this.transcript.streamFrom = this.transcript.cursor;
		this.take(held.filter(({ id }) => id === null || id > (this.transcript?.cursor ?? 0)));
	}

	/** What the events do not tell: a run's message, its images, its times. */
	async askUnknown() {
		const { transcript } = this;
		if (this.asking || !transcript || transcript.unknown.size === 0) return;
		this.asking = true;
		try {
			while (transcript.unknown.size && !this.signal.aborted) {
				const [runId] = transcript.unknown;
				transcript.unknown.delete(runId);
				const run = await api.run(this.id, runId).catch(() => null);
				if (run) transcript.learn([run]);
				await this.askImages(runId);
				this.told.onChange();
			}
		} finally {
			this.asking = false;
		}
	}

	/** @param {string} runId */
	async askImages(runId) {
		const head = this.transcript?.heads.get(runId);
		if (!head || head.key !== `u${runId}` || head.images.length) return;
		const ours = this.sent.get(runId);
		if (ours) head.images = ours;
		else {
			const messages = await api.lastMessages(this.id, 20).catch(() => []);
			const found = messages.findLast(
				({ role, content }) =>
					role === "user" && content.some(({ type, text }) => type === "text" && text === head.text),
			);
			head.images = (found?.content ?? []).filter(({ type }) => type === "image").map(asImage);
		}
		head.version += 1;
	}

	async askRuns() {
		const { transcript } = this;
		if (!transcript) return;
		const { entries } = await api.openRuns(this.id).catch(() => ({ entries: null }));
		if (!entries) return;
		const open = new Set(entries.map(({ id }) => id));
		transcript.learn(entries);
		for (const run of transcript.queue()) if (!open.has(run.id)) transcript.unknown.add(run.id);
		await this.askUnknown();
		this.told.onChange();
	}

	keep() {
		if (this.transcript) keep(this.id, this.transcript);
	}
}

/** @param {Transcript} transcript @returns {Before} */
function seenBy({ calls, items }) {
	return {
		calls,
		notes: items.filter((item) => item.kind === "note"),
		receipts: items.filter((item) => item.kind === "receipt"),
	};
}

/** @param {AbortSignal} signal */
async function whenSeen(signal) {
	while (document.hidden && !signal.aborted) {
		await new Promise((resolve) => {
			document.addEventListener("visibilitychange", resolve, { once: true, signal });
			signal.addEventListener("abort", resolve, { once: true });
		});
	}
}
