/** All that waits for an answer, in all sessions. */

import { follow, h, heading, say, sessionHref } from "../dom.js";
import { nameOf, store, watch } from "../store.js";
import { ago } from "../text.js";
import { approval } from "./approval.js";

/** @type {View} */
export function approvalsView(main, signal) {
	const list = h("ul.asked");
	const nothing = h("p.empty");
	main.append(
		heading("Approvals"),
		h(
			"div.page",
			h(
				"p.muted",
				"Tool calls that wait for an answer, the oldest first. Whatever else a run can do meanwhile, it does.",
			),
			list,
			nothing,
		),
	);
	watch(() => {
		follow(
			list,
			[...store.permissions].reverse(),
			({ id }) => id,
			make,
			(element, request) =>
				say(element.querySelector(".when"), ago(request.created_at, Date.now())),
		);
		say(nothing, store.permissions.length || !store.loaded ? "" : "Nothing waits for you.");
	}, signal);
}

/** @param {PermissionRequest} request */
function make(request) {
	const session = store.sessions.find(({ id }) => id === request.session_id) ?? { id: request.session_id };
	return h(
		"li.card.waiting",
		h(
			"div.line",
			h("strong.tool", request.tool),
			h("a", { href: sessionHref(request.session_id), class: "grow" }, nameOf(session)),
			h("span.when.muted"),
		),
		request.expires_at ? h("p.muted", `It waits until ${new Date(request.expires_at).toLocaleTimeString()}.`) : null,
		approval({
			sessionId: request.session_id,
			asked: request,
			input: request.cut ? null : (request.input ?? {}),
			showsInput: true,
		}),
	);
}
