/** How loud both sides are, in the browser: for the eye sixty times a second, and who is speaking.
 *
 * No round trip to the server, and no allocation in a frame: `read` and `spectrum` give the same object each
 * time.
 */

const WINDOW = 2048;
const SILENCE_DBFS = -120;
const QUIETEST_SHOWN_DBFS = -55;
const LOUDEST_SHOWN_DBFS = -12;

export const dbfs = (rms) => (rms > 1e-6 ? 20 * Math.log10(rms) : SILENCE_DBFS);

/** dBFS -> 0 (nothing to be seen) to 1. */
export function shown(level) {
  const part = (level - QUIETEST_SHOWN_DBFS) / (LOUDEST_SHOWN_DBFS - QUIETEST_SHOWN_DBFS);
  return Math.min(1, Math.max(0, part));
}

export function rms(samples) {
  let sum = 0;
  for (let index = 0; index < samples.length; index += 1) sum += samples[index] * samples[index];
  return Math.sqrt(sum / samples.length);
}

/** One analyser on one stream, which can be replaced. */
class Meter {
  #context;
  #analyser;
  #source = null;
  #stream = null;
  #samples = new Float32Array(WINDOW);

  constructor(context) {
    this.#context = context;
    this.#analyser = context.createAnalyser();
    this.#analyser.fftSize = WINDOW;
    this.#analyser.smoothingTimeConstant = 0.6;
  }

  get analyser() {
    return this.#analyser;
  }

  /** @param {MediaStream|null} stream */
  listen(stream) {
    if (stream === this.#stream && this.#source) return;
    this.#source?.disconnect();
    this.#source = null;
    this.#stream = stream;
    if (!stream?.getAudioTracks().length) return;
    this.#source = this.#context.createMediaStreamSource(stream);
    this.#source.connect(this.#analyser);
  }

  dbfs() {
    if (!this.#source) return SILENCE_DBFS;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    return dbfs(rms(this.#samples));
  }
}

/** What the views draw from. It exists all the time; outside of a call everything is 0. */
export class Levels {
  #caller = null;
  #assistant = null;
  #told = { caller: 0, assistant: 0 };
  #spectrum = { bins: new Uint8Array(WINDOW / 2), hzPerBin: 48000 / WINDOW };
  /** Whether nothing of the microphone is sent, so that it is not drawn either. */
  muted = false;

  /** @param {AudioContext} context the page's only one */
  attach(context) {
    if (this.#caller) return;
    this.#caller = new Meter(context);
    this.#assistant = new Meter(context);
    this.#spectrum.hzPerBin = context.sampleRate / WINDOW;
  }

  /** @param {MediaStream|null} stream */
  listenToCaller(stream) {
    this.#caller?.listen(stream);
  }

  /** @param {MediaStream|null} stream */
  listenToAssistant(stream) {
    this.#assistant?.listen(stream);
  }

  callerDbfs() {
    return this.#caller?.dbfs() ?? SILENCE_DBFS;
  }

  assistantDbfs() {
    return this.#assistant?.dbfs() ?? SILENCE_DBFS;
  }

  /** @returns {{caller: number, assistant: number}} 0 to 1, always the same object */
  read() {
    this.#told.caller = this.muted ? 0 : shown(this.callerDbfs());
    this.#told.assistant = shown(this.assistantDbfs());
    return this.#told;
  }

  /** Of the assistant. @returns {{bins: Uint8Array, hzPerBin: number}} always the same object */
  spectrum() {
    this.#assistant?.analyser.getByteFrequencyData(this.#spectrum.bins);
    return this.#spectrum;
  }
}
