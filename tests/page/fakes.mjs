/** Stand-ins for what a browser has and Node.js has not. */

export class FakeTrack extends EventTarget {
  kind = "audio";
  enabled = true;
  readyState = "live";
  constructor(deviceId = "built-in") {
    super();
    this.deviceId = deviceId;
  }
  getSettings() {
    return { deviceId: this.deviceId };
  }
  stop() {
    this.readyState = "ended";
  }
  clone() {
    return new FakeTrack(this.deviceId);
  }
  /** As when the device is pulled out. */
  unplug() {
    this.readyState = "ended";
    this.dispatchEvent(new Event("ended"));
  }
}

export class FakeStream {
  #tracks;
  constructor(tracks = []) {
    this.#tracks = [...tracks];
  }
  addTrack(track) {
    this.#tracks.push(track);
  }
  getTracks() {
    return [...this.#tracks];
  }
  getAudioTracks() {
    return this.getTracks();
  }
  clone() {
    return new FakeStream(this.#tracks.map((track) => track.clone()));
  }
}

/** Timers that run when the test says so. */
export class FakeTimers {
  #now = 0;
  #next = 0;
  #timers = new Map();
  setTimeout = (run, ms) => {
    this.#next += 1;
    this.#timers.set(this.#next, { run, at: this.#now + ms });
    return this.#next;
  };
  clearTimeout = (timer) => this.#timers.delete(timer);
  get waiting() {
    return this.#timers.size;
  }
  async pass(ms) {
    const end = this.#now + ms;
    for (;;) {
      await settled();
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) break;
      this.#timers.delete(due[0]);
      this.#now = due[1].at;
      due[1].run();
    }
    this.#now = end;
  }
}

/** Everything that waits for promises has gone on. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

const named = (type, fields) => Object.assign(new Event(type), fields);

export class FakeChannel extends EventTarget {
  readyState = "connecting";
  sent = [];
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  open() {
    this.readyState = "open";
    this.dispatchEvent(new Event("open"));
  }
  tell(told) {
    this.dispatchEvent(named("message", { data: typeof told === "string" ? told : JSON.stringify(told) }));
  }
}

export class FakePeer extends EventTarget {
  connectionState = "new";
  iceGatheringState = "complete";
  localDescription = null;
  remoteDescription = null;
  senders = [];
  report = new Map();
  constructor(config) {
    super();
    this.config = config;
  }
  addTrack(track) {
    this.senders.push({ track, replaceTrack: async (other) => (this.senders[0].track = other) });
  }
  getSenders() {
    return this.senders;
  }
  createDataChannel(label) {
    this.channel = new FakeChannel();
    this.channel.label = label;
    return this.channel;
  }
  async createOffer() {
    return { type: "offer", sdp: "our sdp" };
  }
  async setLocalDescription(description) {
    this.localDescription = description;
  }
  async setRemoteDescription(description) {
    this.remoteDescription = description;
    this.dispatchEvent(named("track", { track: new FakeTrack("assistant") }));
  }
  async getStats() {
    return this.report;
  }
  find(candidate) {
    this.dispatchEvent(named("icecandidate", { candidate: { candidate, sdpMid: "0" } }));
  }
  become(connectionState) {
    this.connectionState = connectionState;
    this.dispatchEvent(new Event("connectionstatechange"));
  }
  close() {
    this.connectionState = "closed"; // without an event, as in a browser
  }
}
