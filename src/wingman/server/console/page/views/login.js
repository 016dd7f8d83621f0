/** Who has no link logs in with the server's token. */

import { api } from "../api.js";
import { fill, form, h } from "../dom.js";
import { complaint } from "./dialog.js";

/** @param {HTMLElement} main @param {() => void} enter @param {string} [refused] why the link did not work */
export function loginView(main, enter, refused = "") {
	const trouble = complaint();
	const token = h("input", {
		type: "password",
		id: "token",
		name: "token",
		autocomplete: "current-password",
		required: true,
	});
	const element = form(
		{ class: "login card" },
		() =>
			trouble.during(async () => {
				await api.login({ token: token.value.trim() });
				enter();
			}),
		h("img", { src: "/console/icon.svg", alt: "", width: 40, height: 40 }),
		h("h1", {}, "Wingman"),
		h(
			"p.muted",
			{},
			"This server has a token. Open the link that ",
			h("code", {}, "wingman serve"),
			" has printed, or enter the token.",
		),
		h("label", { for: "token" }, "Token"),
		token,
		trouble.element,
		h("button", { type: "submit", class: "primary" }, "Log in"),
	);
	main.className = "main centred";
	fill(main, element);
	if (refused) trouble.element.textContent = refused;
	token.focus();
}
