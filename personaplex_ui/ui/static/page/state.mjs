/** The page's one state, and how events change it. Everything visible is a function of it.
 *
 * Pure: no DOM, no timers, no clock, no network. What is derived for the eye is in words.mjs (re-exported
 * here); the sentences of failures are in troubles.mjs. A state is never changed, but replaced; what did not
 * change keeps its identity, so that views can compare with `===`.
 *
 * One rule above all: `view` is "live" exactly while there is a `call`.
 *
 * @typedef {{n: number, who: "assistant"|"caller"|"typed", start_sec: number, end_sec: number, text: string,
 *   cut: boolean, interrupts: boolean, levels?: number[], open: boolean}} Line
 * @typedef {{voice: string, voiceLabel: string, roleId: string, title: string, text: string, own: string}}
 *   Persona  `text` is what is called with; `own` is the visitor's own text, kept apart from the presets
 * @typedef {{ready: boolean|null, draining: boolean, sentence: string, name: string, engine: string,
 *   linesFree: number|null, lines: number|null, waiting: number, progress: number|null}} Server  `ready` is null
 *   until it is known; `draining`: it takes no new calls, but lets those that go on end
 * @typedef {{
 *   step: "permission"|"connecting"|"waiting"|"preparing"|"live", via: "webrtc"|"websocket", since: number,
 *   place: number|null, waiting: number|null, waitSec: number|null, progress: number|null,
 *   elapsedSec: number, maxSec: number|null, answerSec: number|null, notes: string[], lines: Line[],
 *   callId: string|null, seq: number, muted: boolean, soundOff: boolean, held: boolean,
 *   hearing: "unknown"|"heard"|"silent"|"muted_speaking"|"unplugged",
 *   network: "unknown"|"good"|"poor"|"reconnecting",
 *   speaking: "nobody"|"caller"|"assistant"|"both", interruptedAt: number|null, changed: boolean,
 *   persona: Persona}} Call  `since`: ms, as Date.now(); `interruptedAt`: seconds of the call;
 *   `persona`: whom this call was made to, whatever has been chosen since
 * @typedef {{view: "before"|"live"|"after", config: object, persona: Persona, sampling: object,
 *   record: boolean, holdToTalk: boolean, face: boolean, server: Server, visitor: {minutesLeft: number|null,
 *     againAt: number|null},
 *   call: Call|null, trouble: import("./troubles.mjs").Trouble|null, result: object|null,
 *   devices: {inputs: {id: string, label: string}[], outputs: {id: string, label: string}[],
 *     inputId: string, outputId: string, open: boolean}}} State
 */

import { endsCall, trouble } from "./troubles.mjs";

export { trouble, endsCall } from "./troubles.mjs";
export * from "./words.mjs";

/** Troubles that are over once the microphone is heard. */
const OF_HEARING = ["silent", "muted_speaking", "not_held", "unplugged", "device_failed"];

/** @param {object} config as in the page's `#page-config` @returns {State} */
export function initial(config = {}) {
  const voice = config.voices?.find((each) => each.name === config.defaultVoice);
  const role = config.roles?.find((each) => each.id === config.defaultRole);
  return {
    view: "before",
    config,
    persona: {
      voice: config.defaultVoice ?? "",
      voiceLabel: voice?.label ?? config.defaultVoice ?? "",
      roleId: config.defaultRole ?? "",
      title: role?.title ?? "",
      text: role?.text ?? "",
      own: "",
    },
    sampling: {},
    record: config.recordDefault ?? true,
    holdToTalk: false,
    face: false,
    server: {
      ready: null,
      draining: false,
      sentence: "",
      name: "",
      engine: "",
      linesFree: null,
      lines: null,
      waiting: 0,
      progress: null,
    },
    visitor: { minutesLeft: null, againAt: null },
    call: null,
    trouble: null,
    result: null,
    devices: { inputs: [], outputs: [], inputId: "", outputId: "", open: false },
  };
}

/** The state after an event; the same object where nothing changed. Unknown events change nothing.
 *  @param {State} state @param {{type: string, [field: string]: any}} event @returns {State} */
export function reduce(state, event) {
  switch (event.type) {
    case "server":
      return { ...state, server: { ...state.server, ...event.server } };
    case "visitor":
      return { ...state, visitor: { ...state.visitor, ...event.visitor } };
    case "persona":
      return withPersona(state, { ...state.persona, ...event.persona });
    case "sampling":
      return { ...state, sampling: { ...state.sampling, ...event.sampling } };
    case "record":
      // The call that is on goes on as it began.
      return event.record === state.record
        ? state
        : { ...state, record: event.record, call: state.call && { ...state.call, changed: true } };
    case "face":
      return { ...state, face: event.on };
    case "hold_to_talk":
      return clearHearing({ ...state, holdToTalk: event.on });
    case "devices":
      return { ...state, devices: { ...state.devices, ...event.devices } };
    case "start":
      return start(state, event);
    case "again":
      return state.call ? state : { ...state, view: "before", result: null, trouble: null };
    case "result":
      return state.call ? state : { ...state, view: "after", result: event.record };
    case "deleted":
      if (state.call || state.result?.call_id !== event.callId) return state;
      return { ...state, view: "before", result: null };
    case "trouble":
      return withTrouble(state, event.trouble);
    default:
      return state.call ? reduceCall(state, state.call, event) : state;
  }
}

/** Events that only a call can have; one that comes late, after its end, changes nothing. */
function reduceCall(state, call, event) {
  switch (event.type) {
    case "step": {
      const next = withCall(state, { step: event.step });
      return state.trouble?.kind === "permission" ? { ...next, trouble: null } : next;
    }
    case "facts":
      return withFacts(state, call, event.facts);
    case "tick":
      return call.step === "live" && event.elapsedSec > call.elapsedSec
        ? withCall(state, { elapsedSec: event.elapsedSec })
        : state;
    case "speaking":
      return call.speaking === event.speaking ? state : withCall(state, { speaking: event.speaking });
    case "network":
      return call.network === event.network ? state : withCall(state, { network: event.network });
    case "hearing":
      return withHearing(state, call, event.hearing);
    case "mute":
      return clearHearing(withCall(state, { muted: event.muted }));
    case "hold":
      return clearHearing(withCall(state, { held: event.held }));
    case "sound":
      return withCall(state, { soundOff: event.off });
    case "ended":
      return ended(state, call, event.reason ?? "", event.end ?? "hung_up");
    default:
      return state;
  }
}

function start(state, { via = "webrtc", at = 0 }) {
  if (state.call) return state;
  /** @type {Call} */
  const call = {
    step: "permission",
    via,
    since: at,
    place: null,
    waiting: null,
    waitSec: null,
    progress: null,
    elapsedSec: 0,
    maxSec: state.config.maxCallSec ?? null,
    answerSec: null,
    notes: [],
    lines: [],
    callId: null,
    seq: 0,
    muted: false,
    soundOff: false,
    held: false,
    hearing: "unknown",
    network: "unknown",
    speaking: "nobody",
    interruptedAt: null,
    changed: false,
    persona: state.persona,
  };
  return {
    ...state,
    view: "live",
    call,
    trouble: null,
    result: null,
    devices: { ...state.devices, open: false },
  };
}

const withCall = (state, changes) => ({ ...state, call: { ...state.call, ...changes } });

function withPersona(state, persona) {
  if (!state.call) return { ...state, persona };
  const called = state.call.persona;
  const changed = persona.voice !== called.voice || persona.text !== called.text;
  return {
    ...state,
    persona,
    call: changed === state.call.changed ? state.call : { ...state.call, changed },
  };
}

function withTrouble(state, told) {
  if (!told || !endsCall(told.kind) || !state.call) return { ...state, trouble: told };
  return { ...afterCall(state, state.call, told.sentence, told.kind), trouble: told };
}

/** Muting, unmuting and holding begin anew with what is heard, so older words about it are gone. */
function clearHearing(state) {
  const next = OF_HEARING.slice(0, 3).includes(state.trouble?.kind) ? { ...state, trouble: null } : state;
  return next.call && next.call.hearing !== "unplugged" ? withCall(next, { hearing: "unknown" }) : next;
}

function withHearing(state, call, hearing) {
  if (hearing === call.hearing) return state;
  const next = withCall(state, { hearing });
  if (hearing === "silent" || hearing === "unplugged") {
    return { ...next, trouble: trouble(hearing), devices: { ...state.devices, open: true } };
  }
  if (hearing === "muted_speaking") {
    return { ...next, trouble: trouble(state.holdToTalk ? "not_held" : "muted_speaking") };
  }
  return OF_HEARING.includes(state.trouble?.kind) ? { ...next, trouble: null } : next;
}

/** @param {State} state @param {Call} call @param {object} facts as the server tells them */
function withFacts(state, call, facts) {
  const over = facts.phase === "ended";
  if (!over && isOlder(facts, call)) return state;
  const interruption = facts.lines?.findLast((line) => line.interrupts);
  const known = call.lines.some((line) => line.n === interruption?.n && line.interrupts);
  const next = withCall(state, {
    step: stepOf(call.step, facts),
    seq: Math.max(facts.seq ?? 0, call.seq),
    callId: facts.call_id || call.callId,
    place: facts.place || null,
    waiting: facts.waiting ?? null,
    waitSec: facts.wait_sec ?? null,
    progress: facts.progress ?? null,
    elapsedSec: facts.elapsed_sec ?? call.elapsedSec,
    maxSec: facts.max_sec ?? call.maxSec,
    answerSec: facts.answer_sec ?? call.answerSec,
    notes: facts.notes ?? call.notes,
    lines: mergeLines(call.lines, facts.lines ?? []),
    interruptedAt: interruption && !known ? interruption.start_sec : call.interruptedAt,
  });
  if (over) return ended(next, next.call, facts.reason ?? "", facts.end ?? "hung_up");
  return state.trouble?.kind === "permission" ? { ...next, trouble: null } : next;
}

/** Facts by HTTP have the number 0, and say nothing new once the call's own way tells its facts. */
function isOlder(facts, call) {
  return facts.seq ? facts.seq <= call.seq : call.seq > 0;
}

/** A call that is live stays live until it ends, whatever arrives late. A connection that has no call yet
 *  (no `call_id`) is still connecting. */
function stepOf(step, { phase, call_id }) {
  if (step === "live" || !["waiting", "preparing", "live"].includes(phase)) return step;
  return call_id === "" ? step : phase;
}

/** Lines in the order of time; one with a known number replaces the earlier one.
 *  @param {Line[]} lines @param {Line[]} news @returns {Line[]} */
export function mergeLines(lines, news) {
  if (news.length === 0) return lines;
  const byNumber = new Map(lines.map((line) => [line.n, line]));
  for (const line of news) byNumber.set(line.n, line);
  return [...byNumber.values()].sort((a, b) => a.start_sec - b.start_sec || a.n - b.n);
}

const OF_END = { lost: "lost", failed: "failed", refused: "refused" };

function ended(state, call, reason, end) {
  // Whoever is not talking yet would see nothing else of a shutdown.
  const kind = end === "shutdown" && call.step !== "live" ? "refused" : OF_END[end];
  return { ...afterCall(state, call, reason, end), trouble: kind ? trouble(kind, reason) : null };
}

/** What is left of a call: its page if there was a conversation, otherwise the start.
 *  Until the server's record is there (`result`), `pending` marks one made of what the page knows. */
function afterCall(state, call, reason, end) {
  const devices = state.devices.open ? { ...state.devices, open: false } : state.devices;
  if (call.step !== "live") return { ...state, view: "before", call: null, devices };
  const result = {
    pending: true,
    call_id: call.callId,
    started_at: null,
    duration_sec: call.elapsedSec,
    voice: call.persona.voice,
    text_prompt: call.persona.text,
    reason,
    end,
    notes: call.notes,
    recorded: state.record,
    keep_until: null,
    lines: call.lines,
    turns: { caller: [], assistant: [], overlaps: [] },
    figures: { answer_sec: call.answerSec, caller_share: null, interruptions: null },
    files: {},
  };
  return { ...state, view: "after", call: null, result, devices };
}
