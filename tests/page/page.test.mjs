/** Keys, the server's routes, the remembered way, the tone, the store. */

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { ask, health, Refused, serverOf, Unreachable } from "../../personaplex_ui/ui/static/page/api.mjs";
import { needsTone } from "../../personaplex_ui/ui/static/page/effects.mjs";
import { meaning } from "../../personaplex_ui/ui/static/page/keys.mjs";
import { initial } from "../../personaplex_ui/ui/static/page/state.mjs";
import { createStore } from "../../personaplex_ui/ui/static/page/store.mjs";
import {
  forgetWebsocket,
  prefersWebsocket,
  preferWebsocket,
  wayOfCalls,
} from "../../personaplex_ui/ui/static/page/way.mjs";

const realFetch = globalThis.fetch;
afterEach(() => (globalThis.fetch = realFetch));

const answering = (status, body) => async () =>
  new Response(status === 204 ? null : JSON.stringify(body), { status });

const IN_CALL = { inCall: true, holdToTalk: false, typing: false, asking: false, onCheckbox: false };

test("keys of a call", () => {
  assert.equal(meaning({ key: "m" }, IN_CALL), "mute");
  assert.equal(meaning({ key: "M" }, IN_CALL), "mute");
  assert.equal(meaning({ key: "Escape" }, IN_CALL), "ask");
  assert.equal(meaning({ key: " " }, IN_CALL), null);
  assert.equal(meaning({ key: " " }, { ...IN_CALL, holdToTalk: true }), "hold");
  assert.equal(meaning({ key: "m" }, { ...IN_CALL, holdToTalk: true }), null, "it is muted unless held");
});

test("keys that mean something else", () => {
  for (const where of [{ inCall: false }, { typing: true }, { asking: true }]) {
    for (const key of ["m", "Escape", " "]) {
      assert.equal(meaning({ key }, { ...IN_CALL, holdToTalk: true, ...where }), null);
    }
  }
  for (const with_ of ["ctrlKey", "altKey", "metaKey"])
    assert.equal(meaning({ key: "m", [with_]: true }, IN_CALL), null);
  assert.equal(meaning({ key: "m", repeat: true }, IN_CALL), null);
  assert.equal(
    meaning({ key: " " }, { ...IN_CALL, holdToTalk: true, onCheckbox: true }),
    null,
    "it ticks the box",
  );
});

test("an answer, a refusal and no answer", async () => {
  globalThis.fetch = answering(200, { lines: 4 });
  assert.deepEqual(await ask("health"), { lines: 4 });
  globalThis.fetch = answering(204);
  assert.equal(await ask("calls/1", { method: "DELETE" }), null);
  globalThis.fetch = answering(422, {
    detail: "The role is too long.",
    error: "invalid_input",
    field: "text_prompt",
  });
  await assert.rejects(ask("webrtc/offer"), (error) => {
    assert.ok(error instanceof Refused);
    assert.deepEqual(
      [error.sentence, error.code, error.field],
      ["The role is too long.", "invalid_input", "text_prompt"],
    );
    return true;
  });
  globalThis.fetch = async () => new Response("<html>", { status: 502 });
  await assert.rejects(ask("health"), (error) => error instanceof Refused && error.sentence === "");
  globalThis.fetch = async () => {
    throw new TypeError("no network");
  };
  await assert.rejects(ask("health"), Unreachable);
});

test("a server that is silent has not answered, and one that nobody waits for is given up", async () => {
  globalThis.fetch = (_, { signal }) =>
    new Promise((_, reject) => {
      const abort = () => reject(new DOMException("aborted", "AbortError"));
      if (signal.aborted) abort();
      signal.addEventListener("abort", abort);
    });
  await assert.rejects(ask("health", { withinMs: 5 }), Unreachable);
  const stopped = new AbortController();
  const asked = ask("health", { signal: stopped.signal });
  stopped.abort();
  await assert.rejects(asked, { name: "AbortError" });
  await assert.rejects(ask("health", { signal: stopped.signal }), { name: "AbortError" });
});

test("what /health says, ready or not", async () => {
  globalThis.fetch = answering(503, {
    status: "loading",
    message: "The model is being loaded.",
    progress: 0.4,
  });
  const loading = serverOf(await health());
  assert.deepEqual(
    [loading.ready, loading.sentence, loading.progress],
    [false, "The model is being loaded.", 0.4],
  );
  const ready = serverOf({ status: "healthy", model: "echo", lines: 4, lines_free: 3, waiting: 0 });
  assert.deepEqual([ready.ready, ready.linesFree, ready.name], [true, 3, "Demo voice: repeats what you say"]);
  const renewed = serverOf({ status: "draining", message: "It is being renewed.", progress: 1 });
  assert.deepEqual([renewed.ready, renewed.draining, renewed.progress], [false, true, null]);
  assert.equal(serverOf({ status: "failed", message: "It broke.", progress: 0.4 }).progress, null);
  assert.equal(serverOf({ status: "degraded", message: "It restarts.", progress: 0.4 }).progress, 0.4);
  assert.match(serverOf({ status: "failed", message: "It broke." }).sentence, /^It broke\. Reload/);
});

test("the websocket is remembered for a day, where the browser keeps anything", () => {
  const kept = new Map();
  const storage = {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => kept.set(key, value),
    removeItem: (key) => kept.delete(key),
  };
  const hour = 3600e3;
  assert.equal(prefersWebsocket(storage, 10 * hour), false);
  preferWebsocket(storage, 10 * hour);
  assert.equal(prefersWebsocket(storage, 33 * hour), true);
  assert.equal(prefersWebsocket(storage, 35 * hour), false);
  forgetWebsocket(storage);
  assert.equal(prefersWebsocket(storage, 11 * hour), false);
  preferWebsocket(null);
  assert.equal(prefersWebsocket(null), false);
});

test("calls go over the websocket where the server says so, or somebody chose it", () => {
  const chosen = { getItem: () => "1", setItem() {}, removeItem() {} };
  assert.equal(wayOfCalls({}, null), "webrtc");
  assert.equal(wayOfCalls({ browserCalls: "webrtc" }, null), "webrtc");
  assert.equal(wayOfCalls({ browserCalls: "websocket" }, null), "websocket");
  assert.equal(wayOfCalls({ browserCalls: "webrtc" }, chosen, 2), "websocket");
});

test("a tone when one's turn comes, and when a call goes live unseen", () => {
  const at = (step) => ({ step });
  assert.equal(needsTone(at("waiting"), at("preparing"), false), true);
  assert.equal(needsTone(at("preparing"), at("live"), false), false);
  assert.equal(needsTone(at("preparing"), at("live"), true), true);
  assert.equal(needsTone(at("live"), at("live"), true), false);
  assert.equal(needsTone(null, at("permission"), true), false);
  assert.equal(needsTone(at("waiting"), null, true), false);
});

test("a store tells of changes, and only of them", () => {
  const store = createStore(initial({}));
  const told = [];
  store.subscribe((before, state) => told.push([before.record, state.record]));
  store.dispatch({ type: "record", record: false });
  store.dispatch({ type: "facts", facts: {} });
  assert.deepEqual(told, [[true, false]]);
});
