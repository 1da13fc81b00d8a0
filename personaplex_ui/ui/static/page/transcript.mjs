/** What was said in a call that is over. A line takes the player to its place; the one that is spoken lights up. */

import { waveOf } from "./bubbles.mjs";
import { element, setAttribute, setHidden } from "./dom.mjs";
import { bubble, heading } from "./lines.mjs";
import { lineAt } from "./timeline.mjs";
import { clock } from "./words.mjs";

const FADE_PX = 32; // of the lower edge (after.css)

/** @param {HTMLElement} root with .pp-lines and .pp-lines-empty @param {(sec: number) => void} onLine
 *  @returns {{show(record: object, name: string): void, light(sec: number): void}} */
export function createTranscript(root, onLine) {
  const list = root.querySelector(".pp-lines");
  const empty = root.querySelector(".pp-lines-empty");
  let lines = [];
  let lit = -1;

  list.addEventListener("click", (event) => {
    const row = event.target.closest("button");
    if (row) onLine(Number(row.dataset.start));
  });

  /** Into view within the list alone, and not from under somebody who reads elsewhere in it. */
  function reveal(row) {
    if (list.matches(":hover") || list.contains(document.activeElement)) return;
    const above = row.offsetTop; // of the list, which is positioned (after.css)
    if (above < list.scrollTop) list.scrollTop = above;
    else if (above + row.offsetHeight > list.scrollTop + list.clientHeight - FADE_PX) {
      list.scrollTop = above + row.offsetHeight - list.clientHeight + FADE_PX;
    }
  }

  return {
    show(record, name) {
      lines = record.lines;
      lit = -1;
      list.replaceChildren(...lines.map((line) => row(line, name, Boolean(record.files.recording))));
      setHidden(list, lines.length === 0);
      setHidden(empty, lines.length > 0);
    },
    light(sec) {
      const now = sec > 0 ? lineAt(lines, sec) : -1;
      if (now === lit) return;
      if (lit >= 0) setAttribute(list.children[lit].firstChild, "aria-current", null);
      lit = now;
      if (lit < 0) return;
      setAttribute(list.children[lit].firstChild, "aria-current", "true");
      reveal(list.children[lit]);
    },
  };
}

/** A line; a button only where there is a recording to be played. */
function row(line, name, playable) {
  const told = bubble(line, undefined, name);
  const sound = line.who === "caller" && !told.text;
  const body = element(
    playable ? "button" : "div",
    { class: "pp-line-row", type: playable ? "button" : null, "data-start": line.start_sec, "data-side": line.who },
    element("span", { class: "pp-line-time" }, clock(line.start_sec)),
    " ",
    element(
      "span",
      { class: "pp-line-said" },
      element("span", { class: "pp-line-who" }, heading(line, name)),
      " ",
      sound ? waveOf(told) : element("span", { class: "pp-line-text", dir: "auto" }, told.text),
    ),
  );
  return element("li", {}, body);
}
