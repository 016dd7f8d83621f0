/** What all views share: sessions, what waits for people, agents; asked for again and again. */

import { ApiError, api } from "./api.js";
import { every, soon } from "./frames.js";
import { oneLine } from "./text.js";

const EVERY_MS = 2_500;
const AGENTS_EVERY = 10; // polls

let polls = 0;

export const store = {
	/** @type {Session[]} */
	sessions: [],
	/** The path of the page after those. @type {string | null} */
	next: null,
	/** The newest message of a session, for one without a title. @type {Map<string, string>} */
	messages: new Map(),
	/** @type {PermissionRequest[]} */
	permissions: [],
	/** @type {Agent[]} */
	agents: [],
	loaded: false,
	/** Why the server cannot be asked, if it cannot. @type {string | null} */
	trouble: null,
};

/** Requests that this page has answered. @type {Set<string>} */
const done = new Set();
/** @type {Set<() => void>} */
const listeners = new Set();

/**
 * Call this, once for a frame, when something has changed.
 *
 * @param {() => void} listener
 * @param {AbortSignal} [signal]
 */
export function watch(listener, signal) {
	listeners.add(listener);
	signal?.addEventListener("abort", () => listeners.delete(listener));
	soon(listener);
}

export function changed() {
	for (const listener of listeners) soon(listener);
}

/** Ask now. @type {() => void} */
export let refresh = () => {};

/** @param {AbortSignal} signal */
export function start(signal) {
	polls = 0;
	refresh = every(EVERY_MS, poll, signal);
}

export async function refreshAgents() {
	store.agents = await api.agents();
	changed();
}

async function poll() {
	try {
		const [permissions, sessions, runs] = await Promise.all([api.permissions(), api.sessions(), api.runs("")]);
		if (polls % AGENTS_EVERY === 0) await refreshAgents();
		polls += 1;
		store.permissions = permissions.entries.filter(({ id }) => !done.has(id));
		merge(sessions);
		for (const run of runs.entries.reverse())
			if (run.message) store.messages.set(run.session_id, oneLine(run.message, 90));
		store.loaded = true;
		store.trouble = null;
	} catch (error) {
		store.trouble = error instanceof ApiError ? error.message : String(error);
	}
	changed();
}

/** A request is answered: a list that was asked for before may still have it. @param {string} id */
export function answered(id) {
	done.add(id);
	store.permissions = store.permissions.filter((each) => each.id !== id);
	changed();
}

/** The first page anew; what older pages had stays. @param {{entries: Session[], next: string | null}} first */
function merge({ entries, next }) {
	const newest = new Set(entries.map(({ id }) => id));
	const oldest = entries.at(-1)?.id ?? "";
	const older = next ? store.sessions.filter(({ id }) => id < oldest && !newest.has(id)) : [];
	store.next = older.length ? store.next : next;
	store.sessions = [...entries, ...older];
}

/** Read the next page of sessions; whether there was one. */
export async function older() {
	if (!store.next) return false;
	const { entries, next } = await api.sessions(store.next);
	const known = new Set(store.sessions.map(({ id }) => id));
	store.sessions = [...store.sessions, ...entries.filter(({ id }) => !known.has(id))];
	store.next = next;
	changed();
	return true;
}

/** What a session is called. @param {{id: string, title?: string | null}} session */
export function nameOf(session) {
	return session.title?.trim() || store.messages.get(session.id) || "Untitled session";
}

/** @param {string} id */
export function agentOf(id) {
	return store.agents.find((agent) => agent.id === id) ?? null;
}

/** Whether an agent has no language model. @param {Agent | null} agent */
export function isKeyless(agent) {
	return agent?.provider.id === "scripted";
}
