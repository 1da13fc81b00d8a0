/** Looks after a live call: who speaks, whether the microphone is heard, how good the network is, its clock.
 */

import { Hearing, Voice, whoSpeaks } from "./hearing.mjs";
import { isMuted } from "./state.mjs";

const LISTEN_EVERY_MS = 50;
const TICK_EVERY_MS = 500;
const STATS_EVERY_MS = 2000;

const POOR = { rttMs: 400, lossPercent: 5, jitterMs: 60 };

/** @param {{rttMs: number|null, lossPercent: number, jitterMs: number}} figures @returns {"good"|"poor"} */
export function qualityOf({ rttMs, lossPercent, jitterMs }) {
  const poor = (rttMs ?? 0) > POOR.rttMs || lossPercent > POOR.lossPercent || jitterMs > POOR.jitterMs;
  return poor ? "poor" : "good";
}

export class Watch {
  #parts;
  #hearing = new Hearing();
  #caller = new Voice();
  #assistant = new Voice();
  #timers = [];
  #liveSince = null;
  #quality = null;
  #hasHeld = false;

  /** @param {{dispatch: Function, getState: Function, levels: import("./levels.mjs").Levels,
   *  stats: () => Promise<object|null>}} parts */
  constructor(parts) {
    this.#parts = parts;
    this.#timers = [
      setInterval(() => this.#listen(performance.now()), LISTEN_EVERY_MS),
      setInterval(() => this.#tick(), TICK_EVERY_MS),
      setInterval(() => this.#measure(), STATS_EVERY_MS),
    ];
  }

  stop() {
    this.#timers.forEach(clearInterval);
  }

  /** The server told how long the call has been live. */
  setClock(elapsedSec) {
    this.#liveSince = performance.now() - 1000 * elapsedSec;
  }

  /** Another microphone. */
  anotherMicrophone() {
    this.#hearing.reset();
  }

  #listen(now) {
    const { dispatch, getState, levels } = this.#parts;
    const state = getState();
    if (state.call?.step !== "live") return;
    const level = levels.callerDbfs();
    const muted = isMuted(state);
    const callerSpeaks = this.#caller.step(level, now);
    const assistantSpeaks = this.#assistant.step(levels.assistantDbfs(), now);
    dispatch({ type: "speaking", speaking: whoSpeaks(callerSpeaks && !muted, assistantSpeaks) });
    this.#hasHeld ||= state.call.held;
    // Who has held the key once knows how; what is heard since is the noisy room.
    const speaks = callerSpeaks && !(muted && state.holdToTalk && this.#hasHeld);
    const heard = this.#hearing.step({ level, now, muted, callerSpeaks: speaks, assistantSpeaks });
    const { hearing } = getState().call ?? {};
    if (hearing !== "unplugged" && heard !== hearing) dispatch({ type: "hearing", hearing: heard });
  }

  #tick() {
    if (this.#liveSince === null) return;
    this.#parts.dispatch({ type: "tick", elapsedSec: (performance.now() - this.#liveSince) / 1000 });
  }

  async #measure() {
    const figures = await this.#parts.stats().catch(() => null);
    const call = this.#parts.getState().call;
    if (!figures || !call || call.network === "reconnecting") return;
    const quality = qualityOf(figures);
    // One bad reading is a hiccup, two are a network.
    if (quality === this.#quality) this.#parts.dispatch({ type: "network", network: quality });
    this.#quality = quality;
  }
}
