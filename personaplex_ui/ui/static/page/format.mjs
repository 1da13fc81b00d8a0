/** Lengths, shares and days as the page says them. Pure: the moment is passed in. Clocks are in words.mjs. */

const MINUTE = 60;
const HOUR = 3600;
const DAY_MS = 86_400_000;

/** 252 -> "4 min 12 s": how long a call was. @param {number} sec @returns {string} */
export function duration(sec) {
  const whole = Math.max(0, Math.round(sec || 0));
  const hours = Math.floor(whole / HOUR);
  const minutes = Math.floor((whole % HOUR) / MINUTE);
  const rest = whole % MINUTE;
  const parts = [];
  if (hours) parts.push(`${hours} h`);
  if (minutes) parts.push(`${minutes} min`);
  if (!hours && (rest || !minutes)) parts.push(`${rest} s`);
  return parts.join(" ");
}

/** 0.71 -> "0.7 s": a stretch of speech or a pause. @param {number} sec @returns {string} */
export function seconds(sec) {
  return sec < 10 ? `${Math.max(0, sec).toFixed(1)} s` : `${Math.round(sec)} s`;
}

/** 0.46 -> "46 %"; a dash where it is not known. @param {number|null|undefined} share @returns {string} */
export function percent(share) {
  return share === null || share === undefined ? "–" : `${Math.round(share * 100)} %`;
}

/** "Today, 18:46", or the date where it is longer ago. Empty where the time is not known.
 *  @param {string|number|null} started ISO, or seconds since 1970 @param {Date} now @returns {string} */
export function day(started, now) {
  if (started === null || started === undefined) return "";
  const moment = new Date(typeof started === "number" ? started * 1000 : started);
  if (Number.isNaN(moment.getTime())) return "";
  const time = `${moment.getHours()}:${String(moment.getMinutes()).padStart(2, "0")}`;
  const name = { 0: "Today", 1: "Yesterday", [-1]: "Tomorrow" }[daysBetween(moment, now)];
  if (name) return `${name}, ${time}`;
  const date = moment.toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" });
  return `${date}, ${time}`;
}

function daysBetween(one, other) {
  const midnight = (moment) => new Date(moment.getFullYear(), moment.getMonth(), moment.getDate()).getTime();
  return Math.round((midnight(other) - midnight(one)) / DAY_MS);
}
