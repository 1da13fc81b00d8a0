/** Who speaks, and whether the microphone hears anything, from levels in dBFS. Pure: the clock is passed in.
 *
 * A browser's noise suppression makes a quiet room very quiet, so silence alone proves nothing: a microphone
 * that is dead gives (nearly) zeros, one that is alive gives more than this now and then.
 */

const ZEROS_DBFS = -115;
const DEAD_DBFS = -90;
const FAINT_DBFS = -75;
const SPEECH_DBFS = -50;
const OVER_NOISE_DB = 12;
const FALLS_BY_DB = 7;
const HOLD_MS = 350;
const NOISE_RISES_DB_A_SEC = 3;
const LOUDEST_NOISE_DBFS = -35;

const TOLD_AFTER_MS = 4000;
const DIES_AFTER_MS = 8000;
const WAITS_FOR_SPEECH_MS = 30000;
const MUTED_SPEECH_MS = 600;
const MUTED_WINDOW_MS = 2000;
const MUTED_WORDS_STAY_MS = 6000;
const MUTED_TOLD_AGAIN_MS = 30000;

/** One side: speaking or not, with hysteresis, over a noise floor that is learnt. */
export class Voice {
  #noise = -70;
  #until = 0;
  #at = null;
  active = false;

  /** @param {number} level dBFS @param {number} now ms @returns {boolean} whether this side speaks */
  step(level, now) {
    const elapsed = this.#at === null ? 0 : Math.min(500, now - this.#at) / 1000;
    this.#at = now;
    const risen = this.#noise + (this.active ? 0 : NOISE_RISES_DB_A_SEC * elapsed);
    this.#noise = Math.min(LOUDEST_NOISE_DBFS, Math.max(-90, Math.min(level, risen)));
    const begins = Math.max(SPEECH_DBFS, this.#noise + OVER_NOISE_DB);
    if (level > begins) this.#until = now + HOLD_MS;
    else if (this.active && level > begins - FALLS_BY_DB) this.#until = Math.max(this.#until, now + 100);
    this.active = now < this.#until;
    return this.active;
  }
}

/** @returns {"nobody"|"caller"|"assistant"|"both"} */
export function whoSpeaks(caller, assistant) {
  if (caller && assistant) return "both";
  if (caller) return "caller";
  return assistant ? "assistant" : "nobody";
}

/** Whether we hear the microphone of a live call. One for each call. */
export class Hearing {
  #at = null;
  #heard = false;
  #alive = false;
  #deadMs = 0;
  #faintMs = 0;
  #waitsMs = 0;
  #muted = false;
  #mutedSpeech = [];
  #toldMutedAt = -Infinity;
  #toldMutedTill = -Infinity;

  /** Another device: nothing is known of it yet. */
  reset() {
    this.#heard = this.#alive = false;
    this.#deadMs = this.#faintMs = this.#waitsMs = 0;
  }

  /** @param {{level: number, now: number, muted: boolean, callerSpeaks: boolean,
   *  assistantSpeaks: boolean}} seen  `level`: dBFS of the microphone, whether it is muted or not; `now`: ms
   *  @returns {"unknown"|"heard"|"silent"|"muted_speaking"} */
  step({ level, now, muted, callerSpeaks, assistantSpeaks }) {
    const elapsed = this.#at === null ? 0 : Math.min(1500, now - this.#at); // timers of a hidden tab are late
    this.#at = now;
    this.#listen(level, elapsed, muted, callerSpeaks, assistantSpeaks);
    if (muted !== this.#muted) {
      this.#muted = muted;
      this.#mutedSpeech = [];
      this.#toldMutedTill = -Infinity;
    }
    if (muted) return this.#speaksMuted(now, elapsed, callerSpeaks) ? "muted_speaking" : this.#known;
    return this.#isSilent ? "silent" : this.#known;
  }

  get #known() {
    return this.#heard ? "heard" : "unknown";
  }

  #listen(level, elapsed, muted, speaks, assistantSpeaks) {
    this.#deadMs = level < (this.#heard ? ZEROS_DBFS : DEAD_DBFS) ? this.#deadMs + elapsed : 0;
    this.#alive ||= level >= FAINT_DBFS;
    if (!assistantSpeaks) this.#faintMs += elapsed;
    if (!assistantSpeaks && !muted) this.#waitsMs += elapsed;
    if (speaks) this.#heard = this.#alive = true;
  }

  get #isSilent() {
    if (this.#heard) return this.#deadMs > DIES_AFTER_MS;
    if (this.#deadMs > TOLD_AFTER_MS) return true;
    return this.#alive ? this.#waitsMs > WAITS_FOR_SPEECH_MS : this.#faintMs > TOLD_AFTER_MS;
  }

  #speaksMuted(now, elapsed, speaks) {
    const lately = this.#mutedSpeech;
    if (speaks) lately.push([now, elapsed]);
    while (lately.length && now - lately[0][0] > MUTED_WINDOW_MS) lately.shift();
    if (now >= this.#toldMutedTill) {
      const spoken = lately.reduce((sum, [, ms]) => sum + ms, 0);
      if (spoken < MUTED_SPEECH_MS || now - this.#toldMutedAt < MUTED_TOLD_AGAIN_MS) return false;
      this.#toldMutedAt = now;
    } else if (!speaks) return true;
    this.#toldMutedTill = now + MUTED_WORDS_STAY_MS;
    return true;
  }
}
