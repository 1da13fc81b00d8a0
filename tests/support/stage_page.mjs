/** Mounts the live view, the after view and the call bar on the real state, without a server or a call: a test
 * dispatches events and looks at what is shown. `stage.told` has what the views asked for. */

import { mount as mountAfter } from "./after.mjs";
import { mount as mountCallBar } from "./callbar.mjs";
import { listenToKeys } from "./keys.mjs";
import { mount as mountLive } from "./live.mjs";
import { initial } from "./state.mjs";
import { createStore } from "./store.mjs";

const CONFIG = {
  maxCallSec: 600,
  voices: [{ name: "NATF2", label: "Nora" }],
  defaultVoice: "NATF2",
  roles: [{ id: "talk", title: "Good conversation", text: "You enjoy it.", suggestions: ["Ask how it is"] }],
  defaultRole: "talk",
};

const store = createStore(initial(CONFIG));
const { dispatch, getState } = store;
const told = [];
const level = { caller: 0, assistant: 0 };
const levels = { read: () => level, spectrum: () => ({ bins: new Uint8Array(1024), hzPerBin: 23.4 }) };
const views = [];

const asked = (name, change) => (value) => {
  told.push([name, value ?? null]);
  const event = change?.(value);
  if (event) dispatch(event);
};
const actions = {
  start: asked("start"),
  end: asked("end", () => ({ type: "ended", reason: "You hung up." })),
  toggleMute: asked("toggleMute", () => ({ type: "mute", muted: !getState().call.muted })),
  toggleSound: asked("toggleSound", () => ({ type: "sound", off: !getState().call.soundOff })),
  hold: asked("hold", (held) => ({ type: "hold", held })),
  askToEnd: () => views[1].askToEnd(),
  chooseInput: asked("chooseInput"),
  chooseOutput: asked("chooseOutput"),
  say: asked("say"),
  openCall: asked("openCall"),
  refreshCall: asked("refreshCall"),
  deleteCall: asked("deleteCall", (callId) => ({ type: "deleted", callId })),
};
const parts = { dispatch, actions, getState, levels };
const root = (id) => document.getElementById(id);
views.push(mountLive(root("stage-live"), parts), mountCallBar(root("call-bar"), parts), mountAfter(root("stage-after"), parts));
store.subscribe(() => views.forEach((render) => render(getState())));
listenToKeys({ getState, actions });
window.stage = { dispatch, getState, told, level };
