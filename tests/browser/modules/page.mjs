// The modules under test.
const folder = new URL("../../../src/wingman/server/console/page/", import.meta.url);

/** @param {string} name */
export const load = (name) => import(new URL(name, folder).href);
