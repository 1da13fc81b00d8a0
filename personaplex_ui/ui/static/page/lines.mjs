/** A call's lines as the live and the after view show them: the words over a bubble, its text, its wave. Pure.
 *
 * @typedef {import("./state.mjs").Line} Line
 * @typedef {{n: number, side: "assistant"|"caller"|"typed", label: string, follows: boolean, text: string,
 *   open: boolean, cut: boolean, wave: string, waveWidth: number, length: string}} Bubble
 *   `follows`: it goes on under the heading of the bubble before it; `wave`: an SVG path, WAVE_HEIGHT high,
 *   where there are no words; `length`: of the sound, beside the wave
 */

import { seconds } from "./format.mjs";
import { clock } from "./words.mjs";

export const WAVE_HEIGHT = 20;
const BAR_STEP = 4;
/** A speaker who goes on within this time goes on under the same heading. */
const SAME_TURN_SEC = 4;

/** @param {Line[]} lines in their order @param {string} name of the assistant @returns {Bubble[]} */
export function bubbles(lines, name) {
  return lines.map((line, index) => bubble(line, lines[index - 1], name));
}

/** @param {Line} line @param {Line|undefined} before @param {string} name @returns {Bubble} */
export function bubble(line, before, name) {
  const words = said(line);
  const levels = line.who === "caller" && !words ? line.levels ?? [] : [];
  return {
    n: line.n,
    side: line.who,
    label: `${heading(line, name)}, ${clock(line.start_sec)}`,
    follows: follows(line, before),
    text: words,
    open: Boolean(line.open),
    cut: Boolean(line.cut),
    wave: wavePath(levels),
    waveWidth: levels.length * BAR_STEP,
    length: line.who === "caller" && !words ? seconds(lengthOf(line)) : "",
  };
}

/** Who speaks here. @param {Line} line @param {string} name */
export function heading(line, name) {
  if (line.who === "assistant") return name;
  if (line.who === "typed") return `You had ${name} say`;
  return line.interrupts ? "You interrupted" : "You";
}

/** A line's words; a sentence that was cut off ends with a dash. @param {Line} line */
export function said(line) {
  const words = (line.text ?? "").trim();
  return words && line.cut ? `${words} —` : words;
}

const lengthOf = (line) => (line.end_sec ?? line.start_sec) - line.start_sec;

function follows(line, before) {
  if (!before || before.who !== line.who || before.cut || line.interrupts || line.who === "typed") return false;
  return line.start_sec - (before.end_sec ?? before.start_sec) < SAME_TURN_SEC;
}

/** Levels of 0 to 9 as strokes about the middle. @param {number[]} levels @returns {string} */
export function wavePath(levels) {
  const middle = WAVE_HEIGHT / 2;
  return levels
    .map((level, index) => {
      const half = 1 + (Math.min(9, Math.max(0, level)) / 9) * (middle - 3);
      return `M${index * BAR_STEP + BAR_STEP / 2} ${tenth(middle - half)}V${tenth(middle + half)}`;
    })
    .join("");
}

const tenth = (value) => Math.round(value * 10) / 10;

/** The transcript as plain text, for the clipboard. @param {Line[]} lines @param {string} name */
export function asText(lines, name) {
  return lines
    .map((line) => {
      const words = said(line) || `(${seconds(lengthOf(line))} of speech)`;
      return `${clock(line.start_sec)} ${heading(line, name)}: ${words}`;
    })
    .join("\n");
}
