/** Plays sound that comes in pieces, in the audio thread: late pieces are waited for, and lag does not stay.
 *
 * An AudioWorklet module without imports, since not every browser has them there. The buffer itself is pure and
 * counts time in the samples it was asked for.
 */

const CHUNK_SEC = 0.01;
const FADE_SEC = 0.005;
const LEAST_SEC = 0.06;
const MOST_SEC = 0.2;
const CALMER_BY_SEC = 0.01;
const CALM_SEC = 10;
const LOOK_BACK_SEC = 1; // twice this is looked at
const TOO_MUCH_SEC = 0.02;
const TOO_LITTLE_SEC = 0.04;
const PATIENCE_SEC = 3; // for a quiet moment; then it is cut in speech
const BACKLOG_SEC = 0.5; // more than this above the target is the end of a stall: cut at once
const QUIET_RMS = 0.003; // -50 dBFS

/** The reserve is what still lies here when the next piece arrives. It is kept near a target, which grows with the
 *  network's gaps from 60 to 200 ms and shrinks again: quiet chunks are dropped or repeated to get there. */
export class JitterBuffer {
  #hz;
  #pieces = [];
  #held = 0;
  #chunk = new Float32Array(0);
  #at = 0;
  #playing = false;
  #wait = 0; // samples until it plays
  #empty = false; // ran dry, and nothing has come since
  #late = 0; // for how long
  #target;
  #reserve = [Infinity, Infinity]; // the least of the last stretch of time, and of the present one
  #looked = 0;
  #surplus = 0; // to be dropped; negative: to be repeated
  #impatient = 0;
  #calm = 0;
  #fadeIn = 0;
  counts = { gaps: 0, dropped: 0, repeated: 0, played: 0 };

  /** @param {number} hz of all samples */
  constructor(hz) {
    this.#hz = hz;
    this.#target = LEAST_SEC * hz;
  }

  get heldSec() {
    return (this.#held + this.#chunk.length - this.#at) / this.#hz;
  }

  get targetSec() {
    return this.#target / this.#hz;
  }

  /** @param {Float32Array} samples the next piece */
  push(samples) {
    if (this.#playing) this.#reserve[1] = Math.min(this.#reserve[1], this.#left);
    else if (!this.#held) this.#begin();
    this.#pieces.push(samples);
    this.#held += samples.length;
    const most = this.#target + samples.length + BACKLOG_SEC * this.#hz;
    if (this.#left > most) this.#cut(this.#left - this.#target - samples.length);
  }

  /** @param {Float32Array} out is filled: with sound as long as there is any */
  pull(out) {
    out.fill(0);
    if (!this.#playing) {
      if (this.#empty) this.#late += out.length;
      if (!this.#held) return;
      this.#wait -= out.length;
      if (this.#wait > 0) return;
      this.#playing = true;
      this.#fadeIn = Math.round(FADE_SEC * this.#hz);
    }
    let filled = 0;
    while (filled < out.length) {
      if (this.#at === this.#chunk.length && !this.#nextChunk()) break;
      const part = this.#chunk.subarray(this.#at, this.#at + out.length - filled);
      out.set(part, filled);
      this.#at += part.length;
      filled += part.length;
    }
    this.counts.played += filled;
    this.#shape(out, filled);
    if (filled < out.length) this.#runDry();
    else this.#look(out.length);
  }

  get #left() {
    return this.#held + this.#chunk.length - this.#at;
  }

  /** The first piece, or the first after a gap, which shows how much reserve would have been needed. */
  #begin() {
    if (this.#empty) this.#target = Math.min(MOST_SEC * this.#hz, this.#target + this.#late + CHUNK_SEC * this.#hz);
    this.#empty = false;
    this.#wait = this.#target;
    this.#forget();
  }

  #runDry() {
    this.#playing = false;
    this.#empty = true;
    this.#late = 0;
    this.#calm = 0;
    this.counts.gaps += 1;
  }

  #forget() {
    this.#reserve = [Infinity, Infinity];
    this.#looked = this.#surplus = this.#impatient = 0;
  }

  /** Sound ends and begins without a click. */
  #shape(out, filled) {
    const fade = Math.round(FADE_SEC * this.#hz);
    for (let index = 0; index < filled && this.#fadeIn > 0; index += 1, this.#fadeIn -= 1) {
      out[index] *= 1 - this.#fadeIn / fade;
    }
    if (filled === out.length && this.#left >= fade) return;
    // It may end here: the nearer the end, the softer. More that comes in time brings it back.
    const left = filled === out.length ? this.#left : 0;
    for (let index = 0; index < filled; index += 1) out[index] *= Math.min(1, (left + filled - index) / fade);
    if (left) this.#fadeIn = Math.max(this.#fadeIn, fade - left);
  }

  /** Every 10 ms: what is played next, and whether it is dropped or repeated. */
  #nextChunk() {
    const length = Math.round(CHUNK_SEC * this.#hz);
    const repeat = this.#surplus <= -length && this.#chunk.length === length && isQuiet(this.#chunk);
    if (repeat && this.#held) {
      this.#adjust(length);
      this.#at = 0;
      this.counts.repeated += length;
      return true;
    }
    let chunk = this.#take(length);
    while (this.#surplus >= length && this.#held >= length && isQuiet(chunk)) {
      this.#adjust(-length);
      this.counts.dropped += length;
      chunk = this.#take(length);
    }
    this.#chunk = chunk;
    this.#at = 0;
    return chunk.length > 0;
  }

  /** What was seen of the reserve counts as if it had been so all the time, so that nothing is mended twice. */
  #adjust(samples) {
    this.#surplus += samples;
    this.#reserve = this.#reserve.map((least) => least + samples);
  }

  #take(length) {
    const chunk = new Float32Array(Math.min(length, this.#held));
    for (let filled = 0; filled < chunk.length; ) {
      const piece = this.#pieces[0];
      const part = piece.subarray(0, chunk.length - filled);
      chunk.set(part, filled);
      filled += part.length;
      if (part.length === piece.length) this.#pieces.shift();
      else this.#pieces[0] = piece.subarray(part.length);
    }
    this.#held -= chunk.length;
    return chunk;
  }

  /** Drops the oldest samples at once; what was about to be played fades into what is played instead. */
  #cut(samples) {
    const fade = Math.round(FADE_SEC * this.#hz);
    const before = this.#take(Math.min(Math.round(samples), this.#held - fade));
    if (before.length <= fade) return;
    const after = this.#take(fade);
    for (let index = 0; index < fade; index += 1) {
      after[index] = before[index] * (1 - index / fade) + after[index] * (index / fade);
    }
    this.#pieces.unshift(after);
    this.#held += fade;
    this.counts.dropped += before.length;
    this.#forget();
  }

  /** After each stretch of time: is the reserve what it should be? */
  #look(samples) {
    this.#looked += samples;
    this.#calm += samples;
    this.#impatient = this.#surplus > 0 ? this.#impatient + samples : 0;
    if (this.#impatient >= PATIENCE_SEC * this.#hz) this.#cut(this.#surplus);
    if (this.#calm >= CALM_SEC * this.#hz) {
      this.#calm = 0;
      this.#target = Math.max(LEAST_SEC * this.#hz, this.#target - CALMER_BY_SEC * this.#hz);
    }
    if (this.#looked < LOOK_BACK_SEC * this.#hz) return;
    const least = Math.min(...this.#reserve);
    this.#looked = 0;
    this.#reserve = [this.#reserve[1], Infinity];
    if (least === Infinity) return;
    const excess = least - this.#target;
    const wrong = excess > TOO_MUCH_SEC * this.#hz || excess < -TOO_LITTLE_SEC * this.#hz;
    this.#surplus = wrong ? excess : 0;
  }
}

function isQuiet(chunk) {
  let sum = 0;
  for (let index = 0; index < chunk.length; index += 1) sum += chunk[index] * chunk[index];
  return Math.sqrt(sum / chunk.length) < QUIET_RMS;
}

const TELL_EVERY_SEC = 0.5;

if (globalThis.registerProcessor) {
  /** Messages in: Float32Array at the context's rate; null ends it. Messages out: how the buffer fares, twice a
   *  second. */
  class Player extends AudioWorkletProcessor {
    #buffer = new JitterBuffer(sampleRate);
    #told = 0;
    #over = false;

    constructor() {
      super();
      this.port.onmessage = ({ data }) => (data ? this.#buffer.push(data) : (this.#over = true));
    }

    process(_, [[first, ...others]]) {
      this.#buffer.pull(first);
      for (const channel of others) channel.set(first);
      this.#told += first.length;
      if (this.#told >= TELL_EVERY_SEC * sampleRate) {
        this.#told = 0;
        const { heldSec, targetSec, counts } = this.#buffer;
        this.port.postMessage({ heldSec, targetSec, ...counts });
      }
      return !this.#over;
    }
  }
  registerProcessor("player", Player);
}
