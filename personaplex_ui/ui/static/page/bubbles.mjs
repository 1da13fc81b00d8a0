/** The bubbles of a call under way. Lines are appended or changed in place, so nothing jumps; the end is followed
 * unless the reader has scrolled up, who then gets a button to the newest. Nothing is read aloud here: it would
 * talk over the voice. */

import { drawing, element, setAttribute, setHidden, setText } from "./dom.mjs";
import { WAVE_HEIGHT, bubble } from "./lines.mjs";

/** Closer to the end than this counts as being there. */
const NEAR_PX = 48;

/** @param {HTMLElement} root with .pp-log and .pp-newest
 *  @returns {{render(lines: object[], name: string): void, clear(): void}} */
export function createBubbles(root) {
  const log = root.querySelector(".pp-log");
  const newest = root.querySelector(".pp-newest");
  /** @type {Map<number, {line: object, before: object|undefined, node: HTMLElement}>} */
  const shown = new Map();
  let lines = [];
  let name = "";
  let following = true;

  const toEnd = () => {
    log.scrollTop = log.scrollHeight;
  };
  log.addEventListener(
    "scroll",
    () => {
      following = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_PX;
      if (following) setHidden(newest, true);
    },
    { passive: true },
  );
  newest.addEventListener("click", () => {
    following = true;
    setHidden(newest, true);
    toEnd();
    log.focus({ preventScroll: true });
  });
  // A bar that grows, a keyboard that opens, words that wrap anew: the end stays the end.
  new ResizeObserver(() => following && toEnd()).observe(log);

  function place(line, before, after) {
    const known = shown.get(line.n);
    if (known && known.line === line && known.before === before) return known.node;
    const node = known?.node ?? emptyBubble();
    fill(node, bubble(line, before, name));
    if (!known) log.insertBefore(node, after ? after.nextSibling : log.firstChild);
    shown.set(line.n, { line, before, node });
    return node;
  }

  function clear() {
    for (const { node } of shown.values()) node.remove();
    shown.clear();
    lines = [];
    following = true;
    setHidden(newest, true);
  }

  return {
    clear,
    render(now, assistant) {
      if (now === lines && assistant === name) return;
      if (assistant !== name || now.length < lines.length) clear();
      name = assistant;
      const more = now.length > lines.length;
      lines = now;
      let node;
      now.forEach((line, index) => {
        node = place(line, now[index - 1], node);
      });
      if (following) toEnd();
      else if (more) setHidden(newest, false);
    },
  };
}

function emptyBubble() {
  return element(
    "div",
    { class: "pp-bubble" },
    element("p", { class: "pp-bubble-head" }),
    element("p", { class: "pp-bubble-text", dir: "auto" }),
  );
}

/** @param {HTMLElement} node @param {import("./lines.mjs").Bubble} told */
function fill(node, told) {
  const [head, text] = node.children;
  setAttribute(node, "data-side", told.side);
  setAttribute(node, "data-follows", told.follows ? "" : null);
  setAttribute(node, "data-open", told.open ? "" : null);
  setText(head, told.label);
  const sound = told.side === "caller" && !told.text;
  setHidden(text, sound);
  if (told.text) setText(text, told.text);
  else if (!sound) setText(text, "…");
  showWave(node, sound ? told : null);
}

function showWave(node, told) {
  let wave = node.querySelector(".pp-wave");
  if (!told) {
    wave?.remove();
    return;
  }
  if (!wave) {
    wave = waveOf(told);
    node.append(wave);
  } else fillWave(wave, told);
}

/** A small wave with its length, where there are no words. @param {import("./lines.mjs").Bubble} told */
export function waveOf(told) {
  const strokes = drawing("path", { class: "pp-wave-bars" });
  const picture = drawing("svg", { "aria-hidden": "true", height: WAVE_HEIGHT }, strokes);
  const length = element("span", { class: "pp-wave-length" });
  const wave = element("p", { class: "pp-wave" }, picture, length);
  fillWave(wave, told);
  return wave;
}

function fillWave(wave, told) {
  const [picture, length] = wave.children;
  setAttribute(picture, "width", Math.max(told.waveWidth, 1));
  setAttribute(picture, "viewBox", `0 0 ${Math.max(told.waveWidth, 1)} ${WAVE_HEIGHT}`);
  setAttribute(picture.firstChild, "d", told.wave);
  setText(length, told.length);
}
