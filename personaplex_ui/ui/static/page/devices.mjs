/** The panel of devices: microphone and speaker, each with its level beside it, hold to talk, orb or face. It can
 * be used during the call, and opens by itself (state.mjs) when the microphone is silent or unplugged. */

import { element, setHidden, setText } from "./dom.mjs";
import { approach } from "./orb_motion.mjs";

/** @param {HTMLElement} panel @param {HTMLButtonElement} opener
 *  @param {{dispatch: Function, actions: object, levels: import("./orb.mjs").Levels}} parts
 *  @returns {(state: object) => void} */
export function createDevices(panel, opener, { dispatch, actions, levels }) {
  const find = (name) => panel.querySelector(`.pp-${name}`);
  const inputs = find("inputs");
  const outputs = find("outputs");
  const noOutputs = find("no-outputs");
  const hearing = find("hearing");
  const hold = find("hold-option");
  const face = find("face-option");
  const meters = liveMeters(find("meter-in"), find("meter-out"), levels);
  let devices = null;

  const open = (opened) => dispatch({ type: "devices", devices: { open: opened } });
  function close() {
    open(false);
    opener.focus();
  }
  opener.addEventListener("click", () => open(panel.hidden));
  find("devices-close").addEventListener("click", close);
  // Wherever the focus is, Escape closes this first; the next one asks whether to end the call.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || panel.hidden) return;
    if (document.querySelector("dialog[open]")) return;
    event.preventDefault();
    close();
  });
  inputs.addEventListener("change", () => actions.chooseInput(inputs.value));
  outputs.addEventListener("change", () => actions.chooseOutput(outputs.value));
  hold.addEventListener("change", () => dispatch({ type: "hold_to_talk", on: hold.checked }));
  face.addEventListener("change", () => dispatch({ type: "face", on: face.checked }));

  return function render(state) {
    const opened = Boolean(state.call) && state.devices.open;
    if (state.devices !== devices) {
      devices = state.devices;
      fillList(inputs, devices.inputs, devices.inputId, "The system's microphone");
      fillList(outputs, devices.outputs, devices.outputId, "The system's speaker");
      setHidden(outputs, devices.outputs.length === 0);
      setHidden(noOutputs, devices.outputs.length > 0);
    }
    setHidden(panel, !opened);
    opener.setAttribute("aria-expanded", String(opened));
    meters.run(opened);
    setText(hearing, heard(state.call, state.holdToTalk));
    hold.checked = Boolean(state.holdToTalk);
    face.checked = Boolean(state.face);
  };
}

/** @param {object|null} call @param {boolean} holdToTalk @returns {string} */
export function heard(call, holdToTalk = false) {
  switch (call?.hearing) {
    case "heard":
      return holdToTalk && !call.held ? "The microphone works. Hold the button while you talk." : "We hear you.";
    case "silent":
      return "We hear nothing from this microphone.";
    case "unplugged":
      return "This microphone was disconnected.";
    case "muted_speaking":
      return "You speak, and nobody hears you.";
    default:
      return "";
  }
}

function fillList(list, devices, chosen, unnamed) {
  const options = devices.length ? devices : [{ id: "", label: unnamed }];
  const wanted = options.map(({ id, label }) => `${id}\n${label}`).join("\n\n");
  if (list.dataset.filled !== wanted) {
    list.dataset.filled = wanted;
    list.replaceChildren(...options.map(({ id, label }) => element("option", { value: id }, label || unnamed)));
  }
  if (options.some(({ id }) => id === chosen)) list.value = chosen;
}

/** Bars that move with the sound, only while they are seen. */
function liveMeters(input, output, levels) {
  let frame = 0;
  let before = 0;
  let [caller, assistant] = [0, 0];
  function draw(now) {
    const elapsed = (now - before) / 1000;
    before = now;
    const level = levels.read();
    caller = approach(caller, level.caller, elapsed);
    assistant = approach(assistant, level.assistant, elapsed);
    input.style.transform = `scaleX(${caller.toFixed(3)})`;
    output.style.transform = `scaleX(${assistant.toFixed(3)})`;
    frame = requestAnimationFrame(draw);
  }
  return {
    run(on) {
      if (on && !frame) {
        before = performance.now();
        frame = requestAnimationFrame(draw);
      } else if (!on && frame) {
        cancelAnimationFrame(frame);
        frame = 0;
      }
    },
  };
}
