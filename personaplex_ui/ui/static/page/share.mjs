/** Links that carry a role and a voice, in the fragment, which a browser never sends to a server.
 *
 * A link is somebody else's: what it carries is checked, shown as text, and starts nothing.
 */

import { FROM_LINK, fromLink, OWN, preset, roleOf } from "./roles.mjs";
import { MAX_TEXT } from "./storage.mjs";

const MAX_FRAGMENT = 20000;
// All control characters but tab and line break, and those that turn the direction of writing around.
const UNUSABLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** @param {import("./state.mjs").Persona} persona @param {{href: string}} place @returns {string} */
export function linkTo(persona, place) {
  const carried = new URLSearchParams();
  if (persona.roleId === OWN || persona.roleId === FROM_LINK) carried.set("text", persona.text);
  else carried.set("role", persona.roleId);
  if (!persona.voice.startsWith("own-")) carried.set("voice", persona.voice);
  const url = new URL(place.href);
  url.search = "";
  url.hash = carried.toString();
  return url.href;
}

/** What a fragment carries, as far as it can be used here.
 *  @param {string} hash @param {object} config @returns {Partial<import("./state.mjs").Persona>|null} */
export function readLink(hash, config) {
  const fragment = hash.replace(/^#/, "");
  if (!fragment || fragment.length > MAX_FRAGMENT) return null;
  const carried = new URLSearchParams(fragment);
  const voice = config.voices?.find(({ name }) => name === carried.get("voice"));
  const role = roleOf(config, carried.get("role"));
  const text = carried.get("text")?.replace(/\r\n?/g, "\n").replace(UNUSABLE, "").slice(0, MAX_TEXT);
  if (!voice && !role && !text?.trim()) return null;
  return {
    ...(voice ? { voice: voice.name, voiceLabel: voice.label } : {}),
    ...(role ? preset(role) : text?.trim() ? fromLink(text) : {}),
  };
}

/** The call whose page the address asks for. @param {string} search @returns {string|null} */
export function callIn(search) {
  const id = new URLSearchParams(search).get("call");
  return id && /^[A-Za-z0-9_-]{1,64}$/.test(id) ? id : null;
}

/** The address with the call's page, or without one. @param {{href: string}} place @param {string|null} callId */
export function addressOf(place, callId) {
  const url = new URL(place.href);
  if (callId) url.searchParams.set("call", callId);
  else url.searchParams.delete("call");
  return url.href;
}

/** Copies the link of this role and voice. @returns {Promise<boolean>} whether it is in the clipboard */
export async function copyLink(persona) {
  const link = linkTo(persona, location);
  try {
    await navigator.clipboard.writeText(link);
    return true;
  } catch {
    return copyOldWay(link); // not allowed, or not a secure page
  }
}

function copyOldWay(link) {
  const field = document.createElement("textarea");
  field.value = link;
  field.style.cssText = "position:fixed;opacity:0";
  document.body.append(field);
  field.select();
  try {
    return document.execCommand("copy");
  } catch {
    return false;
  } finally {
    field.remove();
  }
}
