/** The messages of the server's Moshi websocket, and the address that begins a call. Pure. Docs: PROTOCOLS.md. */

import { joined } from "./ogg.mjs";

const HANDSHAKE = 0x00;
const AUDIO = 0x01;
const METADATA = 0x04;
const ERROR = 0x05;

const PARAMETERS = {
  voice: "voice_prompt",
  text_prompt: "text_prompt",
  text_temperature: "text_temperature",
  audio_temperature: "audio_temperature",
  text_top_k: "text_topk",
  audio_top_k: "audio_topk",
  seed: "seed",
};

/** @param {string} page the page's address @param {object} settings as for WebRTC @param {"opus"|"pcm16"} audio
 *  @returns {string} relative to the page, which may live behind a prefix */
export function chatUrl(page, settings, audio) {
  const url = new URL("api/chat", page);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  for (const [name, parameter] of Object.entries(PARAMETERS)) {
    const value = settings[name];
    if (value !== undefined && value !== null) url.searchParams.set(parameter, String(value));
  }
  if (settings.greedy) url.searchParams.set("greedy", "1");
  if (settings.record !== false) url.searchParams.set("record", "1");
  url.searchParams.set("facts", "1");
  url.searchParams.set("audio", audio);
  return url.href;
}

/** @param {ArrayBuffer} data @returns {{kind: "live"|"audio"|"told"|"error"|"other", content?: any}} */
export function parse(data) {
  const bytes = new Uint8Array(data);
  const content = bytes.subarray(1);
  switch (bytes[0]) {
    case HANDSHAKE:
      return { kind: "live" };
    case AUDIO:
      return { kind: "audio", content };
    case METADATA:
      return { kind: "told", content: JSON.parse(new TextDecoder().decode(content)) };
    case ERROR:
      return { kind: "error", content: new TextDecoder().decode(content) };
    default:
      return { kind: "other" };
  }
}

/** @param {Uint8Array[]} pieces @returns {Uint8Array} */
export const audio = (pieces) => joined([Uint8Array.of(AUDIO), ...pieces]);

/** @param {object} message @returns {Uint8Array} */
export const told = (message) => joined([Uint8Array.of(METADATA), new TextEncoder().encode(JSON.stringify(message))]);

const KINDS = { 1001: "failed", 1008: "refused", 1011: "failed", 1013: "refused", 4000: "refused", 4001: "refused", 4003: "refused" };

/** A close frame's code -> a kind of trouble; null for a call that simply ended. */
export const troubleOf = (code) => (code === 1000 ? null : (KINDS[code] ?? "lost"));
