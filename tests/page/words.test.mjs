/** The words of each state. */

import assert from "node:assert/strict";
import { test } from "node:test";

import * as page from "../../personaplex_ui/ui/static/page/state.mjs";

const { initial, reduce } = page;
const CONFIG = { maxCallSec: 600, voices: [{ name: "NATF2", label: "Nora" }], defaultVoice: "NATF2" };

const begun = reduce(initial(CONFIG), { type: "start", at: 0 });
const live = (changes = {}, more = {}) => ({
  ...begun,
  ...more,
  call: { ...begun.call, step: "live", ...changes },
});
const server = (told) => reduce(initial(CONFIG), { type: "server", server: told });

test("clocks", () => {
  assert.deepEqual([0, 42.9, 75, 600, 3725].map(page.clock), ["0:00", "0:42", "1:15", "10:00", "1:02:05"]);
  assert.equal(page.clock(undefined), "0:00");
});

test("ordinals", () => {
  const told = [1, 2, 3, 4, 11, 12, 13, 21, 112].map(page.ordinal);
  assert.deepEqual(told, ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th"]);
});

test("one word for each step", () => {
  const at = (changes) => page.word({ ...begun, call: { ...begun.call, ...changes } });
  assert.equal(page.word(initial(CONFIG)), "");
  assert.equal(at({}), "Waiting for your microphone");
  assert.equal(at({ step: "connecting" }), "Connecting");
  assert.equal(at({ step: "waiting", place: 1 }), "You are next");
  assert.equal(at({ step: "waiting", place: 3 }), "You are 3rd in line");
  assert.equal(at({ step: "preparing" }), "Preparing");
  assert.equal(at({ step: "live" }), "Listening");
});

test("what needs the caller comes before what is merely going on", () => {
  const speaking = { speaking: "assistant", elapsedSec: 41, interruptedAt: 40 };
  assert.equal(page.word(live(speaking)), "You interrupted");
  assert.equal(page.word(live({ ...speaking, elapsedSec: 50 })), "Nora is speaking");
  assert.equal(page.word(live({ ...speaking, hearing: "muted_speaking" })), "You are muted");
  assert.equal(page.word(live({ ...speaking, hearing: "silent" })), "We hear nothing");
  assert.equal(page.word(live({ ...speaking, hearing: "silent", network: "reconnecting" })), "Reconnecting");
  assert.equal(page.word(live({ muted: true })), "Muted");
});

test("hold to talk: muted unless held", () => {
  const released = live({}, { holdToTalk: true });
  assert.equal(page.isMuted(released), true);
  assert.equal(page.word(released), "Hold to talk");
  assert.equal(page.isMuted(live({ held: true, muted: true }, { holdToTalk: true })), false);
});

test("details of a live call, one after the other as they are known", () => {
  assert.equal(page.detail(live({ elapsedSec: 42 })), "0:42 of 10:00");
  const known = live({ elapsedSec: 42, answerSec: 0.7, network: "good" });
  assert.equal(page.detail(known), "0:42 of 10:00, answers after 0.7 s, connection good");
});

test("details while waiting and preparing", () => {
  const waiting = { step: "waiting", place: 2, waiting: 3, waitSec: 95 };
  assert.match(
    page.detail({ ...begun, call: { ...begun.call, ...waiting } }),
    /^2 of 3 waiting, about 2 minutes to wait,/,
  );
  const preparing = { ...begun, call: { ...begun.call, step: "preparing", progress: 0.4 } };
  assert.deepEqual(page.details(preparing), ["Nora is getting into the role", "40 %"]);
});

test("the start button says why it cannot be pressed, in the pill's words", () => {
  const loading = server({ ready: false, sentence: "The model is being loaded.", progress: 0.4 });
  assert.deepEqual(page.startButton(loading), {
    label: "Start talking",
    disabled: true,
    reason: "The model is being loaded.",
  });
  assert.equal(page.pill(loading).text, "The model is being loaded. 40 %");
  const renewed = { ready: false, draining: true, sentence: "It is being renewed." };
  assert.equal(page.startButton(server(renewed)).disabled, true);
  const several = reduce(initial({ ...CONFIG, several: true }), { type: "server", server: renewed });
  assert.equal(page.startButton(several).disabled, false, "a proxy sends the call to another one");
  const busy = page.startButton(server({ ready: true, linesFree: 0, lines: 4, waiting: 1 }));
  assert.deepEqual([busy.label, busy.disabled], ["Join the line", false]);
  assert.match(busy.reason, /2nd in line/);
  const used = reduce(initial(CONFIG), { type: "visitor", visitor: { minutesLeft: 0 } });
  assert.equal(page.startButton(used).disabled, true);
  const told = reduce(used, { type: "visitor", visitor: { againAt: 1_800_000_000 } });
  const at = new Date(1_800_000_000_000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  assert.equal(
    page.startButton(told).reason,
    `Your minutes for today are used up. You have all of them again at ${at}.`,
  );
  assert.equal(page.startButton(initial(CONFIG)).disabled, false, "what is not known yet stops nobody");
});

test("the pill", () => {
  const told = { ready: true, name: "PersonaPlex", lines: 4, linesFree: 3, waiting: 0 };
  assert.deepEqual(page.pill(server(told)), { tone: "good", text: "PersonaPlex, 3 of 4 lines free" });
  assert.equal(
    page.pill(server({ ...told, linesFree: 0, waiting: 2 })).text,
    "PersonaPlex, all lines are busy, 2 waiting",
  );
  const renewed = { ready: false, draining: true, sentence: "It is being renewed.", progress: null };
  assert.deepEqual(page.pill(server(renewed)), { tone: "busy", text: "Closing soon, no new calls" });
});

test("the tab's title tells the time of the call, and that something is wrong", () => {
  assert.equal(page.title(initial(CONFIG)), "PersonaPlex");
  assert.equal(page.title(live({ elapsedSec: 42 })), "● 0:42 PersonaPlex");
  assert.equal(page.title(live({ elapsedSec: 42, muted: true })), "○ 0:42 PersonaPlex");
  const silent = reduce(live({ elapsedSec: 5 }), { type: "hearing", hearing: "silent" });
  assert.equal(page.title(silent), "⚠ We hear nothing · PersonaPlex");
});

test("a call asks for what the page shows", () => {
  const state = reduce(initial(CONFIG), { type: "sampling", sampling: { seed: 7, greedy: true } });
  assert.deepEqual(page.callSettings(state), {
    voice: "NATF2",
    text_prompt: "",
    seed: 7,
    greedy: true,
    record: true,
  });
});

test("the name of who answers is the voice that was called, whatever is chosen since", () => {
  const other = reduce(live(), {
    type: "persona",
    persona: { voice: "NATM1", voiceLabel: "Tom, a calm voice" },
  });
  assert.equal(page.assistantName(other), "Nora");
  assert.equal(
    page.assistantName(reduce(initial({}), { type: "persona", persona: { voiceLabel: "" } })),
    "The assistant",
  );
});
