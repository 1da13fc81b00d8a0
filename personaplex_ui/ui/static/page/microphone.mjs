/** The microphone of a call, and the list of devices.
 *
 * Opens one stream at a time and closes what it opened. Each stream is doubled: one half is sent and can be
 * muted, the other (`watched`) stays on in this browser, to notice that somebody speaks while muted.
 */

import { kindOfMicrophoneError } from "./troubles.mjs";

export const CONSTRAINTS = {
  echoCancellation: true,
  noiseSuppression: true,
  autoGainControl: true,
  channelCount: 1,
  sampleRate: { ideal: 24000 },
};

/** Why no call can be made here at all: a kind of trouble, or null.
 *  @param {string} via @param {object} browser */
export function obstacle(via, browser = globalThis) {
  if (!browser.navigator?.mediaDevices?.getUserMedia) return "insecure";
  return via === "webrtc" && !browser.RTCPeerConnection ? "no_webrtc" : null;
}

export class Microphone {
  #devices;
  #on;
  #stream = null;
  #watched = null;
  #opening = 0;

  /** @param {MediaDevices} devices @param {{unplugged: () => void, devices: (lists: object) => void}} on */
  constructor(devices, on) {
    this.#devices = devices;
    this.#on = on;
    devices?.addEventListener?.("devicechange", () => this.refresh());
  }

  /** What is sent. @returns {MediaStream|null} */
  get stream() {
    return this.#stream;
  }

  /** The same sound, never muted; for this browser alone. @returns {MediaStream|null} */
  get watched() {
    return this.#watched;
  }

  get unplugged() {
    return this.#stream?.getAudioTracks()[0]?.readyState === "ended";
  }

  /** Opens a device ("": the system's choice) instead of the one that is open, which is closed once it is
   *  there. @param {string} inputId @returns {Promise<string|null>} the kind of trouble; null when it is open, or
   *  nobody wants it any more (`stream` is null then) */
  async open(inputId = "") {
    const turn = (this.#opening += 1);
    let stream;
    try {
      stream = await this.#ask(inputId);
    } catch (error) {
      return turn === this.#opening ? kindOfMicrophoneError(error) : null;
    }
    if (turn !== this.#opening) {
      stop(stream); // hung up, or another device was chosen meanwhile
      return null;
    }
    const enabled = this.#stream?.getAudioTracks()[0]?.enabled ?? true;
    this.#release();
    this.#stream = stream;
    this.#watched = stream.clone();
    this.enable(enabled);
    const [track] = stream.getAudioTracks();
    track.addEventListener("ended", () => stream === this.#stream && this.#on.unplugged());
    await this.refresh();
    return null;
  }

  /** The chosen one may be gone since it was chosen; then the system's will do. */
  async #ask(inputId) {
    if (!inputId) return this.#devices.getUserMedia({ audio: CONSTRAINTS });
    try {
      return await this.#devices.getUserMedia({ audio: { ...CONSTRAINTS, deviceId: { exact: inputId } } });
    } catch (error) {
      if (!["OverconstrainedError", "NotFoundError"].includes(error?.name)) throw error;
      return this.#devices.getUserMedia({ audio: CONSTRAINTS });
    }
  }

  /** @param {boolean} on whether what is said is sent */
  enable(on) {
    this.#stream?.getAudioTracks().forEach((track) => (track.enabled = on));
  }

  /** Closes what is open, and whatever is still being opened as soon as it is. */
  close() {
    this.#opening += 1;
    this.#release();
  }

  #release() {
    const [stream, watched] = [this.#stream, this.#watched];
    this.#stream = this.#watched = null;
    stop(stream);
    stop(watched);
  }

  /** Lists the devices anew. Their names are known only once the microphone has been allowed. */
  async refresh() {
    const all = (await this.#devices?.enumerateDevices?.().catch(() => [])) ?? [];
    const used = this.#stream?.getAudioTracks()[0]?.getSettings?.().deviceId;
    this.#on.devices({
      inputs: listed(all, "audioinput", "Microphone"),
      outputs: listed(all, "audiooutput", "Speaker"),
      ...(used ? { inputId: used } : {}),
    });
  }
}

function listed(all, kind, name) {
  return all
    .filter((each) => each.kind === kind && each.deviceId)
    .map((each, index) => ({ id: each.deviceId, label: each.label || `${name} ${index + 1}` }));
}

function stop(stream) {
  stream?.getTracks().forEach((track) => track.stop());
}
