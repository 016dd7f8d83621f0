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

export const api = {
	/** @param {Record<string, string>} secret `link` or `token` */
	login: (secret) => ask("POST", "/console/login", { body: secret }),
	logout: () => ask("POST", "/console/logout"),
	/** @returns {Promise<{needed: boolean, expires_at: string | null}>} */
	whetherLoggedIn: () => json("GET", "/console/login"),

	/** @returns {Promise<Agent[]>} */
	agents: () => json("GET", "/agents"),
	/** @param {Record<string, any>} fields @returns {Promise<Agent>} */
	createAgent: (fields) => json("POST", "/agents", { body: fields }),
	/** @param {string} id @param {Record<string, any>} fields @returns {Promise<Agent>} */
	updateAgent: (id, fields) => json("PUT", `/agents/${encodeURIComponent(id)}`, { body: fields }),
	/** @param {string} id */
	deleteAgent: (id) => ask("DELETE", `/agents/${encodeURIComponent(id)}`),

	/** @param {string} [path] @returns {Promise<{entries: Session[], next: string | null}>} */
	sessions: (path = "/sessions?limit=100") => page(path),
	/** @param {string} id @param {AbortSignal} [signal] @returns {Promise<Session>} */
	session: (id, signal) => json("GET", at(id), { signal }),
	/** @param {Record<string, any>} fields @returns {Promise<Session>} */
	createSession: (fields) => json("POST", "/sessions", { body: fields }),
	/** @param {string} id @param {Record<string, any>} fields @returns {Promise<Session>} */
	updateSession: (id, fields) => json("PUT", at(id), { body: fields }),
	/** @param {string} id */
	deleteSession: (id) => ask("DELETE", at(id)),
	/** @param {string} id @param {number} limit @returns {Promise<Message[]>} */
	lastMessages: (id, limit) => json("GET", `${at(id)}/messages?limit=${limit}`),

	/** @param {string} id @param {Record<string, any>} body @returns {Promise<{run_id: string, status: string, steers?: string}>} */
	send: (id, body) => json("POST", `${at(id)}/message`, { body, headers: { Prefer: "respond-async" } }),
	/** @param {string} id @param {string} run @param {Record<string, any>} body */
	steer: (id, run, body) => json("POST", `${runAt(id, run)}/steer`, { body }),
	/** @param {string} id */
	compact: (id) => json("POST", `${at(id)}/compact`, { body: {}, headers: { Prefer: "respond-async" } }),
	/** @param {string} id @param {string} run @returns {Promise<Receipt>} */
	takeBack: (id, run) => json("DELETE", `${at(id)}/messages/${encodeURIComponent(run)}`),

	/** @param {string} id @returns {Promise<{entries: Run[], next: string | null}>} */
	sessionRuns: (id) => page(`${at(id)}/runs?limit=100`),
	/** @param {string} id @returns {Promise<{entries: Run[], next: string | null}>} */
	openRuns: (id) => page(`${at(id)}/runs?status=queued,running,waiting,cancelling&limit=200`),
	/** @param {string} status @returns {Promise<{entries: Run[], next: string | null}>} */
	runs: (status) => page(`/runs?limit=50${status ? `&status=${status}` : ""}`),
	/** @param {string} id @param {string} run @returns {Promise<Run>} */
	run: (id, run) => json("GET", runAt(id, run)),
	/** @param {string} id @param {string} run @returns {Promise<Receipt>} */
	cancelRun: (id, run) => json("POST", `${runAt(id, run)}/cancel`, { body: {} }),
	/** @param {string} id @param {string} run @param {string} call @returns {Promise<Receipt>} */
	cancelCall: (id, run, call) =>
		json("POST", `${runAt(id, run)}/tools/${encodeURIComponent(call)}/cancel`, { body: {} }),

	/** @returns {Promise<{entries: PermissionRequest[], next: string | null}>} */
	permissions: () => page("/permissions?limit=100"),
	/** @param {string} id @param {string} permission @returns {Promise<PermissionRequest>} */
	permission: (id, permission) => json("GET", `${at(id)}/permissions/${encodeURIComponent(permission)}`),
	/** @param {string} id @param {string} permission @param {Record<string, any>} body @returns {Promise<PermissionRequest>} */
	answer: (id, permission, body) => json("POST", `${at(id)}/permissions/${encodeURIComponent(permission)}`, { body }),

	tools: () => json("GET", "/tools"),
	providers: () => json("GET", "/provider"),
	providerAuth: () => json("GET", "/provider/auth"),
	/** @param {string} provider @param {Record<string, any>} credential */
	storeCredential: (provider, credential) =>
		ask("PUT", "/provider/auth", { body: { providers: { [provider]: credential } } }),
	/** @param {string} provider */
	deleteCredential: (provider) => ask("DELETE", `/provider/auth/${encodeURIComponent(provider)}`),
	/** @param {string} provider */
	models: (provider) => json("GET", `/provider/${encodeURIComponent(provider)}/models`),
	actors: () => json("GET", "/actors"),
	ready: () => json("GET", "/ready"),
	mcp: () => json("GET", "/mcp"),
	contract: () => json("GET", "/openapi.json"),
};
