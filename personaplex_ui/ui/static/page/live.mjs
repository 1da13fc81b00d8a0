/** The live view: orb, one word of state, details, notes, what is said. A call that waits or is prepared is shown
 * in the same place. */

import { createBubbles } from "./bubbles.mjs";
import { element, setAttribute, setHidden, setText } from "./dom.mjs";
import { createOrb } from "./orb.mjs";
import { assistantName, details, isMuted, word } from "./state.mjs";

/** @param {HTMLElement} root #stage-live
 *  @param {{levels: import("./orb.mjs").Levels}} parts @returns {(state: object) => void} */
export function mount(root, { levels }) {
  const find = (name) => root.querySelector(`.pp-${name}`);
  const orb = createOrb(find("orb"), levels);
  const said = createBubbles(find("said"));
  const nodes = {
    word: find("word"), detail: find("detail"), bar: find("prepare"), fill: find("prepare-fill"),
    notes: find("notes"), tips: find("tips"), announce: find("announce"), said: find("said"), tip: find("tip"),
  };
  let call = null;
  let state = null;

  return function render(next) {
    if (next === state) return;
    state = next;
    setHidden(root, state.view !== "live");
    if (!state.call) {
      orb.hide();
      if (call) said.clear();
      call = null;
      return;
    }
    const begins = !call;
    call = state.call;
    orb.show(mood(state));
    orb.useFace(Boolean(state.face));
    showWords(root, nodes, state, begins);
    setHidden(nodes.said, call.step !== "live");
    showTips(nodes, state);
    said.render(call.lines, assistantName(state));
  };
}

function showWords(root, nodes, state, begins) {
  const call = state.call;
  setText(nodes.word, word(state));
  showDetails(nodes.detail, details(state));
  const progress = call.step === "preparing" ? call.progress : null;
  setHidden(nodes.bar, progress === null);
  if (progress !== null) {
    setAttribute(nodes.bar, "aria-valuenow", Math.round(progress * 100));
    nodes.fill.style.transform = `scaleX(${progress})`;
  }
  showItems(nodes.notes, notes(call));
  // The start button that had the focus is gone now: the heading says where one is.
  if (begins) {
    nodes.word.focus({ preventScroll: true });
    root.scrollIntoView({ block: "nearest" });
  }
  setText(nodes.announce, announcement(state));
}

/** Parts with room between them for the eye; the comma is for a screen reader and a copy. */
function showDetails(node, parts) {
  while (node.children.length > parts.length) node.lastChild.remove();
  parts.forEach((part, index) => {
    const span = node.children[index] ?? node.appendChild(element("span", {}, "", comma()));
    setText(span.firstChild, part);
    setHidden(span.lastChild, index === parts.length - 1);
  });
}

const comma = () => element("span", { class: "pp-only-read" }, ", ");

/** What to do first, while nothing is said yet: it waits with the caller. */
function showTips(nodes, state) {
  const { call, config } = state;
  const role = config.roles?.find((each) => each.id === call.persona.roleId);
  const early = call.step === "waiting" || call.step === "preparing";
  setHidden(nodes.tips, !(early || (call.step === "live" && call.lines.length === 0)));
  showItems(nodes.tips.querySelector("ul"), role?.suggestions ?? []);
  setText(nodes.tip, early ? "Then just speak. You may interrupt at any time." : "Just speak. You may interrupt at any time.");
}

function showItems(list, texts) {
  while (list.children.length > texts.length) list.lastChild.remove();
  texts.forEach((text, index) => setText(list.children[index] ?? list.appendChild(element("li")), text));
  setHidden(list, texts.length === 0);
}

function notes(call) {
  return call.changed ? [...call.notes, "What you chose now applies to the next call."] : call.notes;
}

/** What the orb looks like. @param {object} state */
export function mood(state) {
  const call = state.call;
  if (call.step !== "live") return "starting";
  if (call.network === "reconnecting" || ["unplugged", "silent"].includes(call.hearing)) return "trouble";
  if (call.speaking === "assistant" || call.speaking === "both") return call.speaking;
  if (isMuted(state)) return "muted";
  return call.speaking;
}

/** What a screen reader is told: how the call comes about, and what stands in its way; never who speaks, which is
 *  heard, and nothing twice. @param {object} state */
export function announcement(state) {
  const call = state.call;
  if (call.network === "reconnecting") return "Reconnecting";
  if (call.step === "live") return isMuted(state) && !state.holdToTalk ? "Muted" : "The call is live";
  return call.step === "permission" ? "" : word(state);
}
