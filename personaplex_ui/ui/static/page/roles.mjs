/** Choosing and editing roles. Pure: a persona and what a person did give the fields that change.
 *
 * A visitor's own text is never lost: presets do not touch it, and where editing a preset makes a new own text,
 * the former one is kept in `ownBefore`.
 *
 * @typedef {import("./state.mjs").Persona & {ownBefore?: string[]}} Persona
 * @typedef {{id: string, title: string, headline: string, subtitle: string, text: string,
 *   suggestions: string[], featured: boolean}} Role
 */

export const OWN = "own";
export const FROM_LINK = "link";
const TITLES = { [OWN]: "Your own role", [FROM_LINK]: "A role from a link" };
const MAX_EARLIER = 10;

export const roleOf = (config, id) => config.roles?.find((role) => role.id === id);

/** @param {Role} role */
export const preset = (role) => ({ roleId: role.id, title: role.title, text: role.text });

/** Back to one's own text, as it was left. @param {Persona} persona */
export const own = (persona) => ({ roleId: OWN, title: TITLES[OWN], text: persona.own });

/** A text that somebody else wrote. @param {string} text */
export const fromLink = (text) => ({ roleId: FROM_LINK, title: TITLES[FROM_LINK], text });

/** Somebody typed: what was a preset becomes one's own role.
 *  @param {Persona} persona @param {string} text */
export function typed(persona, text) {
  const now = { roleId: OWN, title: TITLES[OWN], text, own: text };
  if (persona.roleId === OWN) return now;
  return { ...now, ownBefore: kept(persona.ownBefore, persona.own, text) };
}

/** The own text from before, and the present one in its place, so that this can be undone too.
 *  @param {Persona} persona */
export function bringBack(persona) {
  const [last, ...rest] = [...(persona.ownBefore ?? [])].reverse();
  if (last === undefined) return {};
  const before = kept(rest.reverse(), persona.own, last);
  return { roleId: OWN, title: TITLES[OWN], text: last, own: last, ownBefore: before };
}

function kept(before = [], former, next) {
  if (!former?.trim() || former === next) return before;
  return [...before.filter((each) => each !== former), former].slice(-MAX_EARLIER);
}

/** @param {object} config @param {Persona} persona @returns {string} for the heading over the button */
export function headline(config, persona) {
  return roleOf(config, persona.roleId)?.headline ?? TITLES[persona.roleId] ?? persona.title;
}

/** "with Nora, a natural female voice". @param {object} config @param {Persona} persona */
export function voiceInWords(config, persona) {
  const voice = config.voices?.find(({ name }) => name === persona.voice);
  if (voice) return `with ${voice.label}${voice.about ? `, ${voice.about}` : ""}`;
  return persona.voice ? `with ${voiceLabel(config, persona.voice).toLowerCase()}` : "";
}

export const UPLOAD_PREFIX = "own-";

/** What a voice is called. @param {object} config @param {string} name */
export function voiceLabel(config, name) {
  const voice = config.voices?.find((each) => each.name === name);
  return voice?.label ?? (name.startsWith(UPLOAD_PREFIX) ? "Your own voice" : name);
}
