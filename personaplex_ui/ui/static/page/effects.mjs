/** What a change of the state does outside of the page's own elements: the tab's title, the screen that stays
 * on, the question before the page is left, a tone when something needs a person who looks elsewhere. */

import { title } from "./state.mjs";

const NOTES_HZ = [660, 880];
const NOTE_SEC = 0.14;
const VOLUME = 0.12;

/** Whether a tone is due: one's turn has come, or the call is live and the tab is not seen.
 *  @param {import("./state.mjs").Call|null} before @param {import("./state.mjs").Call|null} call */
export function needsTone(before, call, hidden) {
  if (!before || !call || before.step === call.step) return false;
  if (before.step === "waiting") return true;
  return hidden && call.step === "live";
}

/** @param {AudioContext} context */
export function playTone(context) {
  NOTES_HZ.forEach((hz, index) => {
    const oscillator = new OscillatorNode(context, { frequency: hz });
    const volume = new GainNode(context, { gain: 0 });
    const at = context.currentTime + index * NOTE_SEC;
    volume.gain.setValueAtTime(0, at);
    volume.gain.linearRampToValueAtTime(VOLUME, at + 0.02);
    volume.gain.linearRampToValueAtTime(0, at + NOTE_SEC);
    oscillator.connect(volume).connect(context.destination);
    oscillator.start(at);
    oscillator.stop(at + NOTE_SEC);
  });
}

/** Keeps the screen on while there is a call. */
class ScreenLock {
  #wanted = false;
  #lock = null;

  constructor() {
    // A browser releases it by itself when the page is hidden.
    document.addEventListener("visibilitychange", () => this.set(this.#wanted));
  }

  async set(wanted) {
    this.#wanted = wanted;
    if (!wanted) {
      const lock = this.#lock;
      this.#lock = null;
      await lock?.release().catch(() => {});
    } else if (!document.hidden && (!this.#lock || this.#lock.released)) {
      // It may be refused, as when the battery is low.
      const lock = await navigator.wakeLock?.request("screen").catch(() => null);
      if (this.#wanted) this.#lock = lock ?? null;
      else await lock?.release();
    }
  }
}

const askBeforeLeaving = (event) => event.preventDefault();

/** @param {() => AudioContext} context @returns {(before: object, state: object) => void} */
export function createEffects(context) {
  const screen = new ScreenLock();
  return (before, state) => {
    const named = title(state);
    if (document.title !== named) document.title = named;
    if (Boolean(before.call) !== Boolean(state.call)) {
      screen.set(Boolean(state.call));
      const change = state.call ? addEventListener : removeEventListener;
      change("beforeunload", askBeforeLeaving);
    }
    if (needsTone(before.call, state.call, document.hidden)) playTone(context());
  };
}
