/** Who speaks, and whether the microphone is heard: levels over time in, words out. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Hearing, Voice, whoSpeaks } from "../../personaplex_ui/ui/static/page/hearing.mjs";
import { dbfs, rms, shown } from "../../personaplex_ui/ui/static/page/levels.mjs";
import { qualityOf } from "../../personaplex_ui/ui/static/page/watch.mjs";

const STEP_MS = 50;
const ZEROS = -120;
const QUIET_ROOM = -68;
const VERY_QUIET_ROOM = -82;
const SPEECH = -28;

/** A call as the page hears it. `stretches`: [seconds, level, more of Hearing.step's fields]. */
function listen(...stretches) {
  const hearing = new Hearing();
  const voice = new Voice();
  const told = [];
  let now = 0;
  for (const [sec, level, more = {}] of stretches) {
    for (let left = sec * 1000; left > 0; left -= STEP_MS) {
      now += STEP_MS;
      const callerSpeaks = voice.step(level, now);
      const seen = { level, now, muted: false, callerSpeaks, assistantSpeaks: false, ...more };
      told.push([now / 1000, hearing.step(seen)]);
    }
  }
  return told;
}
const last = (told) => told.at(-1)[1];
const since = (told, word) => told.find(([, each]) => each === word)?.[0] ?? null;

test("a dead microphone is told within five seconds, while the assistant speaks too", () => {
  const told = listen([6, ZEROS, { assistantSpeaks: true }]);
  assert.ok(since(told, "silent") > 3 && since(told, "silent") <= 5);
});

test("a microphone below any room's noise is told within five seconds of the assistant's silence", () => {
  assert.equal(last(listen([20, VERY_QUIET_ROOM, { assistantSpeaks: true }])), "unknown");
  const told = listen([6, VERY_QUIET_ROOM]);
  assert.ok(since(told, "silent") <= 5);
});

test("somebody who listens in a quiet room is left alone, though not for ever", () => {
  assert.equal(last(listen([25, QUIET_ROOM])), "unknown");
  assert.equal(last(listen([35, QUIET_ROOM])), "silent");
});

test("once heard, silence is only silence", () => {
  assert.equal(last(listen([1, QUIET_ROOM], [1, SPEECH], [60, QUIET_ROOM])), "heard");
  assert.equal(last(listen([1, QUIET_ROOM], [1, SPEECH], [60, VERY_QUIET_ROOM])), "heard");
});

test("a microphone that is switched off during the call is told", () => {
  const told = listen([2, SPEECH], [10, ZEROS]);
  assert.equal(last(told), "silent");
  assert.equal(last(listen([2, SPEECH], [10, ZEROS], [1, SPEECH])), "heard");
});

test("speaking while muted is told within two seconds, and fades when one is quiet", () => {
  const told = listen([5, QUIET_ROOM, { muted: true }], [2, SPEECH, { muted: true }]);
  assert.equal(last(told), "muted_speaking");
  assert.ok(since(told, "muted_speaking") <= 7);
  const later = listen([2, SPEECH, { muted: true }], [8, QUIET_ROOM, { muted: true }]);
  assert.equal(last(later), "heard");
});

test("a cough while muted, or a long silence, says nothing", () => {
  assert.equal(since(listen([30, ZEROS, { muted: true }]), "silent"), null);
  assert.equal(
    since(
      listen(
        [3, QUIET_ROOM, { muted: true }],
        [0.1, SPEECH, { muted: true }],
        [3, QUIET_ROOM, { muted: true }],
      ),
      "muted_speaking",
    ),
    null,
  );
});

test("unmuting ends the words about it at once", () => {
  const told = listen([2, SPEECH, { muted: true }], [0.1, SPEECH]);
  assert.equal(last(told), "heard");
});

test("another device is judged anew", () => {
  const hearing = new Hearing();
  const step = (now, level) =>
    hearing.step({ level, now, muted: false, callerSpeaks: level > -50, assistantSpeaks: false });
  for (let now = 0; now <= 5000; now += STEP_MS) step(now, ZEROS);
  assert.equal(step(5050, ZEROS), "silent");
  hearing.reset();
  assert.equal(step(5100, ZEROS), "unknown");
  assert.equal(step(5150, SPEECH), "heard");
});

test("a voice has hysteresis: pauses between words do not end it", () => {
  const voice = new Voice();
  let now = 0;
  const hear = (level, ms) => {
    let active;
    for (let left = ms; left > 0; left -= STEP_MS) active = voice.step(level, (now += STEP_MS));
    return active;
  };
  assert.equal(hear(QUIET_ROOM, 1000), false);
  assert.equal(hear(SPEECH, 300), true);
  assert.equal(hear(QUIET_ROOM, 250), true);
  assert.equal(hear(QUIET_ROOM, 400), false);
});

test("a loud room is learnt as noise, and speech over it is still speech", () => {
  const voice = new Voice();
  let now = 0;
  const hear = (level, ms) => {
    let active;
    for (let left = ms; left > 0; left -= STEP_MS) active = voice.step(level, (now += STEP_MS));
    return active;
  };
  hear(-55, 10000);
  assert.equal(hear(-48, 500), false);
  assert.equal(hear(-25, 200), true);
});

test("who speaks", () => {
  assert.deepEqual(
    [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ].map(([caller, assistant]) => whoSpeaks(caller, assistant)),
    ["nobody", "caller", "assistant", "both"],
  );
});

test("levels", () => {
  assert.equal(dbfs(0), -120);
  assert.equal(dbfs(1), 0);
  assert.ok(Math.abs(rms(new Float32Array([0.5, -0.5])) - 0.5) < 1e-6);
  assert.deepEqual([shown(-120), shown(0)], [0, 1]);
});

test("quality of the connection", () => {
  const good = { rttMs: 40, lossPercent: 0, jitterMs: 5 };
  assert.equal(qualityOf(good), "good");
  assert.equal(qualityOf({ ...good, rttMs: null }), "good");
  for (const bad of [{ rttMs: 900 }, { lossPercent: 9 }, { jitterMs: 90 }])
    assert.equal(qualityOf({ ...good, ...bad }), "poor");
});
