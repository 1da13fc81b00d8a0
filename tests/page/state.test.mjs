/** The page's state: what events do to it, and that it never contradicts itself. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { initial, mergeLines, reduce, trouble } from "../../personaplex_ui/ui/static/page/state.mjs";
import { endsCall } from "../../personaplex_ui/ui/static/page/troubles.mjs";

const CONFIG = {
  maxCallSec: 600,
  recordDefault: true,
  voices: [
    { name: "NATF2", label: "Nora" },
    { name: "NATM1", label: "Tom" },
  ],
  defaultVoice: "NATF2",
  roles: [{ id: "talk", title: "A good conversation", text: "You enjoy having a good conversation." }],
  defaultRole: "talk",
};

const run = (...events) => events.reduce(reduce, initial(CONFIG));
const facts = (phase, more = {}) => ({ type: "facts", facts: { phase, ...more } });
const START = { type: "start", at: 1000 };
const LIVE = [
  START,
  { type: "step", step: "connecting" },
  facts("live", { seq: 1, call_id: "c1", elapsed_sec: 3 }),
];
const line = (n, more = {}) => ({
  n,
  who: "assistant",
  start_sec: n,
  end_sec: n + 1,
  text: `line ${n}`,
  cut: false,
  interrupts: false,
  open: false,
  ...more,
});

function deepFreeze(value) {
  if (value && typeof value === "object" && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}

test("the first state is the configuration's voice and role, before any call", () => {
  const state = initial(CONFIG);
  assert.equal(state.view, "before");
  assert.equal(state.persona.voiceLabel, "Nora");
  assert.equal(state.persona.text, "You enjoy having a good conversation.");
  assert.equal(state.call, null);
  assert.equal(state.server.ready, null);
});

test("a call goes from the microphone's permission to live and then to its page", () => {
  let state = run(START);
  assert.equal(state.view, "live");
  assert.equal(state.call.step, "permission");
  state = reduce(state, { type: "step", step: "connecting" });
  state = reduce(state, facts("waiting", { seq: 1, place: 2, waiting: 3, wait_sec: 95, call_id: "c1" }));
  assert.deepEqual([state.call.step, state.call.place, state.call.waitSec], ["waiting", 2, 95]);
  state = reduce(state, facts("preparing", { seq: 2, progress: 0.4 }));
  assert.deepEqual([state.call.step, state.call.progress, state.call.place], ["preparing", 0.4, null]);
  state = reduce(state, facts("live", { seq: 3, elapsed_sec: 42, answer_sec: 0.7, lines: [line(1)] }));
  assert.deepEqual([state.call.step, state.call.elapsedSec, state.call.callId], ["live", 42, "c1"]);
  state = reduce(state, facts("ended", { seq: 4, reason: "You hung up.", end: "hung_up" }));
  assert.deepEqual([state.view, state.call, state.trouble], ["after", null, null]);
  assert.deepEqual([state.result.call_id, state.result.pending, state.result.lines.length], ["c1", true, 1]);
  state = reduce(state, { type: "result", record: { call_id: "c1", lines: [] } });
  assert.equal(state.result.pending, undefined);
});

test("a second start changes nothing while there is a call", () => {
  const state = run(START);
  assert.equal(reduce(state, { type: "start", at: 2000 }), state);
});

test("what comes after the end of a call changes nothing", () => {
  const state = run(...LIVE, { type: "ended", reason: "You hung up.", end: "hung_up" });
  for (const late of [
    facts("live", { seq: 9 }),
    { type: "speaking", speaking: "caller" },
    { type: "tick", elapsedSec: 9 },
  ]) {
    assert.equal(reduce(state, late), state);
  }
});

test("older facts, by the slower of two ways, are ignored", () => {
  const state = run(...LIVE, facts("live", { seq: 5, elapsed_sec: 9 }));
  assert.equal(reduce(state, facts("live", { seq: 4, elapsed_sec: 8 })), state);
});

test("facts by HTTP count until the call's own way tells them, and its end always does", () => {
  const byHttp = (place) => facts("waiting", { seq: 0, call_id: "c1", place });
  let state = run(START, byHttp(3), byHttp(2));
  assert.equal(state.call.place, 2);
  state = reduce(state, facts("live", { seq: 1 }));
  assert.equal(reduce(state, byHttp(1)), state);
  assert.equal(
    reduce(state, facts("ended", { seq: 0, reason: "It is over.", end: "time_limit" })).view,
    "after",
  );
});

test("a connection without a call is still connecting", () => {
  const state = run(
    START,
    { type: "step", step: "connecting" },
    facts("waiting", { seq: 0, call_id: "", place: 0 }),
  );
  assert.deepEqual([state.call.step, state.call.place], ["connecting", null]);
});

test("a live call does not become a waiting one", () => {
  assert.equal(run(...LIVE, facts("preparing", { seq: 2 })).call.step, "live");
});

test("lines keep their order, and a line with a known number replaces the earlier one", () => {
  const first = run(...LIVE, facts("live", { seq: 2, lines: [line(2), line(1)] }));
  assert.deepEqual(
    first.call.lines.map((each) => each.n),
    [1, 2],
  );
  const second = reduce(first, facts("live", { seq: 3, lines: [line(2, { text: "longer", cut: true })] }));
  assert.equal(second.call.lines[1].text, "longer");
  assert.equal(second.call.lines[0], first.call.lines[0], "what did not change keeps its identity");
  assert.equal(reduce(second, facts("live", { seq: 4 })).call.lines, second.call.lines);
});

test("an interruption is told once, when its line first comes", () => {
  const cut = line(3, { who: "caller", interrupts: true, start_sec: 40 });
  let state = run(...LIVE, facts("live", { seq: 2, elapsed_sec: 41, lines: [cut] }));
  assert.equal(state.call.interruptedAt, 40);
  const again = { ...cut, start_sec: 40.5 };
  state = reduce(state, facts("live", { seq: 3, lines: [again] }));
  assert.equal(state.call.interruptedAt, 40);
});

test("a call that ends before it was live goes back to the start with the reason", () => {
  const state = run(START, facts("ended", { reason: "All lines are busy.", end: "refused" }));
  assert.deepEqual([state.view, state.call, state.result], ["before", null, null]);
  assert.deepEqual([state.trouble.kind, state.trouble.sentence], ["refused", "All lines are busy."]);
  assert.equal(state.trouble.remedy.action, "retry");
});

test("whoever waits when the server shuts down is told so, and may try again", () => {
  const shutdown = facts("ended", { reason: "The server is shutting down.", end: "shutdown" });
  const waiting = run(START, facts("waiting", { seq: 1, call_id: "c1", place: 1 }), shutdown);
  assert.deepEqual([waiting.view, waiting.trouble.sentence], ["before", "The server is shutting down."]);
  assert.equal(waiting.trouble.remedy.action, "retry");
  const live = run(...LIVE, shutdown);
  assert.deepEqual([live.view, live.result.reason], ["after", "The server is shutting down."]);
  assert.equal(live.trouble, null);
});

test("a call whose server has stopped keeps what was said, and can be made again", () => {
  const state = run(...LIVE, { type: "trouble", trouble: trouble("gone") });
  assert.deepEqual([state.view, state.call, state.result.reason], ["after", null, trouble("gone").sentence]);
  assert.deepEqual(state.trouble.remedy, { action: "start", label: "Call again" });
});

test("a lost call keeps what was said, and says that it was lost", () => {
  const state = run(...LIVE, { type: "trouble", trouble: trouble("lost") });
  assert.deepEqual([state.view, state.call, state.trouble.kind], ["after", null, "lost"]);
  assert.equal(state.result.call_id, "c1");
});

test("a new call clears the words about the last one", () => {
  const state = run(START, { type: "trouble", trouble: trouble("denied") }, START);
  assert.deepEqual([state.view, state.trouble], ["live", null]);
});

test("the question for the microphone is gone once it is answered", () => {
  const asked = run(START, { type: "trouble", trouble: trouble("permission") });
  assert.equal(asked.call.step, "permission");
  assert.equal(reduce(asked, { type: "step", step: "connecting" }).trouble, null);
});

test("a silent microphone opens the devices, and its words go when it is heard", () => {
  const silent = run(...LIVE, { type: "hearing", hearing: "silent" });
  assert.deepEqual([silent.trouble.kind, silent.devices.open], ["silent", true]);
  const heard = reduce(silent, { type: "hearing", hearing: "heard" });
  assert.deepEqual([heard.trouble, heard.call.hearing, heard.devices.open], [null, "heard", true]);
});

test("speaking while muted is told, and unmuting ends it", () => {
  const state = run(...LIVE, { type: "mute", muted: true }, { type: "hearing", hearing: "muted_speaking" });
  assert.deepEqual([state.trouble.kind, state.trouble.remedy.action], ["muted_speaking", "toggleMute"]);
  const unmuted = reduce(state, { type: "mute", muted: false });
  assert.deepEqual([unmuted.trouble, unmuted.call.hearing], [null, "unknown"]);
});

test("with hold to talk, speaking without holding is told otherwise", () => {
  const state = run({ type: "hold_to_talk", on: true }, ...LIVE, {
    type: "hearing",
    hearing: "muted_speaking",
  });
  assert.equal(state.trouble.kind, "not_held");
  assert.equal(reduce(state, { type: "hold", held: true }).trouble, null);
});

test("an unplugged microphone stays told while the mute button is pressed", () => {
  const state = run(...LIVE, { type: "hearing", hearing: "unplugged" }, { type: "mute", muted: true });
  assert.deepEqual([state.trouble.kind, state.call.hearing], ["unplugged", "unplugged"]);
});

test("another voice during a call applies to the next one, and choosing the old one takes it back", () => {
  const other = run(...LIVE, { type: "persona", persona: { voice: "NATM1", voiceLabel: "Tom" } });
  assert.deepEqual([other.call.changed, other.call.persona.voiceLabel], [true, "Nora"]);
  assert.equal(reduce(other, { type: "persona", persona: { voice: "NATF2" } }).call.changed, false);
  assert.equal(reduce(other, { type: "persona", persona: { own: "My own text." } }).call.persona.own, "");
});

test("a deleted call's page goes, another call's stays", () => {
  const state = run({ type: "result", record: { call_id: "c1" } });
  assert.equal(reduce(state, { type: "deleted", callId: "c2" }), state);
  assert.deepEqual(reduce(state, { type: "deleted", callId: "c1" }).view, "before");
});

test("any order of events keeps one view, one call and one trouble, and changes no state in place", () => {
  const kinds = ["permission", "silent", "denied", "no_udp", "lost", "refused", "unplugged", "not_taken"];
  const events = [
    START,
    { type: "again" },
    ...LIVE.slice(1),
    facts("waiting", { place: 1 }),
    facts("preparing"),
    facts("live", { lines: [line(1)] }),
    facts("ended", { reason: "It is over.", end: "failed" }),
    { type: "ended", end: "lost", reason: "" },
    { type: "result", record: { call_id: "c1" } },
    { type: "hearing", hearing: "silent" },
    { type: "hearing", hearing: "heard" },
    { type: "hearing", hearing: "unplugged" },
    { type: "mute", muted: true },
    { type: "hold", held: true },
    { type: "network", network: "reconnecting" },
    { type: "deleted", callId: "c1" },
    { type: "server", server: { ready: false, sentence: "The model is being loaded." } },
    ...kinds.map((kind) => ({ type: "trouble", trouble: trouble(kind) })),
    { type: "trouble", trouble: null },
    { type: "nobody knows this one" },
  ];
  let seed = 7;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  let state = deepFreeze(initial(CONFIG));
  for (let step = 0; step < 5000; step += 1) {
    state = deepFreeze(reduce(state, events[Math.floor(random() * events.length)]));
    assert.equal(state.view === "live", state.call !== null);
    assert.equal(state.view === "after", state.result !== null && state.call === null);
    if (state.call) assert.ok(!state.trouble || !endsCall(state.trouble.kind), state.trouble?.kind);
    if (state.trouble) assert.match(state.trouble.sentence, /^[A-Z].*\.$/);
  }
});

test("a line that comes late stands where it was said, and words take the place of an earlier line", () => {
  const asked = { n: 0, who: "caller", start_sec: 1, text: "" };
  const answered = { n: 1, who: "assistant", start_sec: 6, text: "At eight." };
  const whispered = { n: 2, who: "caller", start_sec: 4, text: "Psst." };
  const merged = mergeLines([asked, answered], [whispered, { ...asked, text: "Hello?" }]);
  assert.deepEqual(merged.map(({ n, text }) => [n, text]), [[0, "Hello?"], [2, "Psst."], [1, "At eight."]]);
});
