/** The report of a call in words: the server's figures, and what each means. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { reportRows } from "../../personaplex_ui/ui/static/page/report_words.mjs";

const NOTHING = { count: 0, total_sec: 0, at: [] };
const NO_LENGTHS = { count: 0, median_sec: null, p90_sec: null, all_sec: [], at: [] };
const SILENCE = {
  response_gaps: NO_LENGTHS,
  stop_latency: NO_LENGTHS,
  ignored_interruptions: NOTHING,
  overlaps: NOTHING,
  dead_air: { ...NOTHING, longest_sec: 0 },
  pause_take_overs: NOTHING,
  talk_overs: NOTHING,
  backchannels: NOTHING,
  talk_share: { caller: null, assistant: null, caller_sec: 0, assistant_sec: 0 },
  self_echo: { assistant_in_caller: null, caller_in_assistant: null },
};
const told = (changes) => Object.fromEntries(reportRows({ ...SILENCE, ...changes }, "Nora").map((row) => [row.name, row]));
const words = ({ value, detail }) => [value, detail];

test("a call in which nobody spoke", () => {
  const rows = told({ dead_air: { count: 1, total_sec: 8, longest_sec: 8, at: [[0, 8]] } });
  assert.deepEqual(words(rows["Response gap"]), ["–", "no answer to measure"]);
  assert.deepEqual(words(rows["Stop latency"]), ["–", "no interruption to measure"]);
  assert.deepEqual(words(rows["Dead air"]), ["once", "8.00 s"]);
  assert.deepEqual(words(rows["Talk share"]), ["–", "nobody spoke"]);
  assert.deepEqual(words(rows.Echo), ["none", ""]);
  assert.ok(Object.values(rows).every((row) => row.meaning.endsWith(".")));
});

test("one is told as one, a few with the slowest, and many with nine in ten", () => {
  const one = { count: 1, median_sec: 0.62, p90_sec: 0.62, all_sec: [0.62] };
  assert.deepEqual(words(told({ response_gaps: one })["Response gap"]), ["0.62 s", "one answer"]);
  const few = { count: 3, median_sec: 1.72, p90_sec: 2, all_sec: [0.58, 2.07, 1.72] };
  assert.deepEqual(words(told({ response_gaps: few })["Response gap"]), ["1.72 s", "typically; at most 2.07 s (3 answers)"]);
  const many = { count: 12, median_sec: 0.621, p90_sec: 1.1 };
  assert.deepEqual(words(told({ response_gaps: many })["Response gap"]), ["0.62 s", "typically; 9 in 10 within 1.10 s (12 answers)"]);
});

test("who is not given way to is told beside those who were", () => {
  const ignored = { count: 2, total_sec: 9, at: [] };
  assert.deepEqual(words(told({ ignored_interruptions: ignored })["Stop latency"]), ["–", "no interruption to measure; 2 were ignored"]);
});

test("how often, how long and whose", () => {
  const rows = told({
    overlaps: { count: 3, total_sec: 1.234, at: [] },
    dead_air: { count: 2, total_sec: 6, longest_sec: 3.5, at: [] },
    talk_share: { caller: 0.41, assistant: 0.59, caller_sec: 50.9, assistant_sec: 73.2 },
  });
  assert.deepEqual(words(rows.Overlap), ["3 times", "1.23 s in all"]);
  assert.deepEqual(words(rows["Dead air"]), ["2 times", "6.00 s in all, the longest 3.50 s"]);
  assert.deepEqual(words(rows["Talk share"]), ["41 % you", "You 41 % (51 s), Nora 59 % (73 s)"]);
  const halves = { caller: 0.265, assistant: 0.735, caller_sec: 4.6, assistant_sec: 12.8 };
  assert.deepEqual(words(told({ talk_share: halves })["Talk share"]), ["27 % you", "You 27 % (5 s), Nora 73 % (13 s)"]);
});

test("an echo says whose it is and what helps", () => {
  const echo = { level_db: -20.4, lag_ms: 180, prominence: 70 };
  const heard = told({ self_echo: { assistant_in_caller: echo, caller_in_assistant: null } }).Echo;
  assert.deepEqual(words(heard), ["−20 dB", "180 ms later"]);
  assert.match(heard.meaning, /headphones/);
  const back = told({ self_echo: { assistant_in_caller: null, caller_in_assistant: echo } }).Echo;
  assert.match(back.meaning, /Your own voice came back/);
});
