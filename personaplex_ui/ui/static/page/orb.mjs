/** The orb, or the face for whoever likes it better: one picture of who speaks. It tells a screen reader nothing;
 * the word under it does.
 *
 * A frame writes transforms and opacities and reads no layout. It does not run while the page is hidden, the
 * orb is not shown, or the reader asked for less motion; then the state's colour alone tells who speaks.
 */

import { approach, mouth, mouthPath, orbFrame } from "./orb_motion.mjs";

/** @param {HTMLElement} root @param {{read: () => {caller: number, assistant: number},
 *  spectrum: () => {bins: ArrayLike<number>, hzPerBin: number}}} levels
 *  @returns {{show(mood: string): void, hide(): void, useFace(face: boolean): void}} */
export function createOrb(root, levels) {
  const part = (name) => root.querySelector(`.pp-orb-${name}`);
  const parts = { core: part("core"), inner: part("inner"), outer: part("outer"), ring: part("ring"), swirl: part("swirl") };
  const lips = root.querySelector(".pp-face-mouth");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let face = false;
  let shown = false;
  let frame = 0;
  let before = 0;
  let caller = 0;
  let assistant = 0;
  let wide = 0.5;

  function draw(now) {
    const elapsed = (now - before) / 1000;
    before = now;
    const heard = levels.read();
    caller = approach(caller, heard.caller, elapsed);
    assistant = approach(assistant, heard.assistant, elapsed);
    if (face) drawFace(heard, elapsed);
    drawOrb(orbFrame(caller, assistant, now / 1000));
    frame = requestAnimationFrame(draw);
  }

  function drawOrb({ core, inner, outer, ring, ringOpacity, turn }) {
    parts.core.style.transform = `scale(${core.toFixed(3)})`;
    parts.inner.style.transform = `scale(${inner.toFixed(3)})`;
    parts.outer.style.transform = `scale(${outer.toFixed(3)})`;
    parts.ring.style.transform = `scale(${ring.toFixed(3)})`;
    parts.ring.style.opacity = ringOpacity.toFixed(2);
    if (!face) parts.swirl.style.transform = `rotate(${turn.toFixed(1)}deg)`;
  }

  function drawFace(heard, elapsed) {
    const { bins, hzPerBin } = levels.spectrum();
    const shape = mouth(heard.assistant, bins, hzPerBin);
    if (heard.assistant > 0.05) wide += (shape.wide - wide) * Math.min(1, elapsed * 14);
    lips.setAttribute("d", mouthPath(assistant, wide));
  }

  function stop() {
    cancelAnimationFrame(frame);
    frame = 0;
  }

  function rest() {
    stop();
    for (const layer of Object.values(parts)) layer.removeAttribute("style");
    lips.setAttribute("d", mouthPath(0, 0.5));
  }

  // requestAnimationFrame rests by itself while the page is hidden.
  function update() {
    if (!shown || calm.matches) rest();
    else if (!frame) {
      before = performance.now();
      frame = requestAnimationFrame(draw);
    }
  }

  calm.addEventListener("change", update);
  rest();
  return {
    show(mood) {
      if (root.dataset.mood !== mood) root.dataset.mood = mood;
      if (!shown) {
        shown = true;
        update();
      }
    },
    hide() {
      if (!shown) return;
      shown = false;
      caller = assistant = 0;
      update();
    },
    useFace(chosen) {
      if (face === chosen) return;
      face = chosen;
      root.classList.toggle("pp-orb-is-face", face);
    },
  };
}
