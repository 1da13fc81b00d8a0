/** The server's HTTP routes as functions. All URLs are relative to the page, which may live behind a prefix.
 *
 * Knows no state and no DOM. A refusal is told in the server's own sentence.
 */

const ANSWER_WITHIN_MS = 12000;

/** The server answered, and said no. `sentence` is for people; `code` and `field` are for programs. */
export class Refused extends Error {
  constructor(status, { detail = "", error = "", field = "" } = {}) {
    super(typeof detail === "string" ? detail : "");
    this.name = "Refused";
    this.status = status;
    this.code = error;
    this.field = field;
  }
  get sentence() {
    return this.message;
  }
}

/** No answer: no network, no server, or it took too long. */
export class Unreachable extends Error {
  constructor(cause) {
    super("The server does not answer.", { cause });
    this.name = "Unreachable";
  }
}

/** @param {string} url relative @param {{method?: string, body?: object, signal?: AbortSignal,
 *  withinMs?: number, also?: number[]}} [how] `also`: statuses besides 2xx whose JSON is an answer
 *  @returns {Promise<any>} the JSON, or null where there is none
 *  @throws {Refused|Unreachable|DOMException} an AbortError once `signal` is aborted */
export async function ask(
  url,
  { method = "GET", body, signal, withinMs = ANSWER_WITHIN_MS, also = [] } = {},
) {
  const limit = new AbortController();
  const giveUp = () => limit.abort();
  const timer = setTimeout(giveUp, withinMs);
  if (signal?.aborted) giveUp();
  signal?.addEventListener("abort", giveUp, { once: true });
  try {
    const response = await fetch(url, {
      method,
      cache: "no-store",
      credentials: "same-origin",
      headers: body ? { "Content-Type": "application/json" } : undefined,
      body: body ? JSON.stringify(body) : undefined,
      signal: limit.signal,
    });
    const told = response.status === 204 ? null : await response.json().catch(() => null);
    if (!response.ok && !also.includes(response.status)) throw new Refused(response.status, told ?? {});
    return told;
  } catch (error) {
    if (error instanceof Refused) throw error;
    if (signal?.aborted) throw new DOMException("No longer wanted.", "AbortError");
    throw new Unreachable(error);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", giveUp);
  }
}

const path = (id) => encodeURIComponent(id);

export const webrtcConfig = (signal) => ask("webrtc/config", { signal });
export const sendOffer = (body, signal, place = "") =>
  ask(`${place}webrtc/offer`, { method: "POST", body, signal });
export const callFacts = (webrtcId, signal, place = "") =>
  ask(`${place}webrtc/calls/${path(webrtcId)}`, { signal, withinMs: 5000 });
export const calls = async () => (await ask("calls")).calls;
export const deleteCall = (callId) => ask(`${placeOf(callId)}calls/${path(callId)}`, { method: "DELETE" });

/** What is kept of a call, its files' addresses relative to the page. */
export async function callRecord(callId, signal) {
  const place = placeOf(callId);
  const record = await ask(`${place}calls/${path(callId)}`, { signal });
  const files = Object.entries(record.files ?? {}).map(([kind, url]) => [kind, url && `${place}${url}`]);
  return { ...record, files: Object.fromEntries(files) };
}

const places = new Map();
const placeOf = (callId) => places.get(callId) ?? "";

/** Which of several servers has a call. @param {string} callId @param {string} place as of `placeIn` */
export const keepPlace = (callId, place) => place && places.set(callId, place);

/** Where the server that answered is reached, relative to the page: of several servers at one address another may
 *  have the page. @param {{instance_path?: string}|null} config @returns {string} as in "gpu-2/", or empty */
export const placeIn = (config) => (config?.instance_path ? `${config.instance_path.slice(1)}/` : "");
export const visitor = () => ask("visitor");
export const health = () => ask("health", { also: [503], withinMs: 4000 });

const NAMES = { echo: "Demo voice: repeats what you say", cascade: "Small models, without a GPU" };

/** What `/health` says -> `state.server`. @returns {Partial<import("./state.mjs").Server>} */
export function serverOf(told) {
  const ready = told?.status === "healthy";
  const engine = told?.model ?? "";
  return {
    ready,
    draining: told?.status === "draining",
    sentence: ready ? "" : sentenceOf(told),
    name: NAMES[engine.split(" ")[0]] ?? "PersonaPlex",
    engine,
    linesFree: told?.lines_free ?? null,
    lines: told?.lines ?? null,
    waiting: told?.waiting ?? 0,
    licence: told?.licence ?? "",
    progress: LOADS.includes(told?.status) ? (told.progress ?? null) : null,
  };
}

/** Only these go on to something; the others tell how far the loading once was. */
const LOADS = ["loading", "degraded"];

function sentenceOf(told) {
  const sentence = told?.message || "Calls cannot be taken now.";
  return told?.status === "failed" ? `${sentence} Reload the page to try again.` : sentence;
}
