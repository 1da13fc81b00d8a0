/** Makes calls: opens the microphone, chooses the transport, plays the assistant, and closes all of it when
 * the state says that the call is over. One AudioContext and one player for all calls of the page.
 */

import { callRecord, keepPlace } from "./api.mjs";
import { Microphone, obstacle } from "./microphone.mjs";
import { callSettings, isMuted, trouble } from "./state.mjs";
import { Watch } from "./watch.mjs";
import { WebRtcTransport } from "./webrtc.mjs";

const SLOW_PERMISSION_MS = 1500;
const RECORD_AFTER_MS = [300, 700, 1000, 2000, 4000, 8000];

export class Calls {
  #store;
  #levels;
  #microphone;
  #player = new Audio();
  #context = null;
  #transport = null;
  #watch = null;
  #turn = 0;

  /** @param {{dispatch: Function, getState: Function, levels: import("./levels.mjs").Levels}} parts */
  constructor({ dispatch, getState, levels }) {
    this.#store = { dispatch, getState };
    this.#levels = levels;
    this.#player.autoplay = true;
    this.#microphone = new Microphone(navigator.mediaDevices, {
      unplugged: () => dispatch({ type: "hearing", hearing: "unplugged" }),
      devices: (lists) => this.#devices(lists),
    });
  }

  /** The page's AudioContext; made in the first click, since browsers want one. @returns {AudioContext} */
  get context() {
    this.#context ??= new AudioContext({ latencyHint: "interactive" });
    return this.#context;
  }

  /** @param {"webrtc"|"websocket"} via */
  async start(via) {
    const { dispatch, getState } = this.#store;
    if (getState().call) return;
    const turn = (this.#turn += 1);
    dispatch({ type: "start", via, at: Date.now() });
    const blocked = obstacle(via);
    if (blocked) return dispatch({ type: "trouble", trouble: trouble(blocked) });
    try {
      this.context.resume();
      if (!(await this.#openMicrophone(turn))) return;
      dispatch({ type: "step", step: "connecting" });
      await this.#connect(via, turn);
    } catch (error) {
      console.error(error);
      if (turn === this.#turn) dispatch({ type: "trouble", trouble: trouble("failed") });
    }
  }

  /** @returns {Promise<boolean>} whether the call goes on */
  async #openMicrophone(turn) {
    const { dispatch, getState } = this.#store;
    const slow = setTimeout(() => {
      if (turn === this.#turn) dispatch({ type: "trouble", trouble: trouble("permission") });
    }, SLOW_PERMISSION_MS);
    const failed = await this.#microphone.open(getState().devices.inputId);
    clearTimeout(slow);
    if (turn !== this.#turn) return false;
    if (failed) dispatch({ type: "trouble", trouble: trouble(failed) });
    return !failed;
  }

  async #connect(via, turn) {
    const { dispatch, getState } = this.#store;
    const Transport =
      via === "webrtc" ? WebRtcTransport : (await import("./websocket.mjs")).WebSocketTransport;
    if (turn !== this.#turn) return;
    this.#levels.attach(this.context);
    this.#levels.listenToCaller(this.#microphone.watched);
    this.applyMute();
    const transport = (this.#transport = new Transport({
      settings: callSettings(getState()),
      several: getState().config.several ?? false,
      microphone: this.#microphone.stream,
      audioContext: this.context,
      on: (event) => turn === this.#turn && this.#heard(event),
    }));
    this.#watch = new Watch({ dispatch, getState, levels: this.#levels, stats: () => transport.stats() });
    await transport.start();
    if (turn !== this.#turn) return;
    this.#levels.listenToAssistant(transport.output);
    this.#player.srcObject = transport.output;
    this.#player.play().catch(() => {}); // autoplay plays it later, or the next click does
    await this.chooseOutput(getState().devices.outputId);
  }

  #heard(event) {
    if (event.type === "facts" && event.facts.phase === "live")
      this.#watch?.setClock(event.facts.elapsed_sec ?? 0);
    this.#store.dispatch(event);
  }

  /** The call is over, by whatever event: closes everything, then gets the server's record of it.
   *  @param {import("./state.mjs").Call} call as it last was */
  finish(call) {
    this.#turn += 1;
    if (call.callId) keepPlace(call.callId, this.#transport?.place);
    this.#transport?.hangUp();
    this.#transport = null;
    this.#watch?.stop();
    this.#watch = null;
    this.#microphone.close();
    this.#levels.listenToCaller(null);
    this.#levels.listenToAssistant(null);
    this.#player.srcObject = null;
    this.#context?.suspend();
    if (call.step === "live" && call.callId) this.#fetchRecord(call.callId);
  }

  /** The recording is closed a moment after the call. */
  async #fetchRecord(callId) {
    const { dispatch, getState } = this.#store;
    const wanted = () => getState().result?.pending && getState().result.call_id === callId;
    for (const wait of RECORD_AFTER_MS) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (!wanted()) return;
      const record = await callRecord(callId).catch(() => null);
      if (record && wanted()) return dispatch({ type: "result", record });
    }
    // The server is gone, or keeps nothing of it: what the page knows is all there is.
    if (wanted())
      dispatch({ type: "result", record: { ...getState().result, pending: false, recorded: false } });
  }

  /** What the state says of muting, done to the microphone. */
  applyMute() {
    const muted = isMuted(this.#store.getState());
    this.#microphone.enable(!muted);
    this.#levels.muted = muted;
  }

  setSound(off) {
    this.#player.muted = off;
  }

  /** @param {object} message @returns {boolean} whether it went to the server */
  send(message) {
    return this.#transport?.send(message) ?? false;
  }

  async chooseInput(inputId) {
    const { dispatch, getState } = this.#store;
    dispatch({ type: "devices", devices: { inputId } });
    const transport = this.#transport;
    if (!transport) return;
    const failed = await this.#microphone.open(inputId);
    if (failed) return dispatch({ type: "trouble", trouble: trouble("device_failed") });
    if (transport !== this.#transport || !this.#microphone.stream) return;
    await transport.replaceMicrophone(this.#microphone.stream);
    this.#levels.listenToCaller(this.#microphone.watched);
    this.#watch?.anotherMicrophone();
    this.applyMute();
    if (getState().call) dispatch({ type: "hearing", hearing: "unknown" });
  }

  async chooseOutput(outputId) {
    const { dispatch, getState } = this.#store;
    if (getState().devices.outputId !== outputId) dispatch({ type: "devices", devices: { outputId } });
    if (!this.#player.setSinkId || (this.#player.sinkId ?? "") === outputId) return;
    try {
      await this.#player.setSinkId(outputId);
    } catch {
      await this.#player.setSinkId("").catch(() => {}); // it may be gone since it was chosen
      dispatch({ type: "devices", devices: { outputId: "" } });
    }
  }

  #devices(lists) {
    const { dispatch, getState } = this.#store;
    const before = getState();
    dispatch({ type: "devices", devices: this.#player.setSinkId ? lists : { ...lists, outputs: [] } });
    const back = lists.inputs.find(({ id }) => id === before.devices.inputId) ?? lists.inputs[0];
    if (before.call?.hearing === "unplugged" && back) this.chooseInput(back.id);
  }
}
