/** What stands in the bubbles: headings, cut sentences, waves, and which bubble goes on under which heading. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { asText, bubbles, heading, said, wavePath } from "../../personaplex_ui/ui/static/page/lines.mjs";

const line = (n, who, start, end, text = "", more = {}) => ({
  n, who, start_sec: start, end_sec: end, text, cut: false, interrupts: false, open: false, levels: [], ...more,
});
const shown = (...lines) => bubbles(lines, "Nora");

test("a line of the assistant stands under its name and time", () => {
  const [bubble] = shown(line(1, "assistant", 35, 38, "Oh, shakshuka!"));
  assert.equal(bubble.label, "Nora, 0:35");
  assert.equal(bubble.text, "Oh, shakshuka!");
  assert.equal(bubble.wave, "");
});

test("a sentence that was cut off ends with a dash", () => {
  assert.equal(said(line(1, "assistant", 0, 1, "my grandmother would never ", { cut: true })), "my grandmother would never —");
  assert.equal(said(line(1, "assistant", 0, 1, "", { cut: true })), "");
});

test("the caller without captions is a wave with its length", () => {
  const [bubble] = shown(line(1, "caller", 31, 34.1, "", { levels: [0, 9, 4] }));
  assert.equal(bubble.label, "You, 0:31");
  assert.equal(bubble.length, "3.1 s");
  assert.equal(bubble.waveWidth, 12);
  assert.equal(bubble.wave.split("M").length - 1, 3);
});

test("captions take the place of the wave", () => {
  const [bubble] = shown(line(1, "caller", 31, 34.1, "Hello", { levels: [1, 2] }));
  assert.deepEqual([bubble.text, bubble.wave, bubble.length], ["Hello", "", ""]);
});

test("an interruption and a typed line are told apart", () => {
  assert.equal(heading(line(1, "caller", 0, 1, "", { interrupts: true }), "Nora"), "You interrupted");
  assert.equal(heading(line(1, "typed", 0, 1, "Hi"), "Nora"), "You had Nora say");
});

test("a speaker who goes on within four seconds goes on under the same heading", () => {
  const follows = (...lines) => shown(...lines).map((bubble) => bubble.follows);
  assert.deepEqual(follows(line(1, "assistant", 0, 2, "a"), line(2, "assistant", 5.9, 7, "b")), [false, true]);
  assert.deepEqual(follows(line(1, "assistant", 0, 2, "a"), line(2, "assistant", 6, 7, "b")), [false, false]);
  assert.deepEqual(follows(line(1, "assistant", 0, 2, "a"), line(2, "caller", 2, 3), line(3, "assistant", 3, 4, "b")), [false, false, false]);
});

test("what begins anew has its own heading: an interruption, a typed line, the words after a cut", () => {
  const second = (before, after) => shown(before, after)[1].follows;
  assert.equal(second(line(1, "caller", 0, 1), line(2, "caller", 2, 3, "", { interrupts: true })), false);
  assert.equal(second(line(1, "typed", 0, 0, "a"), line(2, "typed", 1, 1, "b")), false);
  assert.equal(second(line(1, "assistant", 0, 1, "a", { cut: true }), line(2, "assistant", 2, 3, "b")), false);
});

test("a wave stays within its height, whatever its levels", () => {
  const ends = [...wavePath([-3, 0, 9, 40]).matchAll(/M\d+ ([\d.]+)V([\d.]+)/g)].map(([, top, bottom]) => [+top, +bottom]);
  assert.equal(ends.length, 4);
  for (const [top, bottom] of ends) assert.ok(top >= 0 && bottom <= 20 && top < bottom, `${top} to ${bottom}`);
  assert.deepEqual(ends[0], ends[1]);
  assert.deepEqual(ends[2], ends[3]);
});

test("the copied text has both sides", () => {
  const text = asText(
    [line(1, "assistant", 2, 5, "Hello."), line(2, "caller", 31, 34.1), line(3, "typed", 61, 61, "Say yes")],
    "Nora",
  );
  assert.equal(text, "0:02 Nora: Hello.\n0:31 You: (3.1 s of speech)\n1:01 You had Nora say: Say yes");
});
