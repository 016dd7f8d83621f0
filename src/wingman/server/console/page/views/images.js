/** Images that the history itself has. Nothing is fetched from elsewhere. */

import { h } from "../dom.js";

const KINDS = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);

/** @param {Image[]} images */
export function imagesElement(images) {
	return images.map(({ media_type, data, note }, at) => {
		const name = `Image ${at + 1} of ${images.length}${note ? `: ${note}` : ""}`;
		if (!KINDS.has(media_type) || !/^[A-Za-z0-9+/=]*$/.test(data.slice(0, 1000)))
			return h("p.muted", `${name}: ${media_type} is not shown.`);
		return h(
			"figure",
			h("img", { src: `data:${media_type};base64,${data}`, alt: name, loading: "lazy" }),
			note ? h("figcaption", note) : null,
		);
	});
}
