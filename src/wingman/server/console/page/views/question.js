/** A question of a tool that runs: its words, and a field for each thing that it wants to know. */

import { button, form, h } from "../dom.js";
import { jsonField } from "./value.js";
import { outputBox } from "./output-box.js";

const MOST = 100; // fields, and choices of a field; what has more is answered as JSON

/** Formats that fields have a type for. */
const FORMATS = ["email", "date"];

/** @type {Record<string, (schema: any, needed: boolean) => Field>} */
const MAKERS = {
	boolean: ({ default: usual }) => {
		const element = h("input", { type: "checkbox", checked: usual === true });
		return { element, read: () => element.checked };
	},
	string: ({ format, default: usual, minLength, maxLength }, needed) => {
		const element = h("input", {
			type: FORMATS.includes(format) ? format : "text",
			value: usual ?? "",
			minlength: minLength,
			maxlength: maxLength,
			required: needed,
			dir: "auto",
			autocomplete: "off",
		});
		return { element, read: () => element.value || undefined };
	},
	number: ({ type, default: usual, minimum, maximum }, needed) => {
		const element = h("input", {
			type: "number",
			value: usual ?? "",
			min: minimum,
			max: maximum,
			step: type === "integer" ? 1 : "any",
			required: needed,
		});
		return { element, read: () => (element.value === "" ? undefined : Number(element.value)) };
	},
};
MAKERS.integer = MAKERS.number;

/** @param {Asked} asked @param {Answer} answer */
export function question({ id, resources, schema = {} }, answer) {
	const words = outputBox({ lines: 40, characters: 8_000, from: "start" });
	words.update(resources?.[0] ?? "");
	const { element, read } = fieldsOf(schema, id) ?? jsonOf(schema);
	return form(
		{ class: "asking question" },
		() => answer(() => ({ decision: "once", input: read() }), "It is answered."),
		words.element,
		element,
		h(
			"div.actions",
			h("button", { type: "submit", class: "primary" }, "Answer"),
			button({ label: "Decline", class: "danger" }, () =>
				answer(() => ({ decision: "reject" }), "It is declined."),
			),
		),
	);
}

/**
 * A field for each property; null where the schema has something else.
 *
 * @param {any} schema
 * @param {string} id
 * @returns {Field | null}
 */
function fieldsOf(schema, id) {
	const properties = Object.entries(isObject(schema.properties) ? schema.properties : {});
	if (schema.type !== "object" || !isObject(schema.properties) || properties.length > MOST) return null;
	const needed = new Set(Array.isArray(schema.required) ? schema.required : []);
	/** @type {[string, Field][]} */
	const fields = [];
	const element = h("div.fields");
	for (const [index, [name, property]] of properties.entries()) {
		const field = isObject(property) && fieldOf(property, needed.has(name));
		if (!field) return null;
		fields.push([name, field]);
		element.append(...labelled(field.element, labelOf(name, property), needed.has(name), `${id}-${index}`));
	}
	return {
		element,
		read: () => Object.fromEntries(fields.map(([name, { read }]) => [name, read()])),
	};
}

/** @type {(property: any, needed: boolean) => Field | null} */
function fieldOf(property, needed) {
	const several = property.type === "array";
	const choices = choicesOf(several ? (property.items ?? {}) : property);
	if (choices) {
		if (!choices.length || choices.length > MOST) return null;
		return several ? checks(choices, property.default, needed) : select(choices, property.default, needed);
	}
	// A schema that says more than these words may mean something else.
	const isOdd = ["$ref", "allOf", "anyOf", "oneOf", "not"].some((word) => word in property);
	return isOdd || !Object.hasOwn(MAKERS, property.type) ? null : MAKERS[property.type](property, needed);
}

/** What can be chosen, each with its name. @param {any} schema @returns {[any, string][] | null} */
function choicesOf({ enum: values, enumNames: names, oneOf, anyOf }) {
	if (Array.isArray(values)) return values.map((value, at) => [value, words(names?.[at] ?? value)]);
	const named = oneOf ?? anyOf;
	if (!Array.isArray(named) || !named.every((each) => isObject(each) && "const" in each)) return null;
	return named.map(({ const: value, title }) => [value, words(title ?? value)]);
}

/** @param {[any, string][]} choices @param {any} usual @param {boolean} needed @returns {Field} */
function select(choices, usual, needed) {
	const element = h(
		"select",
		{ required: needed },
		h("option", { value: "" }, needed ? "Choose…" : "Nothing"),
		choices.map(([, name], at) => h("option", { value: at }, name)),
	);
	const at = choices.findIndex(([value]) => value === usual);
	element.value = at < 0 ? "" : String(at);
	return { element, read: () => choices[element.selectedIndex - 1]?.[0] };
}

/** @param {[any, string][]} choices @param {any} usual @param {boolean} needed @returns {Field} */
function checks(choices, usual, needed) {
	const boxes = choices.map(([value]) =>
		h("input", { type: "checkbox", checked: Array.isArray(usual) && usual.includes(value) }),
	);
	const element = h(
		"fieldset.tools",
		choices.map(([, name], at) => h("label.check", boxes[at], h("span", name))),
	);
	return {
		element,
		read() {
			const chosen = choices.filter((_, at) => boxes[at].checked).map(([value]) => value);
			return chosen.length || needed ? chosen : undefined;
		},
	};
}

/** @type {(field: HTMLElement, label: string, needed: boolean, id: string) => HTMLElement[]} */
function labelled(field, label, needed, id) {
	const mark = needed && h("span.muted", " (required)");
	if (field.matches("fieldset")) field.prepend(h("legend", label, mark));
	else field.id = id;
	if (field.matches("[type=checkbox]")) return [h("label.check", field, h("span", label))];
	return field.id ? [h("label", { for: id }, label, mark), field] : [field];
}

/** @param {string} name @param {any} property */
function labelOf(name, { title, description }) {
	return [title, description].filter((each) => typeof each === "string" && each).join(": ") || name;
}

/** What is no flat object is written as JSON, with the schema in sight. @param {any} schema @returns {Field} */
function jsonOf(schema) {
	const field = jsonField("The answer, as JSON", {});
	const element = h(
		"div",
		field.element,
		h(
			"details",
			h("summary", "What it is to fit, a JSON Schema"),
			h("pre.raw", { dir: "ltr" }, JSON.stringify(schema, null, 2)),
		),
	);
	return { element, read: field.read };
}

/** @param {any} value */
function words(value) {
	return typeof value === "string" ? value : JSON.stringify(value);
}

/** @param {any} value @returns {value is Record<string, any>} */
function isObject(value) {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}
