/** Which way calls take from this browser: WebRTC, or the websocket once somebody had to choose it.
 *
 * The choice is forgotten after a day: a person moves between networks.
 */

const KEY = "personaplex.websocket-since";
const KEPT_MS = 24 * 3600 * 1000;

export function prefersWebsocket(storage = globalThis.localStorage, now = Date.now()) {
  try {
    const since = Number(storage.getItem(KEY));
    return since > 0 && now - since < KEPT_MS;
  } catch {
    return false; // a browser may forbid storage
  }
}

export function preferWebsocket(storage = globalThis.localStorage, now = Date.now()) {
  try {
    storage.setItem(KEY, String(now));
  } catch {
    // asked again at the next call
  }
}

/** It did not work either: the next call tries WebRTC again. */
export function forgetWebsocket(storage = globalThis.localStorage) {
  try {
    storage.removeItem(KEY);
  } catch {
    // nothing was kept
  }
}
