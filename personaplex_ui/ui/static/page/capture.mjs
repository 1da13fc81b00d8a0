/** Takes sound out of the audio thread: mono, at the context's rate, in pieces of about 10 ms.
 *
 * Any message ends it. An AudioWorklet module without imports, since not every browser has them there.
 */

const PIECE_SAMPLES = 512;

class Capture extends AudioWorkletProcessor {
  #piece = new Float32Array(PIECE_SAMPLES);
  #filled = 0;
  #over = false;

  constructor() {
    super();
    this.port.onmessage = () => (this.#over = true);
  }

  process([channels]) {
    const length = channels[0]?.length ?? 128; // silence while nothing is connected
    for (let index = 0; index < length; index += 1) {
      let sum = 0;
      for (const channel of channels) sum += channel[index];
      this.#piece[this.#filled++] = channels.length ? sum / channels.length : 0;
      if (this.#filled === PIECE_SAMPLES) this.#hand();
    }
    return !this.#over;
  }

  #hand() {
    this.port.postMessage(this.#piece, [this.#piece.buffer]);
    this.#piece = new Float32Array(PIECE_SAMPLES);
    this.#filled = 0;
  }
}

registerProcessor("capture", Capture);
