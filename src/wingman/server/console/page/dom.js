/** Elements from values. Every text goes through `visible`, and none is ever read as HTML. */

import { visible } from "./text.js";

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * @template {string} Tag
 * @typedef {Tag extends `${infer Name extends keyof HTMLElementTagNameMap}.${string}` ? HTMLElementTagNameMap[Name]
 *   : Tag extends keyof HTMLElementTagNameMap ? HTMLElementTagNameMap[Tag] : never} Made
 */

/**
 * An element: its name and its classes, as `p.muted`.
 *
 * Its attributes may come first: a function is a listener (`onclick`), true is an attribute without a value,
 * and what is null, undefined or false is left out. `value` and `checked` are properties.
 *
 * @template {string} Tag
 * @param {Tag} tag
 * @param {...(Record<string, any> | Child | Child[])} given
 * @returns {Made<Tag>}
 */
export function h(tag, ...given) {
	const [name, ...classes] = tag.split(".");
	const element = document.createElement(name);
	if (classes.length) element.className = classes.join(" ");
	const props = isProps(given[0]) ? /** @type {Record<string, any>} */ (given.shift()) : {};
	for (const [attribute, value] of Object.entries(props)) set(element, attribute, value);
	element.append(...nodes(/** @type {Child[]} */ (given.flat())));
	return /** @type {Made<Tag>} */ (element);
}

/** @param {any} value */
function isProps(value) {
	return typeof value === "object" && value !== null && !(value instanceof Node) && !Array.isArray(value);
}

/** @param {Element} element @param {string} name @param {any} value */
export function set(element, name, value) {
	if (typeof value === "function") element.addEventListener(name.slice(2), value);
	else if (name === "value" || name === "checked") /** @type {any} */ (element)[name] = value;
	else if (value === null || value === undefined || value === false) element.removeAttribute(name);
	else {
		const text = value === true ? "" : visible(String(value));
		if (element.getAttribute(name) !== text) element.setAttribute(name, text);
	}
}

/** @param {Child[]} children @returns {(Node | string)[]} */
function nodes(children) {
	/** @type {(Node | string)[]} */
	const found = [];
	for (const child of children) {
		if (child === null || child === undefined || child === false) continue;
		found.push(child instanceof Node ? child : visible(String(child)));
	}
	return found;
}

/** Put these in the place of what an element has. @param {Element} element @param {...(Child | Child[])} children */
export function fill(element, ...children) {
	element.replaceChildren(...nodes(children.flat()));
}

/** @param {Element | null} element @param {string} text */
export function say(element, text) {
	const shown = visible(text);
	if (element && element.textContent !== shown) element.textContent = shown;
}

/**
 * A list of elements that follows a list of values: what stays keeps its element, and so its focus.
 *
 * @template T
 * @param {Element} parent
 * @param {T[]} values
 * @param {(value: T) => string} keyOf
 * @param {(value: T) => HTMLElement} make
 * @param {(element: HTMLElement, value: T) => void} update
 */
export function follow(parent, values, keyOf, make, update) {
	/** @type {Map<string, HTMLElement>} */
	const there = new Map();
	for (const child of parent.children)
		there.set(/** @type {HTMLElement} */ (child).dataset.key ?? "", /** @type {HTMLElement} */ (child));
	/** @type {Element | null} */
	let next = parent.firstElementChild;
	for (const value of values) {
		const key = keyOf(value);
		let element = there.get(key);
		there.delete(key);
		if (!element) {
			element = make(value);
			element.dataset.key = key;
		}
		update(element, value);
		if (element === next) next = next.nextElementSibling;
		else parent.insertBefore(element, next);
	}
	for (const gone of there.values()) gone.remove();
}

const SVG = "http://www.w3.org/2000/svg";
/** The lines of each icon, in a square of 16. @type {Record<string, string>} */
const ICONS = {
	add: "M8 3v10M3 8h10",
	back: "M10 3 5 8l5 5",
	check: "m3 8.5 3.2 3.2L13 5",
	clock: "M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11M8 5v3.2l2 1.3",
	close: "m4 4 8 8M12 4l-8 8",
	copy: "M6 6h7v7H6zM3 10V3h7",
	down: "m4 6 4 4 4-4",
	fold: "m6 4 4 4-4 4",
	hand: "M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11M8 5v4M8 10.8v.2",
	image: "M2.5 3.5h11v9h-11zM3 11l3-3.5 2.5 2.5L10.5 8l3 3",
	keys: "M1.5 4h13v8h-13zM4 6.5h.01M6.7 6.5h.01M9.3 6.5h.01M12 6.5h.01M5 9.5h6",
	more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
	pulse: "M1.5 8H5l2-4.5 2.5 9 2-4.5h3",
	search: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.3 10.3 13.5 13.5",
	send: "M8 13V3M3.5 7.5 8 3l4.5 4.5",
	stop: "M4 4h8v8H4z",
	undo: "M5.5 3 2.5 6l3 3M2.5 6H10a3.5 3.5 0 0 1 0 7H6",
	user: "M8 3a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5M3 13.5c.5-3 2.5-4 5-4s4.5 1 5 4",
};

/** @param {string} name */
export function icon(name) {
	const svg = document.createElementNS(SVG, "svg");
	for (const [attribute, value] of Object.entries({ class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" }))
		svg.setAttribute(attribute, value);
	const path = document.createElementNS(SVG, "path");
	path.setAttribute("d", ICONS[name]);
	svg.append(path);
	return svg;
}

/**
 * A button that does something; while it does, it cannot be pressed again.
 *
 * @param {{label: string, icon?: string, class?: string, title?: string, named?: string}} look
 *   `named`: its name for screen readers, where the label is not enough
 * @param {(event: Event) => void | Promise<unknown>} action
 */
export function button({ label, icon: sign, class: kind, title, named }, action) {
	const element = h(
		"button",
		{ type: "button", class: kind, title, "aria-label": named ?? (label ? null : title) },
		sign ? icon(sign) : null,
		label ? h("span", label) : null,
	);
	element.addEventListener("click", async (event) => {
		if (element.getAttribute("aria-disabled") === "true") return;
		const doing = action(event);
		if (!(doing instanceof Promise)) return;
		element.setAttribute("aria-disabled", "true");
		try {
			await doing;
		} finally {
			element.removeAttribute("aria-disabled");
		}
	});
	return element;
}

/**
 * A form that does something when it is sent, and never leaves the page.
 *
 * @param {Record<string, any>} props
 * @param {() => unknown} action
 * @param {...(Child | Child[])} children
 */
export function form(props, action, ...children) {
	/** @param {Event} event */
	const onsubmit = (event) => {
		event.preventDefault();
		action();
	};
	return h("form", { ...props, onsubmit }, ...children);
}

/** The top of a view; on a phone it has the way back. @param {string} title @param {string} [back] */
export function heading(title, back = "#/") {
	return h("header.head", h("a.up", { href: back, "aria-label": "Back" }, icon("back")), h("h1", title));
}

/** @param {string} id */
export function sessionHref(id) {
	return `#/session/${encodeURIComponent(id)}`;
}
