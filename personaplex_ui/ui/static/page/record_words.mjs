/** What the page says of a call that is over. Pure. The record is the server's, as PROTOCOLS.md has it. */

import { day, percent, seconds } from "./format.mjs";

/** Who answered: the voice's name. @param {object} record @param {object} config @returns {string} */
export function calledName(record, config) {
  const known = config.voices?.find((voice) => voice.name === record.voice);
  return (known?.label ?? record.voice ?? "").split(",")[0].trim() || "the assistant";
}

/** "Today, 18:46. You hung up." and until when it is kept. @param {object} record @param {Date} now */
export function aboutCall(record, now) {
  const parts = [`${day(record.started_at, now) || "Just now"}.`, record.reason];
  const until = day(record.keep_until, now);
  if (until) parts.push(`Kept until ${until[0].toLowerCase()}${until.slice(1)}.`);
  return parts.filter(Boolean).join(" ");
}

/** The three figures as they are shown; a dash where one is not known. @param {object} record */
export function figures({ figures: { answer_sec, caller_share, interruptions } }) {
  const answer = answer_sec === null || answer_sec === undefined ? "–" : seconds(answer_sec);
  return [answer, percent(caller_share), `${interruptions ?? "–"}`];
}

/** Whom a call was made to, for a link. @param {object} record @param {object} config
 *  @returns {{voice: string, roleId: string, text: string}} */
export function personaOf({ voice, text_prompt: text }, config) {
  const role = config.roles?.find((each) => each.text === text);
  return { voice: voice ?? "", roleId: role?.id ?? "own", text: text ?? "" };
}
