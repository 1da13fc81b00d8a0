/** A recording's time as places on a line, and back. Pure. */

const STEP_SEC = 5;
const PAGE_SEC = 30;

/** @param {number} sec @param {number} durationSec @returns {number} 0 to 1 */
export function share(sec, durationSec) {
  return durationSec > 0 ? Math.min(1, Math.max(0, sec / durationSec)) : 0;
}

/** The time at a pointer. @param {number} x @param {{left: number, width: number}} box @param {number} durationSec */
export function timeAt(x, box, durationSec) {
  return box.width > 0 ? share(x - box.left, box.width) * durationSec : 0;
}

/** Where a key takes the player, or null where the key is none of its own.
 *  @param {string} key @param {number} sec @param {number} durationSec @returns {number|null} */
export function timeAfterKey(key, sec, durationSec) {
  const steps = {
    ArrowLeft: -STEP_SEC, ArrowDown: -STEP_SEC, ArrowRight: STEP_SEC, ArrowUp: STEP_SEC,
    PageDown: -PAGE_SEC, PageUp: PAGE_SEC, Home: -Infinity, End: Infinity,
  };
  const step = steps[key];
  return step === undefined ? null : Math.min(durationSec, Math.max(0, sec + step));
}

/** Stretches as percentages of the line; a short one stays visible.
 *  @param {[number, number][]} turns seconds @param {number} durationSec
 *  @returns {{left: number, width: number}[]} */
export function segments(turns, durationSec) {
  return turns.map(([start, end]) => {
    const left = 100 * share(start, durationSec);
    return { left: hundredth(left), width: hundredth(Math.max(0.3, 100 * share(end, durationSec) - left)) };
  });
}

const hundredth = (value) => Math.round(value * 100) / 100;

/** Who spoke when; from the lines, where the server has not told it yet. @param {object} record */
export function turnsOf({ turns, lines }) {
  const { caller = [], assistant = [], overlaps = [] } = turns ?? {};
  if (caller.length || assistant.length) return { caller, assistant, overlaps };
  const spoken = (who) => lines.filter((line) => line.who === who).map((line) => [line.start_sec, line.end_sec]);
  return { caller: spoken("caller"), assistant: spoken("assistant"), overlaps };
}

/** The index of the line that is spoken at a time: of those that have begun the latest; -1 before the first.
 *  @param {{start_sec: number}[]} lines @param {number} sec */
export function lineAt(lines, sec) {
  let found = -1;
  lines.forEach((line, index) => {
    if (line.start_sec <= sec + 0.05 && (found < 0 || line.start_sec >= lines[found].start_sec)) found = index;
  });
  return found;
}

/** Who speaks at a time. @param {{caller: [number, number][], assistant: [number, number][]}} turns
 *  @param {number} sec @param {string} name of the assistant @returns {string} */
export function speakersAt(turns, sec, name) {
  const within = (stretches) => stretches.some(([start, end]) => start <= sec && sec < end);
  const [caller, assistant] = [within(turns.caller), within(turns.assistant)];
  if (caller && assistant) return `you and ${name} speak`;
  if (caller) return "you speak";
  return assistant ? `${name} speaks` : "nobody speaks";
}
