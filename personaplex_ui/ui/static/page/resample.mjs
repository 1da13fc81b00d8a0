/** Changes the rate of sound that comes in pieces. Pure: samples in, samples out; one object for each stream. */

const ZERO_CROSSINGS = 12; // each side: -70 dB beside the band, 0.5 ms at 24 kHz

export class Resampler {
  #up;
  #down;
  #phases;
  #taps;
  #held; // what the filter still needs of earlier pieces
  #at = 0; // the next output, in 1/up of an input sample after the first one held

  /** @param {number} fromHz @param {number} toHz whole numbers */
  constructor(fromHz, toHz) {
    const shared = greatestCommonDivisor(fromHz, toHz);
    this.#up = toHz / shared;
    this.#down = fromHz / shared;
    const width = Math.max(1, fromHz / toHz); // a lower rate needs a narrower band, so a longer filter
    const half = Math.ceil(ZERO_CROSSINGS * width);
    this.#taps = 2 * half;
    this.#phases = Array.from({ length: this.#up }, (_, phase) => filter(half, width, phase / this.#up));
    this.#held = new Float32Array(half - 1); // so that the output is not earlier than its input
  }

  /** @param {Float32Array} samples @returns {Float32Array} as many as are known by now */
  process(samples) {
    if (this.#up === this.#down) return samples;
    const input = new Float32Array(this.#held.length + samples.length);
    input.set(this.#held);
    input.set(samples, this.#held.length);
    const output = [];
    let first = Math.floor(this.#at / this.#up);
    while (first + this.#taps <= input.length) {
      const taps = this.#phases[this.#at % this.#up];
      let sum = 0;
      for (let tap = 0; tap < taps.length; tap += 1) sum += taps[tap] * input[first + tap];
      output.push(sum);
      this.#at += this.#down;
      first = Math.floor(this.#at / this.#up);
    }
    const used = Math.min(first, input.length);
    this.#at -= used * this.#up;
    this.#held = input.slice(used);
    return Float32Array.from(output);
  }
}

/** A sinc under a Blackman window, its middle `fraction` of a sample after tap `half - 1`; its sum is 1. */
function filter(half, width, fraction) {
  const taps = Float64Array.from({ length: 2 * half }, (_, tap) => {
    const x = tap - (half - 1) - fraction;
    const edge = x / half;
    if (Math.abs(edge) >= 1) return 0;
    const window = 0.42 + 0.5 * Math.cos(Math.PI * edge) + 0.08 * Math.cos(2 * Math.PI * edge);
    const angle = (Math.PI * x * 0.92) / width; // a little below the limit, where the filter is not steep yet
    return window * (angle === 0 ? 1 : Math.sin(angle) / angle);
  });
  const sum = taps.reduce((total, tap) => total + tap, 0);
  return taps.map((tap) => tap / sum);
}

function greatestCommonDivisor(a, b) {
  return b ? greatestCommonDivisor(b, a % b) : a;
}
