// The address that begins a call over the websocket, and its messages.

import assert from "node:assert/strict";
import { test } from "node:test";

import { audio, chatUrl, parse, told, troubleOf } from "../../personaplex_ui/ui/static/page/moshi.mjs";
import { hasOpus, PcmDecoder, PcmEncoder } from "../../personaplex_ui/ui/static/page/codecs.mjs";
import { endsCall } from "../../personaplex_ui/ui/static/page/troubles.mjs";

test("the address keeps the page's prefix and its security", () => {
  const begins = (page) => chatUrl(page, {}, "opus").split("?")[0];
  assert.equal(begins("http://127.0.0.1:7860/?__theme=dark#call"), "ws://127.0.0.1:7860/api/chat");
  assert.equal(begins("https://talk.example.org/voice/"), "wss://talk.example.org/voice/api/chat");
});

test("all settings go with it, and what is not set is left to the server", () => {
  const settings = { voice: "NATF2", text_prompt: "Sag „Ja & Nein“\n#1", text_temperature: 0.7, audio_temperature: 0.8,
    text_top_k: 25, audio_top_k: 250, seed: 42, greedy: true, record: true };
  const query = Object.fromEntries(new URL(chatUrl("https://a.example/", settings, "pcm16")).searchParams);
  assert.deepEqual(query, { voice_prompt: "NATF2", text_prompt: "Sag „Ja & Nein“\n#1", text_temperature: "0.7",
    audio_temperature: "0.8", text_topk: "25", audio_topk: "250", seed: "42", greedy: "1", record: "1", facts: "1",
    audio: "pcm16" });
  const sparse = new URL(chatUrl("https://a.example/", { text_prompt: "", seed: null, record: false }, "opus"));
  assert.deepEqual(Object.fromEntries(sparse.searchParams), { text_prompt: "", facts: "1", audio: "opus" });
});

test("messages are taken apart, and those of unknown kinds mean nothing", () => {
  const bytes = (...values) => Uint8Array.of(...values).buffer;
  assert.deepEqual(parse(bytes(0)), { kind: "live" });
  assert.deepEqual(parse(bytes(1, 7, 8)), { kind: "audio", content: Uint8Array.of(7, 8) });
  assert.deepEqual(parse(bytes(2, 0x20)), { kind: "other" });
  assert.deepEqual(parse(bytes(99)), { kind: "other" });
  assert.deepEqual(parse(told({ type: "say", text: "Grüße" }).buffer), { kind: "told", content: { type: "say", text: "Grüße" } });
  assert.deepEqual(parse(Uint8Array.of(5, ...new TextEncoder().encode("Auf später.")).buffer), { kind: "error", content: "Auf später." });
  assert.deepEqual(audio([Uint8Array.of(1), Uint8Array.of(2, 3)]), Uint8Array.of(1, 1, 2, 3));
});

test("every way to be closed but the normal one is a trouble that ends the call", () => {
  assert.equal(troubleOf(1000), null);
  assert.equal(troubleOf(1006), "lost");
  for (const code of [1001, 1006, 1008, 1009, 1011, 1013, 4000, 4001]) assert.ok(endsCall(troubleOf(code)), `${code}`);
});

test("PCM comes back as it was, and stays within its range", () => {
  const heard = [];
  const decoder = new PcmDecoder((samples, hz) => heard.push([...samples], hz));
  new PcmEncoder((packet) => decoder.decode(packet)).encode(Float32Array.of(0, 0.5, -0.25, 2, -2));
  assert.equal(heard[1], 24_000);
  const expected = [0, 0.5, -0.25, 1, -1];
  heard[0].forEach((sample, index) => assert.ok(Math.abs(sample - expected[index]) < 1e-4, `${sample}`));
});

test("Opus is used only where both directions are known", async () => {
  const knows = (supported) => ({ isConfigSupported: async () => ({ supported }) });
  assert.equal(await hasOpus({}), false);
  assert.equal(await hasOpus({ AudioEncoder: knows(true) }), false);
  assert.equal(await hasOpus({ AudioEncoder: knows(false), AudioDecoder: knows(true) }), false);
  assert.equal(await hasOpus({ AudioEncoder: knows(true), AudioDecoder: knows(true) }), true);
});
