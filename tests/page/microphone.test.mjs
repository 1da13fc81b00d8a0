/** Opening, changing and losing the microphone, with devices that the test holds. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Microphone, obstacle } from "../../personaplex_ui/ui/static/page/microphone.mjs";
import { FakeStream, FakeTrack, settled } from "./fakes.mjs";

class FakeDevices extends EventTarget {
  asked = [];
  opened = [];
  failing = null;
  listed = [
    { kind: "audioinput", deviceId: "built-in", label: "Built in" },
    { kind: "audioinput", deviceId: "headset", label: "" },
    { kind: "audiooutput", deviceId: "speaker", label: "Speaker" },
    { kind: "videoinput", deviceId: "camera", label: "Camera" },
    { kind: "audioinput", deviceId: "", label: "not allowed yet" },
  ];
  async getUserMedia({ audio }) {
    const id = audio.deviceId?.exact ?? "";
    this.asked.push(id);
    if (id && !this.listed.some(({ deviceId }) => deviceId === id)) throw { name: "OverconstrainedError" };
    if (this.failing) throw { name: this.failing };
    this.opened.push(new FakeTrack(id || "built-in"));
    return new FakeStream([this.opened.at(-1)]);
  }
  async enumerateDevices() {
    return this.listed;
  }
}

function microphone() {
  const devices = new FakeDevices();
  const told = { unplugged: 0, lists: [] };
  const opened = new Microphone(devices, {
    unplugged: () => (told.unplugged += 1),
    devices: (lists) => told.lists.push(lists),
  });
  return { devices, told, microphone: opened };
}

test("opening tells the devices by name, and which one is used", async () => {
  const { told, microphone: opened } = microphone();
  assert.equal(await opened.open(""), null);
  assert.deepEqual(told.lists.at(-1), {
    inputs: [
      { id: "built-in", label: "Built in" },
      { id: "headset", label: "Microphone 2" },
    ],
    outputs: [{ id: "speaker", label: "Speaker" }],
    inputId: "built-in",
  });
});

test("each failure has its kind", async () => {
  const kinds = {
    NotAllowedError: "denied",
    SecurityError: "denied",
    NotFoundError: "no_microphone",
    NotReadableError: "in_use",
    AbortError: "in_use",
    OverconstrainedError: "unusable",
    TypeError: "unusable",
  };
  for (const [name, kind] of Object.entries(kinds)) {
    const { devices, microphone: opened } = microphone();
    devices.failing = name;
    assert.equal(await opened.open(""), kind);
    assert.equal(opened.stream, null);
  }
});

test("a chosen device that is gone gives way to the system's", async () => {
  const { devices, microphone: opened } = microphone();
  assert.equal(await opened.open("sold last week"), null);
  assert.deepEqual(devices.asked, ["sold last week", ""]);
});

test("muting stops what is sent and not what is watched", async () => {
  const { microphone: opened } = microphone();
  await opened.open("");
  opened.enable(false);
  assert.equal(opened.stream.getAudioTracks()[0].enabled, false);
  assert.equal(opened.watched.getAudioTracks()[0].enabled, true);
});

test("another device is muted as the one before it, which is closed", async () => {
  const { devices, told, microphone: opened } = microphone();
  await opened.open("");
  opened.enable(false);
  const watched = opened.watched;
  await opened.open("headset");
  assert.equal(opened.stream.getAudioTracks()[0].enabled, false);
  assert.equal(devices.opened[0].readyState, "ended");
  assert.equal(watched.getTracks()[0].readyState, "ended");
  assert.equal(told.unplugged, 0, "what we close ourselves was not pulled out");
});

test("a device that cannot be opened leaves the one before it in use", async () => {
  const { devices, microphone: opened } = microphone();
  await opened.open("");
  devices.failing = "NotReadableError";
  assert.equal(await opened.open("headset"), "in_use");
  assert.equal(opened.stream.getAudioTracks()[0].readyState, "live");
});

test("hanging up while the browser still asks closes the microphone once it is allowed", async () => {
  const { devices, microphone: opened } = microphone();
  const opening = opened.open("");
  opened.close();
  assert.equal(await opening, null);
  assert.equal(opened.stream, null);
  assert.deepEqual(
    devices.opened.map(({ readyState }) => readyState),
    ["ended"],
  );
});

test("pulling it out is told; a list that changes is told anew", async () => {
  const { devices, told, microphone: opened } = microphone();
  await opened.open("");
  devices.opened[0].unplug();
  assert.equal(told.unplugged, 1);
  assert.equal(opened.unplugged, true);
  devices.listed = devices.listed.slice(1);
  devices.dispatchEvent(new Event("devicechange"));
  await settled();
  assert.deepEqual(
    told.lists.at(-1).inputs.map(({ id }) => id),
    ["headset"],
  );
});

test("after twenty calls nothing is left open", async () => {
  const { devices, microphone: opened } = microphone();
  for (let call = 0; call < 20; call += 1) {
    await opened.open("");
    opened.close();
  }
  assert.equal(devices.opened.length, 20);
  assert.deepEqual(
    devices.opened.filter(({ readyState }) => readyState === "live"),
    [],
  );
});

test("what stands in the way of any call", () => {
  const mediaDevices = { getUserMedia() {} };
  assert.equal(obstacle("webrtc", { navigator: {} }), "insecure");
  assert.equal(obstacle("webrtc", { navigator: { mediaDevices } }), "no_webrtc");
  assert.equal(obstacle("websocket", { navigator: { mediaDevices } }), null);
  assert.equal(obstacle("webrtc", { navigator: { mediaDevices }, RTCPeerConnection: class {} }), null);
});
