/** What the live and the after view say: lengths, days, figures, announcements, the orb's and the mouth's shapes. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { endWord } from "../../personaplex_ui/ui/static/page/callbar.mjs";
import { day, duration, percent, seconds } from "../../personaplex_ui/ui/static/page/format.mjs";
import { announcement, mood } from "../../personaplex_ui/ui/static/page/live.mjs";
import { approach, mouth, mouthPath, orbFrame } from "../../personaplex_ui/ui/static/page/orb_motion.mjs";
import { whySilent } from "../../personaplex_ui/ui/static/page/player.mjs";
import { aboutCall, calledName, figures, personaOf } from "../../personaplex_ui/ui/static/page/record_words.mjs";
import { room } from "../../personaplex_ui/ui/static/page/say_box.mjs";
import { initial, reduce } from "../../personaplex_ui/ui/static/page/state.mjs";

const CONFIG = { voices: [{ name: "NATF2", label: "Nora" }], defaultVoice: "NATF2" };
const run = (...events) => events.reduce(reduce, initial(CONFIG));
const LIVE = [{ type: "start", at: 1 }, { type: "facts", facts: { phase: "live", seq: 1 } }];

test("lengths are said as people say them", () => {
  assert.deepEqual([0, 0.4, 42, 60, 252, 3600, 4000].map(duration), ["0 s", "0 s", "42 s", "1 min", "4 min 12 s", "1 h", "1 h 6 min"]);
  assert.equal(duration(undefined), "0 s");
  assert.deepEqual([0.71, 9.96, 12.4].map(seconds), ["0.7 s", "10.0 s", "12 s"]);
  assert.deepEqual([0.456, 0, null, undefined].map(percent), ["46 %", "0 %", "–", "–"]);
});

test("days are named near today, across midnight and months", () => {
  const now = new Date(2026, 2, 1, 0, 10);
  assert.equal(day(new Date(2026, 2, 1, 0, 5).toISOString(), now), "Today, 0:05");
  assert.equal(day(new Date(2026, 1, 28, 23, 59).toISOString(), now), "Yesterday, 23:59");
  assert.equal(day(new Date(2026, 2, 2, 18, 46).toISOString(), now), "Tomorrow, 18:46");
  assert.equal(day(new Date(2026, 0, 3, 9, 7).getTime() / 1000, now), "3 January 2026, 9:07");
  assert.equal(day(null, now), "");
  assert.equal(day("nonsense", now), "");
});

test("a call is told by when it was, why it ended and until when it is kept", () => {
  const now = new Date(2026, 2, 1, 19, 0);
  const record = {
    started_at: new Date(2026, 2, 1, 18, 46).toISOString(), reason: "You hung up.",
    keep_until: new Date(2026, 2, 2, 18, 50).toISOString(),
  };
  assert.equal(aboutCall(record, now), "Today, 18:46. You hung up. Kept until tomorrow, 18:50.");
  assert.equal(aboutCall({ started_at: null, reason: "You hung up.", keep_until: null }, now), "Just now. You hung up.");
});

test("who answered has the voice's name, and a voice that is gone its own", () => {
  assert.equal(calledName({ voice: "NATF2" }, CONFIG), "Nora");
  assert.equal(calledName({ voice: "grandma.wav" }, CONFIG), "grandma.wav");
  assert.equal(calledName({ voice: "" }, {}), "the assistant");
});

test("a link of a call carries a preset by its name and an own role by its words", () => {
  const config = { roles: [{ id: "teacher", text: "You are a teacher." }] };
  assert.deepEqual(personaOf({ voice: "NATF2", text_prompt: "You are a teacher." }, config), { voice: "NATF2", roleId: "teacher", text: "You are a teacher." });
  assert.deepEqual(personaOf({ voice: null, text_prompt: "You sell tea." }, config), { voice: "", roleId: "own", text: "You sell tea." });
});

test("figures that are not known are dashes, and nought is a figure", () => {
  assert.deepEqual(figures({ figures: { answer_sec: 0.71, caller_share: 0.46, interruptions: 5 } }), ["0.7 s", "46 %", "5"]);
  assert.deepEqual(figures({ figures: { answer_sec: null, caller_share: null, interruptions: 0 } }), ["–", "–", "0"]);
});

test("a recording that cannot be played says why", () => {
  assert.match(whySilent({ pending: true, recorded: true }), /put together/);
  assert.match(whySilent({ pending: true, recorded: false }), /no recording/);
  assert.match(whySilent({ recorded: false }), /no recording/);
});

test("the red button ends, leaves the line or cancels", () => {
  assert.deepEqual(["live", "waiting", "preparing", "connecting"].map(endWord), ["End call", "Leave the line", "Cancel", "Cancel"]);
});

test("who speaks is never announced, what stands in the way is", () => {
  const calm = run(...LIVE);
  assert.equal(announcement(calm), announcement(run(...LIVE, { type: "speaking", speaking: "assistant" })));
  assert.equal(announcement(run(...LIVE, { type: "mute", muted: true })), "Muted");
  assert.equal(announcement(run(...LIVE, { type: "network", network: "reconnecting" })), "Reconnecting");
  assert.equal(announcement(run(LIVE[0], { type: "facts", facts: { phase: "waiting", place: 2 } })), "You are 2nd in line");
});

test("the orb shows who speaks, and trouble before all", () => {
  const speaks = { type: "speaking", speaking: "assistant" };
  assert.equal(mood(run(LIVE[0])), "starting");
  assert.equal(mood(run(...LIVE, speaks)), "assistant");
  assert.equal(mood(run(...LIVE, { type: "mute", muted: true })), "muted");
  assert.equal(mood(run(...LIVE, speaks, { type: "hearing", hearing: "unplugged" })), "trouble");
});

test("room is told only near the end", () => {
  assert.deepEqual([0, 1799, 1850, 2000, 2007].map(room), ["", "", "150 characters left", "0 characters left", "7 characters too many"]);
});

test("the orb opens faster than it sinks, and never beyond the sound", () => {
  const opened = approach(0, 1, 1 / 60);
  const sunk = 1 - approach(1, 0, 1 / 60);
  assert.ok(opened > 2 * sunk);
  assert.ok(approach(0, 1, 10) <= 1);
  assert.equal(approach(0.4, 0.4, 1), 0.4);
});

test("a louder voice makes its own part of the orb larger", () => {
  const [quiet, caller, assistant] = [orbFrame(0, 0, 1), orbFrame(1, 0, 1), orbFrame(0, 1, 1)];
  assert.ok(assistant.outer > quiet.outer && assistant.core > quiet.core);
  assert.ok(caller.ringOpacity === 1 && quiet.ringOpacity === 0 && assistant.ringOpacity === 0);
});

test("bright sounds draw the lips apart, dark ones round them, silence closes them", () => {
  const tone = (hz) => Uint8Array.from({ length: 512 }, (_, bin) => (Math.abs(bin * 25 - hz) < 100 ? 200 : 0));
  assert.ok(mouth(0.8, tone(3000), 25).wide > mouth(0.8, tone(400), 25).wide);
  assert.deepEqual(mouth(0, new Uint8Array(512), 25), { open: 0, wide: 0.5 });
  assert.notEqual(mouthPath(1, 0.5), mouthPath(0, 0.5));
  assert.match(mouthPath(0.3, 0.9), /^M[\d.]+ [\d.]+Q100 [\d.]+ [\d.]+ [\d.]+Q100 [\d.]+ [\d.]+ [\d.]+Z$/);
});
