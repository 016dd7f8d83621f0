/** The public API, as the page uses it. Errors are sentences that people may read. */

/** An answer that is not what was asked for. `status` is 0 where nothing answered. */
export class ApiError extends Error {
	/** @param {number} status @param {string} code @param {string} message */
	constructor(status, code, message) {
		super(message);
		this.status = status;
		this.code = code;
	}
}

/** Called when the server asks who we are. @type {() => void} */
let onUnauthorized = () => {};

/** @param {() => void} listener */
export function whenUnauthorized(listener) {
	onUnauthorized = listener;
}

/**
 * Ask the server; an answer that is no success is an error.
 *
 * @param {string} method
 * @param {string} path
 * @param {{body?: any, headers?: Record<string, string>, signal?: AbortSignal}} [options]
 * @returns {Promise<Response>}
 */
export async function ask(method, path, { body, headers, signal } = {}) {
	/** @type {Record<string, string>} */
	const sent = { ...headers };
	if (body !== undefined) sent["Content-Type"] = "application/json";
	const init = { method, headers: sent, signal, body: body === undefined ? undefined : JSON.stringify(body) };
	let answer;
	try {
		answer = await fetch(path, init);
	} catch (error) {
		if (signal?.aborted) throw error;
		throw new ApiError(0, "unreachable", "The server does not answer. Is it running?");
	}
	if (answer.ok) return answer;
	if (answer.status === 401 && !path.startsWith("/console/")) onUnauthorized();
	throw await failure(answer);
}

/** @param {Response} answer */
async function failure(answer) {
	const said = await answer.json().catch(() => null);
	if (typeof said?.error?.message !== "string")
		return new ApiError(answer.status, "unknown", `The server answered with status ${answer.status}.`);
	return new ApiError(answer.status, String(said.error.code), said.error.message);
}

/** @param {string} method @param {string} path @param {Parameters<typeof ask>[2]} [options] */
async function json(method, path, options) {
	return (await ask(method, path, options)).json();
}

/**
 * One page of a list, and the path of the next.
 *
 * @param {string} path
 * @returns {Promise<{entries: any[], next: string | null}>}
 */
async function page(path) {
	const answer = await ask("GET", path);
	const link = /<([^>]*)>;\s*rel="next"/.exec(answer.headers.get("Link") ?? "");
	const next = link && link[1].startsWith("/") && !link[1].startsWith("//") ? link[1] : null;
	return { entries: await answer.json(), next };
}

/** @param {string} id */
const at = (id) => `/sessions/${encodeURIComponent(id)}`;
/** @param {string} id @param {string} run */
const runAt = (id, run) => `${at(id)}/runs/${encodeURIComponent(run)}`;

/** @type {Api} */
export const api = {
	login: (secret) => ask("POST", "/console/login", { body: secret }),
	logout: () => ask("POST", "/console/logout"),
	whetherLoggedIn: () => json("GET", "/console/login"),

	agents: () => json("GET", "/agents"),
	createAgent: (fields) => json("POST", "/agents", { body: fields }),
	updateAgent: (id, fields) => json("PUT", `/agents/${encodeURIComponent(id)}`, { body: fields }),
	deleteAgent: (id) => ask("DELETE", `/agents/${encodeURIComponent(id)}`),

	sessions: (path = "/sessions?limit=100") => page(path),
	session: (id, signal) => json("GET", at(id), { signal }),
	createSession: (fields) => json("POST", "/sessions", { body: fields }),
	updateSession: (id, fields) => json("PUT", at(id), { body: fields }),
	deleteSession: (id) => ask("DELETE", at(id)),
	lastMessages: (id, limit) => json("GET", `${at(id)}/messages?limit=${limit}`),

	send: (id, body) => json("POST", `${at(id)}/message`, { body, headers: { Prefer: "respond-async" } }),
	compact: (id) => json("POST", `${at(id)}/compact`, { body: {}, headers: { Prefer: "respond-async" } }),
	takeBack: (id, run) => json("DELETE", `${at(id)}/messages/${encodeURIComponent(run)}`),

	sessionRuns: (id) => page(`${at(id)}/runs?limit=100`),
	openRuns: (id) => page(`${at(id)}/runs?status=queued,running,waiting,cancelling&limit=200`),
	runs: (status) => page(`/runs?limit=50${status ? `&status=${status}` : ""}`),
	run: (id, run) => json("GET", runAt(id, run)),
	cancelRun: (id, run) => json("POST", `${runAt(id, run)}/cancel`, { body: {} }),
	cancelCall: (id, run, call) =>
		json("POST", `${runAt(id, run)}/tools/${encodeURIComponent(call)}/cancel`, { body: {} }),

	permissions: () => page("/permissions?limit=100"),
	permission: (id, permission) => json("GET", `${at(id)}/permissions/${encodeURIComponent(permission)}`),
	answer: (id, permission, body) => json("POST", `${at(id)}/permissions/${encodeURIComponent(permission)}`, { body }),

	tools: () => json("GET", "/tools"),
	providers: () => json("GET", "/provider"),
	providerAuth: () => json("GET", "/provider/auth"),
	storeCredential: (provider, credential) =>
		ask("PUT", "/provider/auth", { body: { providers: { [provider]: credential } } }),
	deleteCredential: (provider) => ask("DELETE", `/provider/auth/${encodeURIComponent(provider)}`),
	models: (provider) => json("GET", `/provider/${encodeURIComponent(provider)}/models`),
	actors: () => json("GET", "/actors"),
	ready: () => json("GET", "/ready"),
	mcp: () => json("GET", "/mcp"),
	connect: (name) => json("POST", `/mcp/${encodeURIComponent(name)}/connect`),
	disconnect: (name) => json("POST", `/mcp/${encodeURIComponent(name)}/disconnect`),
};
