import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./page.mjs";

const { visible, oneLine, short, duration, cost, ago, size } = await load("text.js");
const { pieces, tailStart, lineCount } = await load("output.js");
const { FrameReader } = await load("sse.js");
const { delay } = await load("stream.js");

test("characters that hide or turn text around are seen", () => {
  assert.equal(visible("a\u202egnp.exe"), "a‹U+202E›gnp.exe");
  assert.equal(visible("a\u0000\u001b[31m\u0085"), "a␀␛[31m‹U+0085›");
  assert.equal(visible("\u{E0041}b"), "‹U+E0041›b");
  const usual = "Zeile\n\tתודה 👩‍👩‍👧 é";
  assert.equal(visible(usual), usual);
});

test("numbers are short", () => {
  assert.deepEqual([0, 999, 1000, 9949, 9950, 99_950, 999_499, 999_500, 12_345_678].map(short), ["0", "999", "1.0k", "9.9k", "10k", "100k", "999k", "1.0M", "12M"]);
  assert.deepEqual([0, 12.4, 850, 1234, 59_940, 61_000, 3_600_000, 3 * 86_400_000].map(duration), ["0.0 ms", "12 ms", "850 ms", "1.2 s", "59.9 s", "1 min 01 s", "1 h 00 min", "3 days"]);
  assert.deepEqual([0, 0.000033, 0.0123, 1.5].map(cost), ["$0", "$0.000033", "$0.01", "$1.50"]);
  assert.equal(size(5 * 1024 * 1024), "5.0 MB");
  assert.equal(ago("2026-01-01T00:00:00Z", Date.parse("2026-01-01T03:00:00Z")), "3 h");
});

test("the beginning of a text is one line, however long it is", () => {
  assert.equal(oneLine(" a\n\n b "), "a b");
  assert.equal(oneLine("x".repeat(1_000_000)).length, 161);
});

test("escapes colour, and do nothing else", () => {
  assert.deepEqual(pieces("a\u001b[1;31mb\u001b[0m\u001b[2Jc\u001b]8;;https://evil.example\u0007d\u001b[?25l"), [
    { text: "a", style: "" }, { text: "b", style: "ansi-red bold" }, { text: "cd", style: "" },
  ]);
  assert.deepEqual(pieces("\u001b[38;5;31mx"), [{ text: "x", style: "" }]);
});

test("a line that is written over is its last state", () => {
  assert.deepEqual(pieces("10 %\r50 %\r100 %\r\nnext"), [{ text: "100 %\nnext", style: "" }]);
});

test("escapes that are made to take long do not", () => {
  const began = performance.now();
  for (const each of ["\u001b[".repeat(200_000), `\u001b[${"0;".repeat(500_000)}`, "\u001b]".repeat(200_000), "\r".repeat(1_000_000), "\u001b[31mx".repeat(100_000)]) pieces(each);
  assert.ok(performance.now() - began < 10_000);
});

test("the end of a text is found by lines and by characters", () => {
  const from = (...given) => given[0].slice(tailStart(...given));
  assert.equal(from("a\nb\nc\n", 2, 100), "b\nc\n");
  assert.equal(from("a\nb", 5, 100), "a\nb");
  assert.equal(from("x".repeat(100), 5, 10).length, 10);
  assert.equal(from(`a\n${"x".repeat(100)}\nb`, 5, 10), "xxxxxxxx\nb");
  assert.equal(from("", 5, 10), "");
  assert.deepEqual(["", "a", "a\n", "a\nb"].map(lineCount), [0, 1, 1, 2]);
});

test("frames are read, in whatever pieces they come", () => {
  const stream = ': hi\n\nid: 7\nevent: text\ndata: {"text": "ä\\n"}\n\nevent: error\r\ndata: {"code":\r\ndata: "x"}\r\n\r\nid: 8\n\n';
  const frames = [{ id: 7, event: "text", data: { text: "ä\n" } }, { id: null, event: "error", data: { code: "x" } }];
  for (const length of [1, 2, 3, 7, 1000]) {
    const reader = new FrameReader();
    const found = [];
    for (let at = 0; at < stream.length; at += length) found.push(...reader.feed(stream.slice(at, at + length)));
    assert.deepEqual(found, frames);
  }
});

test("a large frame in small pieces costs its length", () => {
  const reader = new FrameReader();
  const began = performance.now();
  reader.feed('data: {"text": "');
  for (let piece = 0; piece < 20_000; piece += 1) reader.feed("x".repeat(500));
  const [frame] = reader.feed('"}\n\n');
  assert.equal(frame.data.text.length, 10_000_000);
  assert.ok(performance.now() - began < 10_000);
});

test("each failure is waited for longer, up to ten seconds", () => {
  assert.deepEqual([0, 1, 2, 20].map((failures) => delay(failures, 1)), [250, 500, 1000, 10_000]);
  assert.equal(delay(20, 0), 5_000);
});
