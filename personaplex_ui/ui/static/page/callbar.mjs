/** The controls of a call: mute or hold to talk, sound, devices, the box for what the assistant is to say, end. */

import { createQuestion } from "./ask.mjs";
import { createDevices } from "./devices.mjs";
import { dockable } from "./dock.mjs";
import { setAttribute, setHidden, setText } from "./dom.mjs";
import { createSayBox } from "./say_box.mjs";

/** @param {HTMLElement} root #call-bar
 *  @param {{dispatch: Function, actions: object, getState: () => object, levels: object}} parts
 *  @returns {((state: object) => void) & {askToEnd(): void}} */
export function mount(root, parts) {
  const { actions, getState } = parts;
  const find = (name) => root.querySelector(`.pp-${name}`);
  const [mute, hold, sound, end] = [find("mute"), find("hold"), find("sound"), find("end")];
  const endLabel = end.querySelector(".pp-label");
  const place = dockable(root, document.getElementById("call-bar-dock"), root.parentElement);
  const question = createQuestion(find("ask-end"), actions.end);
  const sayBox = createSayBox(find("say"), find("say-open"), actions.say);
  const renderDevices = createDevices(find("devices"), find("devices-open"), parts);
  let state = null;

  mute.addEventListener("click", () => actions.toggleMute());
  sound.addEventListener("click", () => actions.toggleSound());
  end.addEventListener("click", () => actions.end());
  holdable(hold, actions.hold);

  function render(next) {
    if (next === state) return;
    state = next;
    const call = state.call;
    place.show(Boolean(call));
    renderDevices(state);
    if (!call) {
      question.close();
      sayBox.close();
      return;
    }
    setHidden(mute, state.holdToTalk);
    setHidden(hold, !state.holdToTalk);
    setAttribute(mute, "aria-pressed", call.muted);
    setAttribute(hold, "aria-pressed", call.held);
    setAttribute(sound, "aria-checked", !call.soundOff);
    sayBox.enable(call.step === "live");
    setText(endLabel, endWord(call.step));
  }
  render.askToEnd = () => {
    if (getState().call) question.open();
  };
  return render;
}

/** What the red button does now. @param {string} step of the call */
export function endWord(step) {
  if (step === "live") return "End call";
  return step === "waiting" ? "Leave the line" : "Cancel";
}

/** Held by finger, mouse, Space or Enter: on while held, whatever becomes of the pointer. */
function holdable(button, hold) {
  const down = (event) => {
    if (event.button) return;
    button.setPointerCapture?.(event.pointerId);
    hold(true);
  };
  const up = () => hold(false);
  button.addEventListener("pointerdown", down);
  for (const name of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) button.addEventListener(name, up);
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  const key = (held) => (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) hold(held);
  };
  button.addEventListener("keydown", key(true));
  button.addEventListener("keyup", key(false));
}
