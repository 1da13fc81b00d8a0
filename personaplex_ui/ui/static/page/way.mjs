/** Which way calls take from this browser: WebRTC, or the websocket, where the server says that no UDP reaches it or
 * somebody had to choose it.
 *
 * The choice is forgotten after a day: a person moves between networks.
 */

const KEY = "personaplex.websocket-since";
const KEPT_MS = 24 * 3600 * 1000;

/** @param {{browserCalls?: string}} config the page's; @returns {"webrtc"|"websocket"} */
export function wayOfCalls(config, storage = globalThis.localStorage, now = Date.now()) {
  return config.browserCalls === "websocket" || prefersWebsocket(storage, now) ? "websocket" : "webrtc";
}

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
