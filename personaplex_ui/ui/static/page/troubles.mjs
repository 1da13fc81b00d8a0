/** What can go wrong, in words for people who try a voice model: what happened and what to do next.
 *
 * Pure. Every failure that the page tells has its entry here, and is shown in one place (`state.trouble`).
 *
 * @typedef {{action: string, label: string}} Remedy  `action` is the name of one of main.mjs's actions
 * @typedef {{kind: string, sentence: string, remedy: Remedy|null}} Trouble
 */

const retry = { action: "retry", label: "Try again" };
const openDevices = { action: "openDevices", label: "Choose a microphone" };
const useWebsocket = { action: "useWebsocket", label: "Call over the web connection" };

/** Those with `ends` leave nothing of the call that was being made; the others leave it as it is. */
const TROUBLES = {
  permission: { sentence: "Please allow the microphone when your browser asks." },
  silent: {
    sentence: "We hear nothing from your microphone. Choose another one, or check that it is switched on.",
    remedy: openDevices,
  },
  muted_speaking: {
    sentence: "You are muted, so nobody hears you.",
    remedy: { action: "toggleMute", label: "Unmute" },
  },
  not_held: { sentence: "Nobody hears you yet. Hold Space, or the talk button, while you speak." },
  unplugged: {
    sentence: "Your microphone was disconnected. Connect it again, or choose another one.",
    remedy: openDevices,
  },
  device_failed: { sentence: "That device cannot be used. Choose another one.", remedy: openDevices },
  not_taken: { sentence: "That could not be done. Please try again." },

  denied: {
    sentence:
      "The microphone is blocked. Allow it for this page, beside the address or in your system's settings.",
    remedy: retry,
    ends: true,
  },
  no_microphone: {
    sentence: "No microphone was found. Connect one, then try again.",
    remedy: retry,
    ends: true,
  },
  in_use: {
    sentence: "Another program is using the microphone. Close it, then try again.",
    remedy: retry,
    ends: true,
  },
  unusable: {
    sentence: "This microphone does not work for calls. Connect another one, then try again.",
    remedy: retry,
    ends: true,
  },
  insecure: {
    sentence: "The microphone works only on a secure page. Open this page over https or on localhost.",
    ends: true,
  },
  no_webrtc: {
    sentence: "WebRTC is missing or switched off in this browser. The call can use a web connection instead.",
    remedy: useWebsocket,
    ends: true,
  },
  no_udp: {
    sentence: "This network blocks calls over UDP. The call can use a web connection instead.",
    remedy: useWebsocket,
    ends: true,
  },
  unreachable: {
    sentence: "The server does not answer. Check your connection, then try again.",
    remedy: retry,
    ends: true,
  },
  refused: { sentence: "The call could not be started.", remedy: retry, ends: true },
  lost: {
    sentence: "The connection was lost.",
    remedy: { action: "start", label: "Call again" },
    ends: true,
  },
  gone: {
    sentence: "The server of this call has stopped, so the call ended.",
    remedy: { action: "start", label: "Call again" },
    ends: true,
  },
  failed: {
    sentence: "Something failed on our side, and the call ended.",
    remedy: { action: "start", label: "Call again" },
    ends: true,
  },
};

/** The trouble of a kind, with another sentence (the server's) where there is one.
 *  @param {string} kind @param {string} [sentence] @returns {Trouble} */
export function trouble(kind, sentence = "") {
  const known = TROUBLES[kind] ?? TROUBLES.failed;
  return { kind, sentence: sentence || known.sentence, remedy: known.remedy ?? null };
}

/** Whether there is no call any more after this trouble. */
export const endsCall = (kind) => Boolean((TROUBLES[kind] ?? TROUBLES.failed).ends);

/** getUserMedia's error -> kind. */
export function kindOfMicrophoneError(error) {
  switch (error?.name) {
    case "NotAllowedError":
    case "SecurityError":
      return "denied";
    case "NotFoundError":
      return "no_microphone";
    case "NotReadableError":
    case "AbortError":
      return "in_use";
    default:
      return "unusable";
  }
}
