/** The small menu of what can be downloaded of a call: a button that opens a list of links. */

import { element, setHidden } from "./dom.mjs";

const NAMES = {
  recording: "Recording (WAV)",
  face: "Video of the face (MP4)",
  txt: "Text",
  srt: "Subtitles (SRT)",
  vtt: "Subtitles (WebVTT)",
  json: "Data (JSON)",
  report: "Report of the turns (JSON)",
};

/** @param {HTMLButtonElement} opener @param {HTMLElement} list
 *  @returns {{show(files: {[kind: string]: string}): void}} */
export function createDownloads(opener, list) {
  function open(opened) {
    setHidden(list, !opened);
    opener.setAttribute("aria-expanded", String(opened));
  }
  opener.addEventListener("click", () => open(list.hidden));
  list.addEventListener("click", (event) => event.target.closest("a") && open(false));
  for (const part of [opener, list]) {
    part.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || list.hidden) return;
      event.stopPropagation();
      open(false);
      opener.focus();
    });
  }
  document.addEventListener("pointerdown", (event) => {
    if (!list.hidden && !list.contains(event.target) && !opener.contains(event.target)) open(false);
  });
  return {
    show(files) {
      const kinds = Object.keys(NAMES).filter((kind) => files[kind]);
      list.replaceChildren(
        ...kinds.map((kind) => element("li", {}, element("a", { href: files[kind], download: "" }, NAMES[kind]))),
      );
      open(false);
      setHidden(opener.parentElement, kinds.length === 0);
    },
  };
}
