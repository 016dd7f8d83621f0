import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./page.mjs";

const { UNSETTLED, markdown, split } = await load("markdown.js");
const { inline, safeHref } = await load("inline.js");

const text = (value) => ({ type: "text", text: value });
const paragraph = (...children) => ({ type: "paragraph", children });
const written = (nodes) => nodes.map((node) => node.text ?? written(node.children)).join("");

test("blocks are told apart", () => {
  const found = markdown("# One #\n\ntwo\nlines\n\n- a\n- b\n\n1. c\n\n> d\n\n```js\ne\n```\n\n---\n\n|f|g|\n|-|-:|\n|h|i|\n");
  assert.deepEqual(found.map(({ type }) => type), ["heading", "paragraph", "list", "list", "quote", "fence", "rule", "table"]);
  assert.deepEqual(found[0], { type: "heading", level: 1, children: [text("One")] });
  assert.deepEqual(found[5], { type: "fence", language: "js", text: "e", open: false });
  assert.deepEqual(found[7].align, ["left", "right"]);
  assert.deepEqual(found[7].rows, [[[text("h")], [text("i")]]]);
});

test("lists are nested, and have tasks", () => {
  const [list] = markdown("- one\n  - two\n\n    more\n- [x] three\n- [ ] four");
  assert.equal(list.items.length, 3);
  assert.deepEqual(list.items[0].children.map(({ type }) => type), ["paragraph", "list"]);
  assert.deepEqual(list.items.map(({ task }) => task), [null, true, false]);
  const [numbered, ...rest] = markdown("1. one\n   - two\n   - three\n2. four");
  assert.deepEqual(numbered.items.map(({ children }) => children.map(({ type }) => type)), [["paragraph", "list"], ["paragraph"]]);
  assert.deepEqual([numbered.items[0].children[1].items.length, rest], [2, []]);
  assert.equal(markdown("3. three\n4. four")[0].start, 3);
});

test("a fence that has no end yet is shown as one", () => {
  assert.deepEqual(markdown("```py\nx = 1\n"), [{ type: "fence", language: "py", text: "x = 1\n", open: true }]);
});

test("emphasis, code and links are told apart", () => {
  assert.deepEqual(inline("a **b *c* d** ~~e~~ `f*` g"), [
    text("a "),
    { type: "strong", children: [text("b "), { type: "em", children: [text("c")] }, text(" d")] },
    text(" "), { type: "del", children: [text("e")] }, text(" "), { type: "code", text: "f*" }, text(" g"),
  ]);
  assert.deepEqual(inline("[a](https://b.example/c_(d)) e")[0], { type: "link", href: "https://b.example/c_(d)", children: [text("a")] });
  assert.deepEqual(inline("see https://b.example/c, and"), [text("see "), { type: "link", href: "https://b.example/c", children: [text("https://b.example/c")] }, text(", and")]);
});

test("what is no emphasis stays as it was written", () => {
  for (const each of ["snake_case_name", "2 * 3 * 4", "a ** b", "**open", "`open", "[open", "\\", "a]b", "****", "__init__.py"]) {
    if (each !== "__init__.py") assert.deepEqual(inline(each), [text(each)], each);
    assert.equal(written(inline(each)).replaceAll("_", ""), each.replaceAll("_", ""));
  }
  assert.deepEqual(inline("\\*a\\*"), [text("*a*")]);
  assert.deepEqual(inline("<b>&lt;"), [text("<b><")]);
});

test("only addresses of the web and of mail become links, and no image is fetched", () => {
  for (const each of ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\nscript:alert(1)", " data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:x", "//evil.example", "/relative", "#x", ""]) {
    assert.ok(!/^(?!https?:|mailto:)/.test(safeHref(each) ?? "https:"), each);
    const found = inline(`[x](${each})`);
    assert.ok(found.every(({ type }) => type !== "link"), each);
  }
  assert.equal(safeHref("mailto:a@b.example"), "mailto:a@b.example");
  assert.deepEqual(inline("![alt](https://evil.example/x.png)"), [text(""), { type: "link", href: "https://evil.example/x.png", children: [text("alt")] }]);
});

test("HTML is text", () => {
  assert.deepEqual(markdown("<script>alert(1)</script>"), [paragraph(text("<script>alert(1)</script>"))]);
});

test("a text that grows is the same as one that comes at once", () => {
  const whole = "# A\n\ntwo *three\nfour* five\n\n```\nx\n\ny\n```\n- a\n\n- b\n\ntail | x\n-|-\n1|2\n\n> q\n> r\nend";
  let blocks = [];
  for (let length = 1; length <= whole.length; length += 1) {
    const settled = Math.max(0, blocks.length - UNSETTLED);
    blocks = [...blocks.slice(0, settled), ...split(whole.slice(0, length), blocks[settled]?.from)];
  }
  assert.deepEqual(blocks, split(whole));
});

test("text that is made to take long does not", () => {
  const hostile = [
    ">".repeat(5000), "- ".repeat(5000), Array.from({ length: 1000 }, (_, depth) => `${" ".repeat(depth)}- x`).join("\n"),
    "*a ".repeat(17_000), "[".repeat(50_000), "[a](".repeat(12_000), "`".repeat(50_000), Array.from({ length: 300 }, (_, n) => "`".repeat(n)).join(" "),
    "x".repeat(1_000_000), `http://a${")".repeat(40_000)}`, " ".repeat(1_000_000), `# ${"# ".repeat(20_000)}`, `${"|a".repeat(50_000)}\n${"|-".repeat(900)}|`,
    "**_~~[".repeat(8_000), "](".repeat(20_000), "http://".repeat(7_000), "```\n".repeat(20_000), "_a".repeat(25_000), "\\".repeat(50_000), "&".repeat(50_000), "![](".repeat(12_000),
  ];
  const began = performance.now();
  for (const each of hostile) markdown(each);
  assert.ok(performance.now() - began < 20_000); // quadratic ones take minutes
});

test("it is as deep as may be shown, however deep it is written", () => {
  const depth = (blocks) => Math.max(0, ...blocks.map((block) => 1 + depth(block.children?.filter((child) => child.children ?? child.items) ?? block.items?.flatMap((item) => item.children) ?? [])));
  assert.ok(depth(markdown(">".repeat(5000) + " x")) < 20);
  assert.ok(depth(markdown(Array.from({ length: 2000 }, (_, at) => `${"  ".repeat(at)}- x`).join("\n"))) < 30);
});
