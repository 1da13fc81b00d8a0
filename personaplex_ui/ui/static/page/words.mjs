/** What the state says to the eye: words, details, the tab's title. Pure; imported by way of state.mjs.
 *
 * @typedef {import("./state.mjs").State} State
 */

const INTERRUPTED_FOR_SEC = 2.5;

/** 75 -> "1:15". @param {number} sec @returns {string} */
export function clock(sec) {
  const whole = Math.max(0, Math.floor(sec || 0));
  const minutes = Math.floor(whole / 60);
  const rest = String(whole % 60).padStart(2, "0");
  if (minutes < 60) return `${minutes}:${rest}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

/** 95 -> "about 2 minutes". @param {number} sec @returns {string} */
export function about(sec) {
  if (sec < 50) return "less than a minute";
  const minutes = Math.round(sec / 60);
  return minutes <= 1 ? "about a minute" : `about ${minutes} minutes`;
}

/** 3 -> "3rd". @param {number} n @returns {string} */
export function ordinal(n) {
  const ending = n % 100 >= 11 && n % 100 <= 13 ? "th" : ({ 1: "st", 2: "nd", 3: "rd" }[n % 10] ?? "th");
  return `${n}${ending}`;
}

/** Who answers: the name of the voice that was called, or that is chosen. @param {State} state */
export function assistantName(state) {
  const persona = state.call?.persona ?? state.persona;
  const known = state.config.voices?.find((each) => each.name === persona.voice);
  const label = persona.voiceLabel || known?.label || "";
  return label.split(",")[0].trim() || "The assistant";
}

/** Whether the microphone sends nothing now. @param {State} state */
export function isMuted(state) {
  if (!state.call) return false;
  return state.holdToTalk ? !state.call.held : state.call.muted;
}

/** What the call does now, in one word or a short sentence; outside of a call "". @param {State} state */
export function word(state) {
  const call = state.call;
  if (!call) return "";
  switch (call.step) {
    case "permission":
      return "Waiting for your microphone";
    case "connecting":
      return "Connecting";
    case "waiting":
      return (call.place ?? 1) <= 1 ? "You are next" : `You are ${ordinal(call.place)} in line`;
    case "preparing":
      return "Preparing";
    default:
      return liveWord(state, call);
  }
}

function liveWord(state, call) {
  if (call.network === "reconnecting") return "Reconnecting";
  if (call.hearing === "unplugged" || call.hearing === "silent") return "We hear nothing";
  if (call.hearing === "muted_speaking") return state.holdToTalk ? "Hold to talk" : "You are muted";
  if (wasInterrupted(call)) return "You interrupted";
  if (call.speaking === "assistant" || call.speaking === "both") return `${assistantName(state)} is speaking`;
  if (!isMuted(state)) return "Listening";
  return state.holdToTalk ? "Hold to talk" : "Muted";
}

function wasInterrupted(call) {
  return call.interruptedAt !== null && call.elapsedSec - call.interruptedAt < INTERRUPTED_FOR_SEC;
}

/** What stands under the word, in parts: `["0:42 of 10:00", "answers after 0.7 s", "connection good"]`.
 *  @param {State} state @returns {string[]} */
export function details(state) {
  const call = state.call;
  if (!call) return [];
  switch (call.step) {
    case "waiting":
      return waitingDetails(call);
    case "preparing":
      return [
        `${assistantName(state)} is getting into the role`,
        ...(call.progress === null ? [] : [`${Math.round(100 * call.progress)} %`]),
      ];
    case "live":
      return liveDetails(call);
    default:
      return [];
  }
}

function waitingDetails(call) {
  const parts = [];
  if (call.place !== null && call.waiting !== null && call.waiting > 1) {
    parts.push(`${call.place} of ${call.waiting} waiting`);
  }
  if (call.waitSec !== null) parts.push(`${about(call.waitSec)} to wait`);
  return [...parts, "a tone tells when it is your turn"];
}

function liveDetails(call) {
  const parts = [call.maxSec ? `${clock(call.elapsedSec)} of ${clock(call.maxSec)}` : clock(call.elapsedSec)];
  if (call.answerSec !== null) parts.push(`answers after ${call.answerSec.toFixed(1)} s`);
  if (call.network === "good" || call.network === "poor") parts.push(`connection ${call.network}`);
  if (call.via === "websocket") parts.push("over the web connection");
  return parts;
}

/** The same as one sentence. @param {State} state */
export const detail = (state) => details(state).join(", ");

/** @param {State} state @returns {{label: string, disabled: boolean, reason: string}} `reason`: why it is
 *  disabled, or what to know before pressing; may be empty */
export function startButton(state) {
  const { server, visitor } = state;
  const label = "Start talking";
  if (state.call) return { label, disabled: true, reason: "You are in a call." };
  if (server.ready === false && server.draining && state.config.several) {
    return { label, disabled: false, reason: "This server is being renewed. Another one takes your call." };
  }
  if (server.ready === false) {
    return { label, disabled: true, reason: server.sentence || "Calls cannot be taken now." };
  }
  if (visitor.minutesLeft !== null && visitor.minutesLeft <= 0) {
    return { label, disabled: true, reason: usedUp(visitor.againAt) };
  }
  if (server.linesFree === 0) {
    const place = ordinal(server.waiting + 1);
    return {
      label: "Join the line",
      disabled: false,
      reason: `All lines are busy. You would be ${place} in line.`,
    };
  }
  return { label, disabled: false, reason: "" };
}

/** @param {number|null} againAt seconds since 1970; always within a day, so the time of day is enough */
function usedUp(againAt) {
  const when = againAt
    ? `at ${new Date(1000 * againAt).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}`
    : "tomorrow";
  return `Your minutes for today are used up. You have all of them again ${when}.`;
}

/** What the tab is called: the call is seen from another tab. @param {State} state */
export function title(state) {
  const call = state.call;
  const name = "PersonaPlex";
  if (!call) return state.trouble ? `⚠ ${name}` : name;
  if (state.trouble && state.trouble.kind !== "permission") return `⚠ ${word(state)} · ${name}`;
  if (call.step === "live") {
    return `${isMuted(state) ? "○" : "●"} ${clock(call.elapsedSec)} ${name}`;
  }
  return `${word(state)} · ${name}`;
}

/** The header's pill. @param {State} state @returns {{tone: "good"|"busy"|"bad"|"unknown", text: string}} */
export function pill(state) {
  const { ready, draining, sentence, name, linesFree, lines, waiting, progress } = state.server;
  if (ready === null) return { tone: "unknown", text: "" };
  if (!ready && draining) return { tone: "busy", text: "Closing soon, no new calls" };
  if (!ready) {
    const part = progress ? ` ${Math.round(100 * progress)} %` : "";
    return { tone: "bad", text: (sentence || "Calls cannot be taken now.") + part };
  }
  if (!lines) return { tone: "good", text: name };
  if (linesFree > 0) return { tone: "good", text: `${name}, ${linesFree} of ${lines} lines free` };
  const queue = waiting ? `, ${waiting} waiting` : "";
  return { tone: "busy", text: `${name}, ${lines === 1 ? "the line is" : "all lines are"} busy${queue}` };
}

/** What an offer (or the websocket) asks for. What the visitor left empty is left to the server.
 *  @param {State} state */
export function callSettings(state) {
  const sampling = Object.entries(state.sampling).filter(([, value]) => value !== "" && value !== null);
  return {
    voice: state.persona.voice,
    text_prompt: state.persona.text,
    ...Object.fromEntries(sampling),
    record: state.record,
  };
}
