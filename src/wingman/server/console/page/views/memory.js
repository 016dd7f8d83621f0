/**
 * What this tab has seen of a session and the server does not store: when calls ran, and receipts.
 * It is kept for a reload, and bounded.
 *
 * @typedef {import("../transcript.js").Transcript} Transcript
 * @typedef {{calls: [string, any][], receipts: any[]}} Kept
 */

const MOST_CALLS = 300;
const MOST_RECEIPTS = 20;

/** @param {string} id @param {Transcript} transcript */
export function keep(id, transcript) {
  const calls = [...transcript.calls.values()]
    .filter(({ began, decision }) => began !== null || decision !== null)
    .slice(-MOST_CALLS)
    .map(({ id: call, began, ended, decision, said }) => [call, { began, ended, decision, said, live: "", skipped: 0 }]);
  const receipts = transcript.items.filter((item) => item.kind === "receipt").slice(-MOST_RECEIPTS);
  try {
    sessionStorage.setItem(`session ${id}`, JSON.stringify({ calls, receipts }));
  } catch {
    sessionStorage.clear(); // it is full; nothing of it is needed
  }
}

/** @param {string} id @returns {{calls: Map<string, any>, receipts: Kept["receipts"]}} */
export function recall(id) {
  try {
    const { calls, receipts } = JSON.parse(sessionStorage.getItem(`session ${id}`) ?? "");
    return { calls: new Map(calls), receipts };
  } catch {
    return { calls: new Map(), receipts: [] };
  }
}
