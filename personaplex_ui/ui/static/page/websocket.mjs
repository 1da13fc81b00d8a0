/** A call over the server's websocket, for networks that block UDP. The same events and the same use as webrtc.mjs.
 *
 * The microphone's sound leaves the audio thread (capture.mjs), becomes 24 kHz, is encoded (codecs.mjs) and sent;
 * the assistant's is decoded and played in the audio thread (playback.mjs). Nothing here throws at its user, and
 * after a trouble that ends the call, or facts of its end, everything is closed already.
 */

import { placeIn, webrtcConfig } from "./api.mjs";
import { hasOpus, OpusDecoder, OpusEncoder, PACKET_SAMPLES, PcmDecoder, PcmEncoder, WIRE_HZ } from "./codecs.mjs";
import { audio, chatUrl, parse, told, troubleOf } from "./moshi.mjs";
import { Resampler } from "./resample.mjs";
import { SendQueue } from "./send_queue.mjs";
import { trouble } from "./troubles.mjs";

const OPEN_WITHIN_MS = 8000;
const SILENT_FOR_MS = 10_000; // the server sends something every 2 s, and sound all the time
const PING_EVERY_MESSAGES = 6; // half a second of sound; timers are slow in a tab that is not seen
const WAITING_SEC = 0.5; // in the network's queue, and as much again in ours
const MESSAGE_MS = 80;

export class WebSocketTransport {
  #settings;
  #several;
  #place = "";
  #microphone;
  #context;
  #on;
  #socket = null;
  #closed = false;
  #opened = false;
  #live = false;
  #sentence = "";
  #timers = new Set();
  #watchdog = null;
  #source = null;
  #capture = null;
  #player = null;
  #destination;
  #encoder = null;
  #decoder = null;
  #toWire;
  #fromWire = null;
  #packet = new Float32Array(PACKET_SAMPLES);
  #filled = 0;
  #queue = null;
  #heard = 0;
  #lastAt = null;
  #rttMs = null;
  #jitterMs = 0;
  #buffer = { gaps: 0, played: 0, heldSec: 0 };
  #before = { gaps: 0, dropped: 0 };

  /** `several`: whether one of several servers will have the call.
   *  @param {{settings: object, several: boolean, microphone: MediaStream, audioContext: AudioContext,
   *  on: (event: object) => void}} parts */
  constructor({ settings, several = false, microphone, audioContext, on }) {
    this.#settings = settings;
    this.#several = several;
    this.#microphone = microphone;
    this.#context = audioContext;
    this.#on = on;
    this.#destination = new MediaStreamAudioDestinationNode(audioContext, { channelCount: 1 });
    this.#toWire = new Resampler(audioContext.sampleRate, WIRE_HZ);
  }

  /** The assistant's sound. @returns {MediaStream} */
  get output() {
    return this.#destination.stream;
  }

  get closed() {
    return this.#closed;
  }

  /** Resolves when the connection is being made, or the call cannot be made (which `on` was told). */
  async start() {
    try {
      this.#context.resume(); // not awaited: it may need a click that came already
      const [opus] = await Promise.all([hasOpus(), this.#openSound(), this.#findPlace()]);
      if (this.#closed) return;
      this.#openCodecs(opus);
      this.#openSocket(opus ? "opus" : "pcm16");
    } catch (error) {
      console.error(error);
      this.#give("failed");
    }
  }

  /** Where the server that has the call is reached, relative to the page. */
  get place() {
    return this.#place;
  }

  /** As for WebRTC, where the answer also says it. Without one, any server takes the call. */
  async #findPlace() {
    if (this.#several) this.#place = placeIn(await webrtcConfig().catch(() => null));
  }

  /** Ends the call; tells nothing, since whoever hangs up knows. */
  hangUp() {
    this.send({ type: "bye" });
    this.#close();
  }

  /** @param {object} message to the server; @returns {boolean} whether it went */
  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(told(message));
    return true;
  }

  /** @param {MediaStream} stream another microphone, for the rest of the call */
  async replaceMicrophone(stream) {
    this.#microphone = stream;
    if (this.#capture && !this.#closed) this.#listen();
  }

  /** Since the last time it was asked. Nothing is lost on this way, but what came too late was not heard.
   *  @returns {Promise<{rttMs: number|null, lossPercent: number, jitterMs: number}|null>} */
  async stats() {
    if (this.#closed || !this.#live) return null;
    const dropped = this.#queue.dropped;
    const lost = dropped - this.#before.dropped + (this.#buffer.gaps - this.#before.gaps);
    this.#before = { gaps: this.#buffer.gaps, dropped };
    return { rttMs: this.#rttMs, lossPercent: Math.min(100, 4 * lost), jitterMs: this.#jitterMs };
  }

  /** How the player fares: the buffer's counts, in samples and seconds. */
  get playback() {
    return { ...this.#buffer, notSent: this.#queue?.dropped ?? 0 };
  }

  async #openSound() {
    const module = (name) => this.#context.audioWorklet.addModule(new URL(name, import.meta.url));
    await Promise.all([module("./capture.mjs"), module("./playback.mjs")]);
    if (this.#closed) return;
    const mono = { outputChannelCount: [1], channelCount: 1, channelCountMode: "explicit" };
    this.#player = new AudioWorkletNode(this.#context, "player", mono);
    this.#player.port.onmessage = ({ data }) => (this.#buffer = data);
    this.#player.connect(this.#destination);
    this.#capture = new AudioWorkletNode(this.#context, "capture", mono);
    this.#capture.port.onmessage = ({ data }) => this.#speak(data);
    this.#capture.connect(this.#destination); // it is silent; what leads nowhere is not run by every browser
    this.#listen();
  }

  #listen() {
    this.#source?.disconnect();
    this.#source = this.#context.createMediaStreamSource(this.#microphone);
    this.#source.connect(this.#capture);
  }

  #openCodecs(opus) {
    const [Encoder, Decoder] = opus ? [OpusEncoder, OpusDecoder] : [PcmEncoder, PcmDecoder];
    const fail = (error) => {
      console.error(error);
      this.#give("failed");
    };
    this.#encoder = new Encoder((packet) => this.#queue.put(packet), fail);
    this.#decoder = new Decoder((samples, hz) => this.#play(samples, hz), fail);
    this.#queue = new SendQueue({
      send: (packet) => this.#sendSound(packet),
      buffered: () => this.#socket.bufferedAmount,
      mostBytes: WAITING_SEC * this.#encoder.mostBytesPerSec,
      mostWaiting: (WAITING_SEC * WIRE_HZ) / PACKET_SAMPLES,
    });
  }

  #openSocket(format) {
    const socket = (this.#socket = new WebSocket(chatUrl(new URL(this.#place, document.baseURI), this.#settings, format)));
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => {
      this.#opened = true;
      this.#watch();
    });
    socket.addEventListener("message", ({ data }) => this.#message(data));
    socket.addEventListener("close", ({ code, reason }) => this.#over(code, reason));
    this.#later(OPEN_WITHIN_MS, () => this.#opened || this.#give("unreachable"));
  }

  /** A connection that breaks without a word is noticed, since something comes all the time. */
  #watch() {
    clearTimeout(this.#watchdog);
    this.#timers.delete(this.#watchdog);
    this.#watchdog = this.#later(SILENT_FOR_MS, () => this.#give("lost"));
  }

  #message(data) {
    if (this.#closed) return;
    this.#watch();
    const { kind, content } = parse(data);
    switch (kind) {
      case "live":
        this.#live = true;
        this.#on({ type: "network", network: "good" });
        break;
      case "audio":
        this.#heardMore();
        this.#decoder.decode(content);
        break;
      case "told":
        this.#told(content);
        break;
      case "error":
        this.#sentence = content;
    }
  }

  #told(message) {
    switch (message.type) {
      case "facts":
        if (message.phase === "ended") this.#close();
        this.#on({ type: "facts", facts: message });
        break;
      case "pong":
        this.#rttMs = performance.now() - message.at;
        break;
      case "error":
        this.#on({ type: "trouble", trouble: trouble("not_taken", message.sentence) });
    }
  }

  /** Tells how much of the assistant's sound has come: the server does not send far ahead of it. */
  #heardMore() {
    const now = performance.now();
    this.#heard += 1;
    const late = this.#lastAt === null ? 0 : Math.abs(now - this.#lastAt - MESSAGE_MS);
    this.#jitterMs += (late - this.#jitterMs) / 16; // as RFC 3550 smoothes it
    this.#lastAt = now;
    if (this.#heard % PING_EVERY_MESSAGES === 0) this.send({ type: "ping", at: now, heard: this.#heard });
  }

  /** @param {Float32Array} samples of the microphone, at the context's rate */
  #speak(samples) {
    if (!this.#live || this.#closed) return;
    let sound = this.#toWire.process(samples);
    while (sound.length) {
      const part = sound.subarray(0, PACKET_SAMPLES - this.#filled);
      this.#packet.set(part, this.#filled);
      this.#filled += part.length;
      sound = sound.subarray(part.length);
      if (this.#filled < PACKET_SAMPLES) return;
      this.#filled = 0;
      this.#encoder.encode(this.#packet);
    }
  }

  #sendSound(packet) {
    if (!this.#closed) this.#socket.send(audio(this.#encoder.wrap(packet)));
  }

  #play(samples, hz) {
    if (this.#closed) return;
    if (this.#fromWire?.hz !== hz) this.#fromWire = { hz, resampler: new Resampler(hz, this.#context.sampleRate) };
    const sound = this.#fromWire.resampler.process(samples);
    if (sound.length) this.#player.port.postMessage(sound, [sound.buffer]);
  }

  /** The connection is closed: with a reason by the server, or broken. */
  #over(code, reason) {
    if (this.#closed) return;
    const sentence = this.#sentence || reason;
    const kind = this.#opened ? troubleOf(code) : "unreachable";
    if (kind) return this.#give(kind, sentence);
    this.#close();
    this.#on({ type: "ended", reason: sentence, end: "hung_up" });
  }

  #give(kind, sentence) {
    if (this.#closed) return;
    this.#close();
    this.#on({ type: "trouble", trouble: trouble(kind, sentence) });
  }

  #later(ms, run) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, ms);
    this.#timers.add(timer);
    return timer;
  }

  #close() {
    this.#closed = true;
    this.#timers.forEach((timer) => clearTimeout(timer));
    this.#timers.clear();
    for (const node of [this.#source, this.#capture, this.#player]) node?.disconnect();
    for (const node of [this.#capture, this.#player]) node?.port.postMessage(null); // else they run forever
    this.#encoder?.close();
    this.#decoder?.close();
    this.#socket?.close(1000);
    this.output.getTracks().forEach((track) => track.stop());
  }
}
