/** What this browser remembers between visits: role, voice, own text, devices, settings.
 *
 * Everything read is checked, since the storage may hold junk, another version, or what another tab wrote; a
 * storage that is full or forbidden is the same as an empty one. Nothing here is ever sent by itself.
 */

const PREFIX = "personaplex.";
const KEY = `${PREFIX}page`;
const VERSION = 1;
/** Five times as long as a role may be: what somebody pasted is kept until it is cut, not cut unseen. */
export const MAX_TEXT = 10000;
const MAX_EARLIER = 10;

/** @typedef {{voice?: string, roleId?: string, own?: string, ownBefore?: string[], sampling?: object,
 *   record?: boolean, holdToTalk?: boolean, face?: boolean, inputId?: string, outputId?: string}} Remembered */

const text = (value, most) => (typeof value === "string" && value.length <= most ? value : undefined);
const flag = (value) => (typeof value === "boolean" ? value : undefined);

const CHECKS = {
  voice: (value) => text(value, 200),
  roleId: (value) => text(value, 64),
  own: (value) => text(value, MAX_TEXT),
  ownBefore: (value) =>
    Array.isArray(value)
      ? value.filter((each) => text(each, MAX_TEXT) !== undefined).slice(-MAX_EARLIER)
      : undefined,
  sampling: (value) => samplingOf(value),
  record: flag,
  holdToTalk: flag,
  face: flag,
  inputId: (value) => text(value, 500),
  outputId: (value) => text(value, 500),
};

const NUMBERS = ["text_temperature", "audio_temperature", "text_top_k", "audio_top_k"];

function samplingOf(value) {
  if (typeof value !== "object" || value === null) return undefined;
  const kept = {};
  for (const name of NUMBERS) if (Number.isFinite(value[name])) kept[name] = value[name];
  if (text(value.seed, 12) !== undefined) kept.seed = value.seed;
  if (flag(value.greedy) !== undefined) kept.greedy = value.greedy;
  return kept;
}

function checked(found) {
  const kept = {};
  for (const [name, check] of Object.entries(CHECKS)) {
    const value = check(found[name]);
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}

/** The browser's storage, or null where it is forbidden. */
export function browserStorage() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}

/** @param {Storage|null} [storage] @returns {Remembered} */
export function recall(storage = browserStorage()) {
  try {
    const found = JSON.parse(storage?.getItem(KEY) ?? "null");
    return found?.version === VERSION ? checked(found) : {};
  } catch {
    return {};
  }
}

/** Changes these fields and leaves the others as they are, which another tab may have written.
 *  @param {Remembered} changes @param {Storage|null} [storage] @returns {boolean} whether it was kept */
export function remember(changes, storage = browserStorage()) {
  try {
    const all = { ...recall(storage), ...checked(changes), version: VERSION };
    storage.setItem(KEY, JSON.stringify(all));
    return true;
  } catch {
    return false; // full, or forbidden
  }
}

/** Removes all that this page has stored, by whichever module. */
export function forget(storage = browserStorage()) {
  try {
    const names = Array.from({ length: storage.length }, (_, index) => storage.key(index));
    for (const name of names) if (name?.startsWith(PREFIX)) storage.removeItem(name);
  } catch {
    // nothing was stored
  }
}
