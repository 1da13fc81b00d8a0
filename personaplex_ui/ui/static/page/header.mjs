/** What the page tells of the server: the pill in the header, and the model's licence in the settings. */

import { setAttribute, setHidden, setText } from "./dom.mjs";
import { pill } from "./state.mjs";

/** The pill where there is little room. @param {object} state */
export function shortPill(state) {
  const { ready, draining, lines, linesFree, progress } = state.server;
  if (!ready && draining) return "Closing";
  if (!ready) return progress ? `${Math.round(100 * progress)} %` : "Shut";
  return lines && linesFree <= 0 ? "Busy" : "Open";
}

/** @param {HTMLElement} root #pill @returns {(state: object) => void} */
export function mount(root) {
  const [wide, narrow] = root.querySelectorAll(".pp-pill-text");
  return function render(state) {
    const { tone, text } = pill(state);
    setHidden(root, !text);
    setAttribute(root, "data-tone", tone);
    setAttribute(root, "title", text);
    setText(wide, text);
    setText(narrow, shortPill(state));
  };
}

/** @param {HTMLElement} root #licence @returns {(state: object) => void} */
export function mountLicence(root) {
  return function render({ server }) {
    setText(root, server.licence ?? "");
    setHidden(root, !server.licence);
  };
}
