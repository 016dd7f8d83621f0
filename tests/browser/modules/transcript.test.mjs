import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./page.mjs";

const { Transcript } = await load("transcript.js");

const NOW = Date.parse("2026-01-01T00:00:00Z");
const usage = { input_tokens: 10, output_tokens: 5 };
const session = (fields = {}) => ({ id: "S", work_dir: "/", title: null, agent_id: null, status: "idle", last_event_id: 0, usage, history: [], ...fields });
const run = (id, message, fields = {}) => ({ id, session_id: "S", message, agent_id: "A", status: "completed", result: null, error: null, steps: 1, usage, created_at: "2026-01-01T00:00:00Z", started_at: "2026-01-01T00:00:00Z", ended_at: "2026-01-01T00:00:01Z", ...fields });
const user = (text) => ({ role: "user", content: [{ type: "text", text }] });
const said = (...content) => ({ role: "assistant", content });
const words = (text) => ({ type: "text", text });
const use = (id) => ({ type: "tool_use", id, name: "bash", input: { command: id } });
const given = (id, content, fields = {}) => ({ type: "tool_result", tool_use_id: id, content, is_error: false, ...fields });
const result = (fields = {}) => ({ run_id: "R1", response: "", stop_reason: "end_turn", steps: 2, tool_calls: [], usage, ...fields });

/** A transcript that has folded these events, numbered from 1 on. */
function folded(transcript, ...events) {
  events.forEach(([event, data, id], at) => transcript.fold({ id: id ?? transcript.cursor + 1, event, data: { run_id: "R1", ...data } }, NOW + at * 1000));
  return transcript;
}

/** What is shown, without what is of no matter here. */
const shown = ({ items }) => items.map((item) => {
  if (item.kind === "call") return `call ${item.id} ${item.state}${item.isError ? " failed" : ""}: ${item.output || item.live}`;
  if (item.kind === "end") return `end ${item.runId}`;
  return `${item.kind}${item.steers ? " steers" : ""} ${item.text ?? ""}`.trim();
});

test("the history and the events of the same run are shown the same", () => {
  const history = [user("go"), said(words("Let me see."), use("a"), use("b")), { role: "user", content: [given("a", "1"), given("b", "2")] }, said(words("Done."))];
  const stored = new Transcript(session({ history }), [run("R1", "go")]);
  const followed = folded(new Transcript(session(), [run("R1", "go", { status: "queued", started_at: null, ended_at: null })]),
    ["step", { step: 1, usage }], ["text", { text: "Let me " }], ["text", { text: "see." }], ["tool_use", { id: "a", name: "bash", input: {} }], ["tool_use", { id: "b", name: "bash", input: {} }],
    ["tool_progress", { tool_use_id: "a", text: "1" }], ["tool_result", { tool_use_id: "b", content: "2", is_error: false }], ["tool_result", { tool_use_id: "a", content: "1", is_error: false }],
    ["step", { step: 2, usage }], ["text", { text: "Done." }], ["done", result()]);
  assert.deepEqual(shown(followed), ["user go", "text Let me see.", "call a ended: 1", "call b ended: 2", "text Done.", "end R1"]);
  assert.deepEqual(shown(stored), shown(followed));
  assert.equal(followed.flight, null);
  assert.equal(followed.runs.get("R1").status, "completed");
});

test("a reload in the middle shows the same as before, and goes on", () => {
  const asked = run("R1", "go", { status: "running", ended_at: null });
  const events = [["step", { step: 1, usage }], ["thinking", { text: "Hm." }], ["text", { text: "Let me" }], ["tool_use", { id: "a", name: "bash", input: {} }], ["tool_use", { id: "b", name: "bash", input: {} }], ["tool_progress", { tool_use_id: "a", text: "one\n" }], ["tool_result", { tool_use_id: "b", content: "2", is_error: false }]];
  const before = folded(new Transcript(session(), [asked]), ...events);
  const in_progress = { run_id: "R1", event_id: 7, step: 1, text: "Let me", thinking: "Hm.", calls: [{ id: "a", name: "bash", input: {}, state: "running" }, { id: "b", name: "bash", input: {}, state: "ended", content: "2" }] };
  const after = new Transcript(session({ status: "running", history: [user("go")], in_progress }), [asked]);
  // The events of the step under way come again: what a running tool has said is nowhere else.
  events.forEach(([event, data], at) => after.fold({ id: at + 1, event, data: { run_id: "R1", ...data } }, NOW));
  assert.deepEqual(shown(after), shown(before));
  const next = ["tool_progress", { tool_use_id: "a", text: "two\n" }, 8];
  assert.deepEqual(shown(folded(after, next)), shown(folded(before, next)));
  assert.equal(after.cursor, 8);
});

test("a run of which only its events are known is asked for", () => {
  const transcript = folded(new Transcript(session(), []), ["text", { text: "Hi" }]);
  assert.deepEqual([...transcript.unknown], ["R1"]);
  assert.deepEqual(shown(transcript), ["user", "text Hi"]);
  transcript.learn([run("R1", "go", { status: "running", ended_at: null })]);
  assert.deepEqual(shown(transcript), ["user go", "text Hi"]);
  assert.equal(transcript.unknown.size, 0);
});

test("an inference that is asked again does not show its reasoning twice", () => {
  const transcript = folded(new Transcript(session(), [run("R1", "go")]), ["step", { step: 1, usage }], ["thinking", { text: "first" }], ["step", { step: 1, usage }], ["thinking", { text: "second" }], ["text", { text: "Hi" }]);
  assert.deepEqual(shown(transcript), ["user go", "thinking second", "text Hi"]);
});

test("a call waits for a person, and the time that it waits is not its own", () => {
  const transcript = folded(new Transcript(session(), [run("R1", "go")]), ["tool_use", { id: "a", name: "bash", input: {} }], ["permission_requested", { id: "P", tool_use_id: "a", tool: "bash", always: ["date"] }]);
  const call = transcript.calls.get("a");
  assert.deepEqual([call.state, call.asks[0].id, call.asks[0].always, call.began], ["waiting", "P", ["date"], null]);
  folded(transcript, ["permission_resolved", { id: "P", tool_use_id: "a", status: "allowed", decision: "once" }], ["tool_result", { tool_use_id: "a", content: "1", is_error: false }]);
  assert.deepEqual([call.state, call.asks.length, call.decision, call.ended - call.began], ["ended", 0, "once", 1000]);
});

test("a call that asks two things at once waits for both, and its time stands meanwhile", () => {
  const asks = (id) => ["permission_requested", { id, tool_use_id: "a", tool: "ask", always: [], schema: { type: "object" } }];
  const answered = (id, decision) => ["permission_resolved", { id, tool_use_id: "a", status: "allowed", decision }];
  const transcript = folded(new Transcript(session(), [run("R1", "go")]), ["tool_use", { id: "a", name: "ask", input: {} }], asks("P"), asks("Q"), answered("P", "once"));
  const call = transcript.calls.get("a");
  assert.deepEqual([call.state, call.asks.map(({ id }) => id)], ["waiting", ["Q"]]);
  folded(transcript, answered("Q", "reject"), ["tool_result", { tool_use_id: "a", content: "1", is_error: false }]);
  assert.deepEqual([call.state, call.decision, call.ended - call.began], ["ended", "declined", 2000]);
});

test("words that steer stand where the run has read them", () => {
  const transcript = folded(new Transcript(session(), [run("R1", "go"), run("R2", "left", { status: "queued", started_at: null, ended_at: null, steers: "R1" })]), ["text", { text: "One" }], ["steered", { message_id: "R2", text: "left" }], ["step", { step: 2, usage }], ["text", { text: "Two" }]);
  assert.deepEqual(shown(transcript), ["user go", "text One", "user steers left", "text Two"]);
  assert.deepEqual(transcript.queue(), []);
});

test("a history says which words began a run, and which steered one", () => {
  const history = [user("a"), said(words("1")), user("again"), said(words("2")), user("b"), said(words("3"))];
  const transcript = new Transcript(session({ history }), [run("R2", "b"), run("R1", "a"), run("R0", "never", { status: "cancelled", started_at: null })]);
  assert.deepEqual(shown(transcript), ["user a", "text 1", "user steers again", "text 2", "end R1", "user b", "text 3", "end R2"]);
});

test("what a cancel leaves is shown as cut off, and its receipt below the end", () => {
  const transcript = folded(new Transcript(session(), [run("R1", "go")]), ["tool_use", { id: "a", name: "bash", input: {} }]);
  const receipt = { cancelled: [{ run_id: "R1", was: "running", stopped_in_ms: 3, tools: [{ id: "a", outcome: "stopped" }] }] };
  transcript.addReceipt(receipt, "R1", null);
  folded(transcript, ["done", result({ stop_reason: "cancelled", tool_calls: [{ id: "a", tool_name: "bash", output: "Cancelled.", is_error: true }] })]);
  assert.deepEqual(transcript.items.map(({ kind }) => kind), ["user", "call", "end", "receipt"]);
  assert.equal(transcript.runs.get("R1").status, "cancelled");
  assert.equal(transcript.calls.get("a").cutShort, "cancelled");
  const again = new Transcript(session({ history: [user("go"), said(use("a")), { role: "user", content: [given("a", "Cancelled.", { is_error: true, cut_short: "cancelled" })] }] }), [run("R1", "go", { status: "cancelled" })], { calls: new Map(), notes: [], receipts: [{ receipt, runId: "R1", callId: null }] });
  assert.deepEqual(again.items.map(({ kind }) => kind), ["user", "call", "end", "receipt"]);
});

test("a run that fails ends, and so do its calls", () => {
  const transcript = folded(new Transcript(session(), [run("R1", "go")]), ["tool_use", { id: "a", name: "bash", input: {} }], ["error", { code: "provider_error", message: "no" }]);
  assert.deepEqual(shown(transcript), ["user go", "call a ended failed:", "end R1"].map((line) => line.replace("failed:", "failed: ")));
  assert.deepEqual([transcript.runs.get("R1").status, transcript.runs.get("R1").error.code], ["failed", "provider_error"]);
});

test("an id that a model uses again is another call", () => {
  const transcript = folded(new Transcript(session(), [run("R1", "go")]), ["tool_use", { id: "a", name: "bash", input: {} }], ["tool_result", { tool_use_id: "a", content: "1", is_error: false }], ["step", { step: 2, usage }], ["tool_use", { id: "a", name: "bash", input: {} }], ["tool_result", { tool_use_id: "a", content: "2", is_error: false }]);
  assert.deepEqual(shown(transcript), ["user go", "call a ended: 1", "call a ended: 2"]);
  assert.equal(new Set(transcript.items.map(({ key }) => key)).size, 3);
});

test("what a tool says without end is kept to a bound", () => {
  const transcript = folded(new Transcript(session(), [run("R1", "go")]), ["tool_use", { id: "a", name: "bash", input: {} }]);
  for (let piece = 0; piece < 300; piece += 1) folded(transcript, ["tool_progress", { tool_use_id: "a", text: "x".repeat(4000) }]);
  const { live, skipped } = transcript.calls.get("a");
  assert.ok(live.length < 600_000);
  assert.equal(live.length + skipped, 1_200_000);
});

test("the queue has what waits, the oldest first, and not what has begun", () => {
  const waiting = { status: "queued", started_at: null, ended_at: null };
  const transcript = new Transcript(session(), [run("R3", "c", waiting), run("R2", "b", waiting), run("R1", "a")]);
  assert.deepEqual(transcript.queue().map(({ id }) => id), ["R2", "R3"]);
  transcript.fold({ id: 1, event: "text", data: { run_id: "R2", text: "x" } }, NOW);
  assert.deepEqual(transcript.queue().map(({ id }) => id), ["R3"]);
});

test("a message that is taken back leaves nothing, and the run under way goes on", () => {
  const waiting = { status: "queued", started_at: null, ended_at: null };
  const transcript = folded(new Transcript(session(), [run("R2", "b", waiting), run("R1", "a")]), ["text", { text: "x" }]);
  transcript.fold({ id: 2, event: "done", data: result({ run_id: "R2", stop_reason: "cancelled", steps: 0 }) }, NOW);
  assert.deepEqual(shown(transcript), ["user a", "text x"]);
  assert.equal(transcript.flight.id, "R1");
  assert.deepEqual(transcript.queue(), []);
});

test("a compaction that was asked for stands where it was, also after a reload", () => {
  const history = [user("a"), said(words("1")), user("b"), said(words("2"))];
  const runs = [run("R3", "b"), run("R2", "", { steps: 0 }), run("R1", "a")];
  const note = { kind: "note", key: "x", version: 0, runId: "R2", title: "compacted", text: "summary" };
  const transcript = new Transcript(session({ history }), runs, { calls: new Map(), notes: [note], receipts: [] });
  assert.deepEqual(shown(transcript), ["user a", "text 1", "end R1", "user", "note summary", "end R2", "user b", "text 2", "end R3"]);
});

test("a list that is older than an event does not undo it", () => {
  const transcript = folded(new Transcript(session(), [run("R1", "go", { status: "running", ended_at: null })]), ["done", result()]);
  transcript.learn([run("R1", "go", { status: "running", ended_at: null })]);
  assert.equal(transcript.runs.get("R1").status, "completed");
});

test("ten thousand events are folded in no time", () => {
  const transcript = new Transcript(session(), [run("R1", "go")]);
  const began = performance.now();
  for (let at = 0; at < 10_000; at += 1) folded(transcript, at % 3 === 0 ? ["step", { step: at, usage }] : ["text", { text: "word " }]);
  assert.ok(performance.now() - began < 5_000);
});
