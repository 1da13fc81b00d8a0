/** A call over WebRTC: one RTCPeerConnection to our server, and its data channel.
 *
 * Tells what happens as events of state.mjs by `on`; nothing here throws at its user, and after a trouble
 * that ends the call, or facts of its end, everything is closed already. The microphone's stream belongs to
 * whoever made it and is left alone.
 */

import { callFacts, placeIn, Refused, sendOffer, webrtcConfig } from "./api.mjs";
import { trouble } from "./troubles.mjs";

const GATHER_WITHIN_MS = 1000;
const CONNECT_WITHIN_MS = 4500;
const RECONNECT_WITHIN_MS = 7000;
const ASK_FACTS_EVERY_MS = 1000;
const QUIET_MS = 2500; // a live call's facts come once a second
const ASK_AGAIN_MS = 1000;
const GONE = [502, 503, 504]; // what a proxy answers for a server that it does not reach

/** The network and the browser's clock, so that tests can bring their own. */
const REAL = {
  api: { webrtcConfig, sendOffer, callFacts },
  makePeer: (config) => new RTCPeerConnection(config),
  makeStream: () => new MediaStream(),
  makeId: () => Math.random().toString(36).slice(2, 15),
  setTimeout: (run, ms) => setTimeout(run, ms),
  clearTimeout: (timer) => clearTimeout(timer),
};

export class WebRtcTransport {
  #settings;
  #microphone;
  #on;
  #real;
  #peer = null;
  #channel = null;
  #id;
  #stopped = new AbortController();
  #timers = new Set();
  #connected = false;
  #offered = false;
  #late = [];
  #before = null;
  #reconnecting = null;
  #known = null; // until it is asked
  #quiet = null;
  #place = "";

  /** @param {{settings: object, microphone: MediaStream, on: (event: object) => void}} parts */
  constructor({ settings, microphone, on }, real = {}) {
    this.#settings = settings;
    this.#microphone = microphone;
    this.#on = on;
    this.#real = { ...REAL, ...real };
    this.#id = this.#real.makeId();
    /** The assistant's sound; its tracks are there once `start` has resolved.  @type {MediaStream} */
    this.output = this.#real.makeStream();
  }

  /** By which the server knows this connection. */
  get webrtcId() {
    return this.#id;
  }

  get closed() {
    return this.#stopped.signal.aborted;
  }

  /** Where the server that has the call is reached, relative to the page. */
  get place() {
    return this.#place;
  }

  /** Resolves when the server has answered, or the call cannot be made (which `on` was told). */
  async start() {
    const { api } = this.#real;
    const signal = this.#stopped.signal;
    try {
      const config = await api.webrtcConfig(signal);
      if (this.closed) return;
      this.#place = placeIn(config);
      this.#open(config);
      await this.#peer.setLocalDescription(await this.#peer.createOffer());
      await this.#gathered();
      if (this.closed) return;
      const { type, sdp } = this.#peer.localDescription;
      const offer = { webrtc_id: this.#id, type, sdp, settings: this.#settings };
      this.#offered = true;
      const answer = await api.sendOffer(offer, signal, this.#place);
      if (this.closed) return;
      await this.#peer.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.closed) return;
    this.#late.forEach((candidate) => this.#sendCandidate(candidate));
    this.#later(CONNECT_WITHIN_MS, () => this.#connected || this.#give("no_udp"));
    this.#later(ASK_FACTS_EVERY_MS, () => this.#askFacts());
  }

  /** Ends the call; tells nothing, since whoever hangs up knows. */
  hangUp() {
    this.send({ type: "bye" });
    this.#close();
  }

  /** @param {object} message to the server; @returns {boolean} whether it went */
  send(message) {
    if (this.#channel?.readyState !== "open") return false;
    this.#channel.send(JSON.stringify(message));
    return true;
  }

  /** @param {MediaStream} stream another microphone, for the rest of the call */
  async replaceMicrophone(stream) {
    this.#microphone = stream;
    const sender = this.#peer
      ?.getSenders()
      .find((each) => each.track === null || each.track.kind === "audio");
    await sender?.replaceTrack(stream.getAudioTracks()[0]);
  }

  /** Since the last time it was asked. `lossPercent` counts both directions, whichever is worse.
   *  @returns {Promise<{rttMs: number|null, lossPercent: number, jitterMs: number}|null>} */
  async stats() {
    if (this.closed || !this.#peer) return null;
    const now = countsOf(await this.#peer.getStats());
    const before = this.#before;
    this.#before = now;
    return before && figuresOf(before, now);
  }

  #open(config) {
    const peer = (this.#peer = this.#real.makePeer(config ?? {}));
    for (const track of this.#microphone.getAudioTracks()) peer.addTrack(track, this.#microphone);
    peer.addEventListener("track", ({ track }) => this.output.addTrack(track));
    peer.addEventListener("connectionstatechange", () => this.#connection(peer.connectionState));
    peer.addEventListener("icecandidate", ({ candidate }) => this.#candidate(candidate));
    const channel = (this.#channel = peer.createDataChannel("text"));
    channel.addEventListener("message", ({ data }) => this.#message(data));
    channel.addEventListener("close", () => this.#over());
  }

  /** All candidates go with the offer where they are known soon, which is nearly always. */
  #gathered() {
    const peer = this.#peer;
    if (peer.iceGatheringState === "complete") return Promise.resolve();
    return new Promise((resolve) => {
      this.#later(GATHER_WITHIN_MS, resolve);
      this.#stopped.signal.addEventListener("abort", resolve, { once: true });
      peer.addEventListener("icegatheringstatechange", () => {
        if (peer.iceGatheringState === "complete") resolve();
      });
    });
  }

  #candidate(candidate) {
    if (!candidate?.candidate || !this.#offered || this.closed) return;
    if (this.#peer.remoteDescription) this.#sendCandidate(candidate);
    else this.#late.push(candidate);
  }

  #sendCandidate(candidate) {
    const body = { webrtc_id: this.#id, type: "ice-candidate", candidate: candidate.toJSON?.() ?? candidate };
    this.#real.api.sendOffer(body, this.#stopped.signal, this.#place).catch(() => {}); // the others may do
  }

  #connection(state) {
    if (this.closed) return;
    switch (state) {
      case "connected":
        this.#connected = true;
        this.#cancel(this.#reconnecting);
        this.#on({ type: "network", network: "good" });
        break;
      case "disconnected":
        this.#on({ type: "network", network: "reconnecting" });
        this.#askIfThere();
        this.#cancel(this.#reconnecting);
        this.#reconnecting = this.#later(RECONNECT_WITHIN_MS, () => this.#over());
        break;
      case "failed":
      case "closed": // by the server
        if (this.#connected) this.#over();
        else this.#give("no_udp");
    }
  }

  #message(data) {
    if (this.closed) return;
    let told;
    try {
      told = JSON.parse(data);
    } catch {
      return; // FastRTC's own messages concern its component
    }
    if (told?.type === "facts") this.#facts(told);
    else if (told?.type === "error" && told.sentence) {
      this.#on({ type: "trouble", trouble: trouble("not_taken", told.sentence) });
    }
  }

  #facts(facts) {
    const over = facts.phase === "ended";
    if (over) this.#close();
    else if (facts.phase === "live") this.#heardFrom();
    this.#on({ type: "facts", facts });
  }

  /** The server is there. */
  #heardFrom() {
    this.#cancel(this.#quiet?.timer);
    if (this.#quiet?.told) this.#on({ type: "network", network: "good" });
    this.#quiet = { asked: 0, told: false, timer: this.#later(QUIET_MS, () => this.#askIfThere()) };
    this.#learnIfKnown();
  }

  /** Whether the server tells us of our call by HTTP, too: not where the browser blocks its cookie. */
  async #learnIfKnown() {
    if (this.#known !== null) return;
    this.#known = false;
    this.#known = Boolean(await this.#askServer().catch(() => null));
  }

  #askServer() {
    return this.#real.api.callFacts(this.#id, this.#stopped.signal, this.#place);
  }

  /** The connection broke, or the server has told nothing for a while. Whether it has stopped is known if
   *  somebody else answers in its place: a proxy, or another server, which does not know the call. */
  async #askIfThere() {
    const quiet = this.#quiet;
    if (!quiet || quiet.asking) return;
    this.#cancel(quiet.timer);
    if (!quiet.told) this.#on({ type: "network", network: "reconnecting" });
    Object.assign(quiet, { told: true, asking: true, asked: quiet.asked + 1 });
    const told = await this.#askServer().catch((error) => error);
    quiet.asking = false;
    if (this.closed || quiet !== this.#quiet) return; // it told something meanwhile
    if (told?.phase) this.#facts(told);
    else if (this.#isGone(told) && (quiet.asked > 1 || this.#peer.connectionState !== "connected")) {
      this.#give("gone");
    } else if (quiet.asked * ASK_AGAIN_MS >= RECONNECT_WITHIN_MS) this.#over();
    else quiet.timer = this.#later(ASK_AGAIN_MS, () => this.#askIfThere());
  }

  #isGone(error) {
    return error instanceof Refused && (GONE.includes(error.status) || (error.status === 404 && this.#known));
  }

  /** While the channel is not open yet, by HTTP. A server that does not know the call yet is asked again. */
  async #askFacts() {
    if (this.closed || this.#channel.readyState === "open") return;
    const facts = await this.#askServer().catch(() => null);
    if (this.closed) return;
    if (facts) this.#facts(facts);
    if (!this.closed) this.#later(ASK_FACTS_EVERY_MS, () => this.#askFacts());
  }

  /** The connection is gone: by the server, which knows the reason, or by the network. */
  async #over() {
    if (this.closed) return;
    this.#close();
    const facts = await this.#real.api.callFacts(this.#id, undefined, this.#place).catch(() => null);
    if (facts?.phase === "ended") this.#on({ type: "facts", facts });
    else this.#on({ type: "trouble", trouble: trouble("lost") });
  }

  #fail(error) {
    if (this.closed) return;
    if (error instanceof Refused) this.#give("refused", error.sentence);
    else if (error?.name === "Unreachable") this.#give("unreachable");
    else {
      console.error(error);
      this.#give("failed");
    }
  }

  #give(kind, sentence) {
    if (this.closed) return;
    this.#close();
    this.#on({ type: "trouble", trouble: trouble(kind, sentence) });
  }

  #later(ms, run) {
    const timer = this.#real.setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, ms);
    this.#timers.add(timer);
    return timer;
  }

  #cancel(timer) {
    this.#timers.delete(timer);
    this.#real.clearTimeout(timer);
  }

  #close() {
    this.#timers.forEach((timer) => this.#real.clearTimeout(timer));
    this.#timers.clear();
    this.#stopped.abort();
    this.#peer?.close();
    this.output.getTracks().forEach((track) => track.stop());
  }
}

/** What the browser counted since the connection began. @param {Iterable} report RTCStatsReport */
export function countsOf(report) {
  const counts = { rttMs: null, lost: 0, received: 0, jitterMs: 0, lostAway: 0 };
  for (const stat of report.values()) {
    if (stat.type === "candidate-pair" && stat.nominated && stat.currentRoundTripTime !== undefined) {
      counts.rttMs = 1000 * stat.currentRoundTripTime;
    } else if (stat.type === "inbound-rtp" && stat.kind === "audio") {
      counts.lost += stat.packetsLost ?? 0;
      counts.received += stat.packetsReceived ?? 0;
      counts.jitterMs = 1000 * (stat.jitter ?? 0);
    } else if (stat.type === "remote-inbound-rtp" && stat.kind === "audio") {
      counts.lostAway = 100 * (stat.fractionLost ?? 0);
    }
  }
  return counts;
}

/** @param {object} before @param {object} now two results of `countsOf` */
export function figuresOf(before, now) {
  const lost = Math.max(0, now.lost - before.lost);
  const all = lost + Math.max(0, now.received - before.received);
  const loss = all ? (100 * lost) / all : 0;
  return { rttMs: now.rttMs, lossPercent: Math.max(loss, now.lostAway), jitterMs: now.jitterMs };
}
