/** The sound of a websocket call, both ways: Opus by the browser's WebCodecs in Ogg, or 16-bit PCM.
 *
 * Encoders take float samples of 24 kHz and give the content of messages; decoders take that content and give
 * float samples and their rate. Docs: PROTOCOLS.md.
 */

import { OggDemuxer, OggMuxer } from "./ogg.mjs";

export const WIRE_HZ = 24_000;
export const PACKET_SAMPLES = 480; // 20 ms
const BITS_PER_SEC = 32_000;
const FRESH_AFTER_US = 3_600_000_000; // decoders count time in microseconds of their stream

const ENCODED = {
  codec: "opus",
  sampleRate: WIRE_HZ,
  numberOfChannels: 1,
  bitrate: BITS_PER_SEC,
  opus: { frameDuration: 20_000, application: "voip" },
};
const DECODED = { codec: "opus", sampleRate: 48_000, numberOfChannels: 1 };

/** Whether this browser's WebCodecs know Opus, both ways. @returns {Promise<boolean>} */
export async function hasOpus(browser = globalThis) {
  try {
    const answers = await Promise.all([
      browser.AudioEncoder.isConfigSupported(ENCODED),
      browser.AudioDecoder.isConfigSupported(DECODED),
    ]);
    return answers.every(({ supported }) => supported);
  } catch {
    return false; // no WebCodecs, or none that know this
  }
}

/** @param {(packet: Uint8Array) => void} give @param {(error: Error) => void} fail */
export class OpusEncoder {
  mostBytesPerSec = BITS_PER_SEC / 8 + 50 * 30;
  #encoder;
  #muxer = null;
  #samples = 0;

  constructor(give, fail) {
    this.#encoder = new AudioEncoder({
      output: (chunk) => {
        const packet = new Uint8Array(chunk.byteLength);
        chunk.copyTo(packet);
        give(packet);
      },
      error: fail,
    });
    this.#encoder.configure(ENCODED);
  }

  /** @param {Float32Array} samples 20 ms */
  encode(samples) {
    const timestamp = Math.round((1e6 * this.#samples) / WIRE_HZ);
    this.#samples += samples.length;
    const sound = { format: "f32", sampleRate: WIRE_HZ, numberOfFrames: samples.length, numberOfChannels: 1 };
    const data = new AudioData({ ...sound, timestamp, data: samples });
    this.#encoder.encode(data);
    data.close();
  }

  /** The packet as it goes into a message: one page, the first time after the stream's head. */
  wrap(packet) {
    if (this.#muxer) return [this.#muxer.page([packet])];
    this.#muxer = new OggMuxer({ serial: Math.floor(Math.random() * 2 ** 32), inputHz: WIRE_HZ });
    return [this.#muxer.head(), this.#muxer.page([packet])];
  }

  close() {
    if (this.#encoder.state !== "closed") this.#encoder.close();
  }
}

/** @param {(samples: Float32Array, hz: number) => void} give @param {(error: Error) => void} fail */
export class OpusDecoder {
  #decoder = null;
  #demuxer = new OggDemuxer();
  #timeUs = 0;
  #give;
  #fail;

  constructor(give, fail) {
    this.#give = give;
    this.#fail = fail;
    this.#renew();
  }

  /** @param {Uint8Array} content a piece of the Ogg stream */
  decode(content) {
    if (this.#timeUs > FRESH_AFTER_US) this.#renew();
    for (const data of this.#demuxer.receive(content)) {
      this.#decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: this.#timeUs, data }));
      this.#timeUs += 20_000;
    }
  }

  #renew() {
    this.close();
    this.#timeUs = 0;
    this.#decoder = new AudioDecoder({ output: (data) => this.#hand(data), error: this.#fail });
    this.#decoder.configure(DECODED);
  }

  #hand(data) {
    const samples = new Float32Array(data.numberOfFrames);
    data.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
    this.#give(samples, data.sampleRate);
    data.close();
  }

  close() {
    if (this.#decoder && this.#decoder.state !== "closed") this.#decoder.close();
  }
}

export class PcmEncoder {
  mostBytesPerSec = 2 * WIRE_HZ;
  #give;

  constructor(give) {
    this.#give = give;
  }

  encode(samples) {
    const bytes = new DataView(new ArrayBuffer(2 * samples.length));
    samples.forEach((sample, index) => {
      bytes.setInt16(2 * index, Math.round(32_767 * Math.min(1, Math.max(-1, sample))), true);
    });
    this.#give(new Uint8Array(bytes.buffer));
  }

  wrap(packet) {
    return [packet];
  }

  close() {}
}

export class PcmDecoder {
  #give;

  constructor(give) {
    this.#give = give;
  }

  decode(content) {
    const bytes = new DataView(content.buffer, content.byteOffset, content.byteLength);
    const length = Math.floor(content.byteLength / 2);
    this.#give(Float32Array.from({ length }, (_, index) => bytes.getInt16(2 * index, true) / 32_768), WIRE_HZ);
  }

  close() {}
}
