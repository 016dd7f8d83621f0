/** What waits for its turn in a session, or to be read by the run under way. */

import { api } from "../api.js";
import { button, follow, h, icon, say } from "../dom.js";
import { oneLine } from "../text.js";
import { complaint } from "./dialog.js";

/** @param {string} sessionId @param {(receipt: Receipt, run: Run) => void} onTakenBack */
export function queueView(sessionId, onTakenBack) {
	const trouble = complaint();
	const list = h("ul");
	const element = h("section.queue", { "aria-label": "Queue" }, list, trouble.element);

	/** @param {Run} run */
	function make(run) {
		return h(
			"li",
			icon("clock"),
			h("span.words", { dir: "auto" }),
			h("span.why.muted"),
			button(
				{ label: "Take back", icon: "undo", class: "quiet small", named: `Take back: ${oneLine(run.message, 60)}` },
				() =>
					trouble.during(async () => {
						const whole = run.cut ? await api.run(sessionId, run.id) : run;
						onTakenBack(await api.takeBack(sessionId, run.id), whole);
					}),
			),
		);
	}

	/** @param {Run[]} runs */
	function update(runs) {
		element.hidden = runs.length === 0;
		follow(
			list,
			runs,
			({ id }) => id,
			make,
			(row, run) => {
				say(row.querySelector(".words"), oneLine(run.message, 120));
				say(row.querySelector(".why"),
					run.waiting_for ? run.waiting_for.message : run.steers ? "is read at the next step" : "waits for its turn",
				);
			},
		);
	}

	return { element, update };
}
