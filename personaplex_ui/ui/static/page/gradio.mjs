/** The bridge to Gradio's controls, and what of the page is Gradio's: its tabs.
 *
 * Controls tell their changes by `window.personaplexBridge` (see bridge.py). The state goes to the controls by a
 * click on a hidden button, whose event asks `values()`. What is chosen is remembered, and restored at the start.
 */

import { forget, recall, remember } from "./storage.mjs";
import { FROM_LINK, OWN, own, preset, roleOf, typed, UPLOAD_PREFIX, voiceLabel } from "./roles.mjs";
import { addressOf, callIn, readLink } from "./share.mjs";

const FORGET_QUESTION = "Forget the role you wrote, the voice, the devices and the settings? This cannot be undone.";

const SAMPLING = ["text_temperature", "audio_temperature", "text_top_k", "audio_top_k", "seed", "greedy"];
const AGAIN_MS = 150;
const REMEMBER_AFTER_MS = 400;

const click = (id) => document.getElementById(id)?.click();

/** Opens one of the tabs of the page. @param {"talk"|"settings"} name */
export const openTab = (name) => click(`${name}-tab-button`);

/** A hidden button whose event calls `answered`; clicked until then, since Gradio listens only a while after it
 *  has built the button. */
class HiddenButton {
  #id;
  #timer = 0;

  constructor(id) {
    this.#id = id;
  }
  get pressed() {
    return this.#timer !== 0;
  }
  press() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.press(), AGAIN_MS);
    click(this.#id);
  }
  answered() {
    clearTimeout(this.#timer);
    this.#timer = 0;
  }
}

/** The settings of sampling as the controls show them. @param {object} state */
export const samplingOf = (state) => ({ ...state.config.samplingDefaults, ...state.sampling });

let bridge = null;

/** @param {HTMLElement} root #stage */
export function mount(root, parts) {
  bridge ??= new Bridge(parts);
  return (state) => bridge.render(state);
}

class Bridge {
  #parts;
  #held; // what the controls hold, as far as is known
  #remembered = null; // the state that was stored last
  #saving = 0;
  #putButton = new HiddenButton("bridge-put");
  #readyButton = new HiddenButton("bridge-ready");
  #settling = 0; // while the controls take over what was put
  #loaded = "";
  #linked = null; // what the address carries, until something else is chosen

  constructor(parts) {
    this.#parts = parts;
    const { config, persona, record } = parts.getState();
    this.#held = { voice: persona.voice, text: config.defaultText ?? persona.text, record, ...config.samplingDefaults };
    window.personaplexBridge = {
      changed: (values) => this.#changed(values),
      typed: (text) => this.#typed(text),
      values: () => this.#values(),
      chosenVoice: () => this.#chosenVoice(),
    };
    this.#restore();
    this.#remembered = parts.getState();
    addEventListener("pagehide", () => this.#remember());
    document.addEventListener("visibilitychange", () => document.hidden && this.#remember());
    document.addEventListener("click", (event) => this.#clicked(event));
  }

  render(state) {
    const { view, server } = state;
    if (document.body.dataset.view !== view) {
      document.body.dataset.view = view;
      document.body.removeAttribute("data-choosing");
      document.getElementById("choose-next")?.setAttribute("aria-expanded", "false");
    }
    if (this.#differs(state) && !this.#putButton.pressed) this.#putButton.press();
    if (state !== this.#remembered && !this.#saving) {
      this.#saving = setTimeout(() => this.#remember(), REMEMBER_AFTER_MS);
    }
    const loaded = server.ready ? server.name : "";
    if (loaded && loaded !== this.#loaded) this.#readyButton.press(); // the loaded model has its own voices
    this.#loaded = loaded; // by name: between two looks at the server, another model can be there already
    this.#dropLink(state.persona);
    this.#showAddress(state);
  }

  // ------------------------------------------------------------ controls -> state

  #typed(text) {
    const { dispatch, getState } = this.#parts;
    this.#held.text = text;
    if (text !== getState().persona.text) dispatch({ type: "persona", persona: typed(getState().persona, text) });
  }

  #changed([voice, text, ...rest]) {
    const { dispatch, getState } = this.#parts;
    const record = rest.pop();
    const sampling = Object.fromEntries(SAMPLING.map((name, index) => [name, rest[index]]));
    Object.assign(this.#held, { voice, text, record, ...sampling });
    if (this.#putButton.pressed || this.#settling) return; // what is on its way to the controls comes back as well
    const state = getState();
    if (voice && voice !== state.persona.voice) {
      dispatch({ type: "persona", persona: { voice, voiceLabel: voiceLabel(state.config, voice) } });
    }
    if (record !== state.record) dispatch({ type: "record", record });
    const before = samplingOf(state);
    if (SAMPLING.some((name) => sampling[name] !== before[name])) dispatch({ type: "sampling", sampling });
  }

  // ------------------------------------------------------------ state -> controls

  #wanted(state) {
    const { voice, text } = state.persona;
    return { voice, text, ...samplingOf(state), record: state.record };
  }

  #differs(state) {
    return Object.entries(this.#wanted(state)).some(([name, value]) => value !== this.#held[name]);
  }

  /** In the order of CALL_INPUTS. Called by Gradio for the hidden button. */
  #values() {
    this.#putButton.answered();
    const wanted = this.#wanted(this.#parts.getState());
    Object.assign(this.#held, wanted);
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => {
      this.#settling = 0;
      this.render(this.#parts.getState());
    }, AGAIN_MS);
    return [wanted.voice, wanted.text, ...SAMPLING.map((name) => wanted[name]), wanted.record];
  }

  /** Called by Gradio before it asks for the voices: the list may not yet hold what is chosen. */
  #chosenVoice() {
    this.#readyButton.answered();
    return [this.#parts.getState().persona.voice];
  }

  // ------------------------------------------------------------ memory and address

  #restore() {
    const { dispatch, getState, actions } = this.#parts;
    const found = recall();
    const { config } = getState();
    const voice = config.voices?.find(({ name }) => name === found.voice);
    const role = roleOf(config, found.roleId) ?? roleOf(config, config.defaultRole);
    const persona = { own: found.own ?? "", ownBefore: found.ownBefore ?? [] };
    if (config.defaultRole === OWN && found.own === undefined) persona.own = config.defaultText ?? "";
    Object.assign(persona, found.roleId === OWN || !role ? own(persona) : preset(role));
    if (voice) Object.assign(persona, { voice: voice.name, voiceLabel: voice.label });
    dispatch({ type: "persona", persona });
    this.#follow(location.hash);
    if (found.sampling) dispatch({ type: "sampling", sampling: found.sampling });
    if (found.record !== undefined) dispatch({ type: "record", record: found.record });
    if (found.holdToTalk !== undefined) dispatch({ type: "hold_to_talk", on: found.holdToTalk });
    if (found.face !== undefined) dispatch({ type: "face", on: found.face });
    const { inputId = "", outputId = "" } = found;
    dispatch({ type: "devices", devices: { inputId, outputId } });
    addEventListener("hashchange", () => this.#follow(location.hash));
    const callId = callIn(location.search);
    if (callId) actions.openCall(callId);
  }

  #remember() {
    clearTimeout(this.#saving);
    this.#saving = 0;
    const before = this.#remembered;
    const state = (this.#remembered = this.#parts.getState());
    const changes = {};
    if (before.persona !== state.persona) Object.assign(changes, personaToKeep(state.persona));
    if (before.sampling !== state.sampling) changes.sampling = samplingOf(state);
    if (before.record !== state.record) changes.record = state.record;
    for (const name of ["holdToTalk", "face"]) {
      if (before[name] !== state[name]) changes[name] = state[name];
    }
    for (const name of ["inputId", "outputId"]) {
      if (before.devices[name] !== state.devices[name]) changes[name] = state.devices[name];
    }
    if (Object.keys(changes).length) remember(changes);
  }

  #follow(hash) {
    const { dispatch, getState } = this.#parts;
    this.#linked = readLink(hash, getState().config);
    if (this.#linked) dispatch({ type: "persona", persona: this.#linked });
  }

  /** A reload is to bring what was chosen since. */
  #dropLink(persona) {
    if (!this.#linked) return;
    const { voice = persona.voice, text = persona.text } = this.#linked;
    if (voice === persona.voice && text === persona.text) return;
    this.#linked = null;
    history.replaceState(history.state, "", location.pathname + location.search);
  }

  #clicked({ target }) {
    if (target.closest?.("#forget") && confirm(FORGET_QUESTION)) {
      forget();
      this.#remembered = this.#parts.getState();
      document.getElementById("forget-message").textContent = "Forgotten. What is chosen now stays until you leave.";
    }
    const fold = target.closest?.("#choose-next");
    if (fold) {
      const open = document.body.toggleAttribute("data-choosing");
      fold.setAttribute("aria-expanded", open);
      if (open) document.getElementById("persona")?.scrollIntoView({ block: "start" }); // it opens below the bar
    }
  }

  #showAddress({ view, result }) {
    const shown = view === "after" && !result.pending ? result.call_id : null;
    if (view === "after" && result.pending) return;
    if (callIn(location.search) === shown) return;
    history.replaceState(history.state, "", addressOf(location, shown));
  }
}

function personaToKeep({ voice, roleId, own: text, ownBefore }) {
  return {
    ...(voice.startsWith(UPLOAD_PREFIX) ? {} : { voice }), // the server keeps it for this page only
    ...(roleId === FROM_LINK ? {} : { roleId }),
    own: text,
    ownBefore: ownBefore ?? [],
  };
}
