/** Where one writes: the message, its images, its agent, and what it does while a run is in flight. */

import { ApiError, api } from "../api.js";
import { button, fill, form, h, set } from "../dom.js";
import { store } from "../store.js";
import { size } from "../text.js";
import { complaint } from "./dialog.js";

const MOST_IMAGES = 20;
const MOST_BYTES = 11 * 1024 * 1024; // as base64 they are a third more, and a body has 16 MiB

/** @type {[string, string, string][]} */
const WAYS = [
	["queue", "Queue", "It is run when its turn comes"],
	["steer", "Steer", "The run under way reads it at its next step"],
	["interrupt", "Interrupt", "The run under way is cancelled first"],
];

/**
 * @param {{
 *   sessionId: string,
 *   ready: Promise<void>,
 *   flight: () => string | null,
 *   agentId: () => string | null,
 *   onAgent: (id: string) => void,
 *   onSent: (run: {run_id: string, steers?: string}, text: string, images: Image[]) => void,
 * }} session
 */
export function composer({ sessionId, ready, flight, agentId, onAgent, onSent }) {
	const trouble = complaint();
	/** @type {{image: Image, bytes: number, name: string}[]} */
	let images = [];
	let way = "queue";
	/** So that a message that is sent again is not run twice. @type {{id: string, of: string} | null} */
	let attempt = null;

	const text = h("textarea", {
		id: "message",
		rows: 1,
		"aria-label": "Message",
		placeholder: "Write a message",
		spellcheck: "true",
		dir: "auto",
		oninput: () => {
			keepDraft();
			grow();
		},
		/** @param {KeyboardEvent} event */
		onkeydown: (event) => {
			if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
			event.preventDefault();
			submit();
		},
		/** @param {ClipboardEvent} event */
		onpaste: (event) => {
			const files = [...(event.clipboardData?.files ?? [])];
			if (files.length) {
				event.preventDefault();
				attach(files);
			}
		},
	});
	const file = h("input", {
		type: "file",
		accept: "image/*",
		multiple: true,
		hidden: true,
		onchange: () => {
			attach([...(file.files ?? [])]);
			file.value = "";
		},
	});
	const pictures = h("ul.attached", { "aria-label": "Images of this message" });
	const agents = h("select", {
		"aria-label": "Agent of this message",
		class: "agent",
		onchange: () => onAgent(agents.value),
	});
	const ways = h(
		"div.ways",
		{ role: "group", "aria-label": "While a run is under way" },
		WAYS.map(([id, label, title]) =>
			button({ label, title, class: "chip" }, () => {
				way = id;
				update();
			}),
		),
	);
	const send = button({ label: "Send", icon: "send", class: "primary" }, submit);
	const element = form(
		{
			class: "composer",
			"aria-label": "New message",
			/** @param {DragEvent} event */
			ondragover: (event) => event.preventDefault(),
			/** @param {DragEvent} event */
			ondrop: (event) => {
				event.preventDefault();
				attach([...(event.dataTransfer?.files ?? [])]);
			},
		},
		() => {},
		trouble.element,
		pictures,
		text,
		h(
			"div.tools",
			button({ label: "", icon: "image", class: "quiet", title: "Add images" }, () => file.click()),
			file,
			agents,
			h("span.grow"),
			ways,
			send,
		),
	);

	/** What is written and not sent outlives a look at another view, and a reload. */
	function keepDraft() {
		try {
			if (text.value) sessionStorage.setItem(`draft ${sessionId}`, text.value);
			else sessionStorage.removeItem(`draft ${sessionId}`);
		} catch {
			// The browser keeps nothing, or no more: then the draft is not kept.
		}
	}

	function grow() {
		text.style.setProperty("height", "auto");
		text.style.setProperty("height", `${Math.min(text.scrollHeight + 2, window.innerHeight * 0.4)}px`);
	}

	/** @param {File[]} files */
	async function attach(files) {
		trouble.clear();
		for (const each of files) {
			const used = images.reduce((sum, { bytes }) => sum + bytes, 0);
			const problem = !each.type.startsWith("image/")
				? "is no image"
				: images.length >= MOST_IMAGES
					? "is one too many: a message has 20 at most"
					: used + each.size > MOST_BYTES
						? "is too large: all images of a message have 11 MB at most"
						: null;
			if (problem) {
				trouble.show(new ApiError(0, "image", `${each.name} ${problem}.`));
				continue;
			}
			images.push({ image: { media_type: each.type, data: await base64(each) }, bytes: each.size, name: each.name });
		}
		showImages();
	}

	function showImages() {
		fill(
			pictures,
			images.map((each) =>
				h(
					"li",
					h("img", { src: `data:${each.image.media_type};base64,${each.image.data}`, alt: "" }),
					h("span", `${each.name}, ${size(each.bytes)}`),
					button({ label: "", icon: "close", class: "quiet small", title: `Leave out ${each.name}` }, () => {
						images = images.filter((other) => other !== each);
						showImages();
						text.focus();
					}),
				),
			),
		);
	}

	/** Messages are sent one after the other, in the order in which they were written. */
	let sending = Promise.resolve();

	async function submit() {
		await ready; // before the session is read, its agent is not known
		const message = text.value;
		const sent = images;
		if (!message.trim() && !sent.length) return;
		trouble.clear();
		const agent = agentId();
		if (!agent) {
			trouble.show(new ApiError(0, "no_agent", "Choose an agent for this message first."));
			return;
		}
		/** @type {Record<string, any>} */
		const body = {
			message: message || "What is in the image?",
			agent_id: agent,
			images: sent.map(({ image }) => image),
		};
		if (flight()) body.on_busy = way;
		const of = JSON.stringify(body);
		if (attempt?.of !== of) attempt = { id: randomId(), of };
		body.request_id = attempt.id;
		const ours = attempt;
		write("", []);
		sending = sending.then(async () => {
			try {
				const run = await api.send(sessionId, body);
				if (attempt === ours) attempt = null;
				onSent(run, body.message, body.images);
			} catch (error) {
				trouble.show(error);
				if (!text.value && !images.length) write(message, sent);
			}
		});
	}

	/** @param {string} words @param {typeof images} shown */
	function write(words, shown) {
		text.value = words;
		images = shown;
		keepDraft();
		showImages();
		grow();
	}

	function update() {
		const busy = flight() !== null;
		ways.hidden = !busy;
		WAYS.forEach(([id], at) => set(ways.children[at], "aria-pressed", String(id === way)));
		const chosen = agentId();
		const { agents: options } = store;
		const wanted = JSON.stringify([options.map(({ id, name }) => [id, name]), chosen]);
		if (agents.dataset.options === wanted) return;
		agents.dataset.options = wanted;
		const known = options.some(({ id }) => id === chosen);
		fill(
			agents,
			known ? null : h("option", { value: "" }, chosen ? "An agent that is gone" : "Choose an agent"),
			options.map(({ id, name }) => h("option", { value: id }, name)),
		);
		agents.value = (known && chosen) || "";
	}

	text.value = sessionStorage.getItem(`draft ${sessionId}`) ?? "";

	return {
		element,
		update,
		/** @param {string} words */
		write(words) {
			write(words, images);
			text.focus();
		},
		isEmpty: () => text.value.trim() === "",
		focus: () => text.focus(),
	};
}

/** `crypto.randomUUID` is not there where the page came by plain HTTP from another machine. */
function randomId() {
	return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {File} file @returns {Promise<string>} */
function base64(file) {
	return new Promise((resolve, reject) => {
		const reader = new FileReader();
		reader.onload = () => resolve(String(reader.result).replace(/^[^,]*,/, ""));
		reader.onerror = () => reject(reader.error);
		reader.readAsDataURL(file);
	});
}
