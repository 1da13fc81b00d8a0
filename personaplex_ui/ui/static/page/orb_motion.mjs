/** How the orb and the face move: levels of sound in, sizes out. Pure, and cheap enough for sixty times a second. */

/** A voice opens the orb at once and lets it sink slowly, as a breath. */
const ATTACK_SEC = 0.05;
const RELEASE_SEC = 0.28;
const LONGEST_STEP_SEC = 0.25;

/** The value `elapsedSec` later, on its way to the target. */
export function approach(value, target, elapsedSec) {
  const time = target > value ? ATTACK_SEC : RELEASE_SEC;
  return value + (target - value) * (1 - Math.exp(-Math.min(elapsedSec, LONGEST_STEP_SEC) / time));
}

/** Scales, opacities and the turn (degrees) of the orb's layers.
 *  @param {number} caller 0 to 1 @param {number} assistant 0 to 1 @param {number} sec for breathing */
export function orbFrame(caller, assistant, sec) {
  const breath = (1 + Math.sin(sec * 1.6)) / 2;
  return {
    core: 1 + 0.08 * assistant + 0.012 * breath - 0.05 * caller,
    inner: 1 + 0.1 * assistant + 0.02 * breath,
    outer: 1 + 0.13 * assistant + 0.03 * breath,
    ring: 0.94 + 0.16 * caller,
    ringOpacity: Math.min(1, caller * 1.8),
    turn: (sec * 24) % 360,
  };
}

/** How far open and how wide the mouth is, 0 to 1 each. Bright sounds ("ee", "s") carry their energy high and
 *  draw the lips apart; dark ones ("oo", "m") carry it low and round them.
 *  @param {number} level 0 to 1 @param {ArrayLike<number>} spectrum of the assistant's sound, any scale
 *  @param {number} hzPerBin */
export function mouth(level, spectrum, hzPerBin) {
  let low = 0;
  let high = 0;
  const last = Math.min(spectrum.length, Math.ceil(5000 / hzPerBin));
  for (let bin = Math.max(1, Math.floor(200 / hzPerBin)); bin < last; bin += 1) {
    if (bin * hzPerBin < 1000) low += spectrum[bin];
    else high += spectrum[bin];
  }
  const wide = low + high > 0 ? Math.min(1, (1.6 * high) / (low + high)) : 0.5;
  return { open: Math.min(1, level * 1.25), wide };
}

/** The lips as an SVG path in the face's drawing of 200 by 200. @param {number} open @param {number} wide */
export function mouthPath(open, wide) {
  const half = tenth(17 + 13 * wide - 5 * open * (1 - wide));
  const closed = (1 - open) ** 2; // a closed mouth smiles
  const corner = tenth(134 - 6 * closed);
  const upper = tenth(130 - 8 * open + 9 * closed);
  const lower = tenth(145 + 34 * open * (1 - 0.35 * wide));
  return `M${100 - half} ${corner}Q100 ${upper} ${100 + half} ${corner}Q100 ${lower} ${100 - half} ${corner}Z`;
}

const tenth = (value) => Math.round(value * 10) / 10;
