/** The player's line: times to places and back, keys, who speaks and which line lights up. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  lineAt, segments, share, speakersAt, timeAfterKey, timeAt, turnsOf,
} from "../../personaplex_ui/ui/static/page/timeline.mjs";

test("a place on the line is a time, and the time is that place again", () => {
  const box = { left: 100, width: 500 };
  assert.equal(timeAt(350, box, 252), 126);
  assert.equal(share(126, 252), 0.5);
});

test("beside the line is its nearer end", () => {
  const box = { left: 100, width: 500 };
  assert.equal(timeAt(-20, box, 252), 0);
  assert.equal(timeAt(2000, box, 252), 252);
});

test("a call without length and a line without width do no harm", () => {
  assert.equal(share(3, 0), 0);
  assert.equal(timeAt(5, { left: 0, width: 0 }, 100), 0);
  assert.deepEqual(segments([[0, 1]], 0), [{ left: 0, width: 0.3 }]);
});

test("keys move by steps and stay within the recording", () => {
  assert.equal(timeAfterKey("ArrowRight", 10, 60), 15);
  assert.equal(timeAfterKey("ArrowLeft", 3, 60), 0);
  assert.equal(timeAfterKey("PageUp", 40, 60), 60);
  assert.equal(timeAfterKey("PageDown", 40, 60), 10);
  assert.equal(timeAfterKey("Home", 40, 60), 0);
  assert.equal(timeAfterKey("End", 40, 60), 60);
  assert.equal(timeAfterKey("a", 40, 60), null);
});

test("stretches are shares of the whole, and a short one is still seen", () => {
  assert.deepEqual(segments([[63, 126], [252, 252]], 252), [{ left: 25, width: 25 }, { left: 100, width: 0.3 }]);
});

test("the line that began last is the one that is spoken, also where two overlap", () => {
  const lines = [{ start_sec: 2 }, { start_sec: 31 }, { start_sec: 35 }, { start_sec: 34 }];
  assert.equal(lineAt(lines, 1), -1);
  assert.equal(lineAt(lines, 2), 0);
  assert.equal(lineAt(lines, 33), 1);
  assert.equal(lineAt(lines, 34.5), 3);
  assert.equal(lineAt(lines, 99), 2);
  assert.equal(lineAt([], 5), -1);
});

test("who speaks is said in words", () => {
  const turns = { caller: [[0, 4]], assistant: [[3, 8]] };
  assert.equal(speakersAt(turns, 1, "Nora"), "you speak");
  assert.equal(speakersAt(turns, 3.5, "Nora"), "you and Nora speak");
  assert.equal(speakersAt(turns, 4, "Nora"), "Nora speaks");
  assert.equal(speakersAt(turns, 8, "Nora"), "nobody speaks");
});

test("who spoke when comes from the lines until the server tells it", () => {
  const lines = [
    { who: "caller", start_sec: 1, end_sec: 2 }, { who: "typed", start_sec: 2, end_sec: 2 },
    { who: "assistant", start_sec: 3, end_sec: 5 },
  ];
  const none = { caller: [], assistant: [], overlaps: [] };
  assert.deepEqual(turnsOf({ lines, turns: none }), { caller: [[1, 2]], assistant: [[3, 5]], overlaps: [] });
  const told = { caller: [[1, 2.2]], assistant: [], overlaps: [] };
  assert.deepEqual(turnsOf({ lines, turns: told }), told);
});
