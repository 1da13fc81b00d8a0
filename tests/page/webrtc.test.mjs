/** A call over WebRTC, with a peer, a server and a clock that the test holds. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Refused, Unreachable } from "../../personaplex_ui/ui/static/page/api.mjs";
import { countsOf, figuresOf, WebRtcTransport } from "../../personaplex_ui/ui/static/page/webrtc.mjs";
import { FakePeer, FakeStream, FakeTimers, FakeTrack, settled } from "./fakes.mjs";

/** @param {object} answers of the server, by the name of the function in api.mjs */
function call(answers = {}, peerFields = {}) {
  const timers = new FakeTimers();
  const peers = [];
  const events = [];
  const offers = [];
  const places = [];
  const api = {
    webrtcConfig: async () => ({ iceServers: [] }),
    sendOffer: async (body, _signal, place) => {
      offers.push(body);
      places.push(place);
      return { type: "answer", sdp: "their sdp" };
    },
    callFacts: async () => {
      throw new Refused(404, { detail: "There is no such call." });
    },
    ...answers,
  };
  const makePeer = (config) => {
    peers.push(Object.assign(new FakePeer(config), peerFields));
    return peers.at(-1);
  };
  const microphone = new FakeStream([new FakeTrack()]);
  const transport = new WebRtcTransport(
    { settings: { voice: "NATF2" }, microphone, on: (event) => events.push(event) },
    { ...timers, api, makePeer, makeStream: () => new FakeStream(), makeId: () => "id1" },
  );
  const seen = {
    transport,
    timers,
    events,
    offers,
    places,
    microphone,
    get peer() {
      return peers.at(-1);
    },
    troubles: () => events.filter(({ type }) => type === "trouble").map(({ trouble }) => trouble),
    facts: () => events.filter(({ type }) => type === "facts").map(({ facts }) => facts),
  };
  return seen;
}

async function connected(answers) {
  const seen = call(answers);
  await seen.transport.start();
  seen.peer.become("connected");
  seen.peer.channel.open();
  return seen;
}

function assertClosed({ transport, peer, timers, microphone }) {
  assert.equal(transport.closed, true);
  if (peer) assert.equal(peer.connectionState, "closed");
  assert.equal(timers.waiting, 0);
  assert.deepEqual(
    transport.output.getTracks().filter((track) => track.readyState === "live"),
    [],
  );
  assert.equal(microphone.getTracks()[0].readyState, "live", "it belongs to whoever opened it");
}

test("an offer carries the settings, and the answer opens the way of facts", async () => {
  const seen = await connected();
  assert.deepEqual(seen.offers, [
    { webrtc_id: "id1", type: "offer", sdp: "our sdp", settings: { voice: "NATF2" } },
  ]);
  assert.equal(seen.peer.channel.label, "text");
  assert.equal(seen.transport.output.getTracks().length, 1);
  seen.peer.channel.tell({ type: "facts", seq: 1, phase: "live" });
  seen.peer.channel.tell({ type: "log", data: "FastRTC's own" });
  seen.peer.channel.tell("no JSON");
  assert.deepEqual(seen.facts(), [{ type: "facts", seq: 1, phase: "live" }]);
  assert.deepEqual(seen.troubles(), []);
});

test("the server that answered first is the one that is called", async () => {
  const asked = [];
  const seen = await connected({
    webrtcConfig: async () => ({ iceServers: [], instance_path: "/gpu-2" }),
    callFacts: async (_id, _signal, place) => {
      asked.push(place);
      return { phase: "live" };
    },
  });
  seen.peer.channel.tell({ type: "facts", seq: 1, phase: "live" });
  await settled();
  assert.deepEqual(seen.places, ["gpu-2/"]);
  assert.deepEqual(asked, ["gpu-2/"]);
  assert.equal(seen.transport.place, "gpu-2/");
  const alone = await connected();
  assert.deepEqual([alone.places, alone.transport.place], [[""], ""]);
});

test("what the server refuses is told in its sentence", async () => {
  const refuse = async () => {
    throw new Refused(503, { detail: "All lines are busy." });
  };
  for (const name of ["webrtcConfig", "sendOffer"]) {
    const seen = call({ [name]: refuse });
    await seen.transport.start();
    assert.deepEqual(
      seen.troubles().map(({ kind, sentence }) => [kind, sentence]),
      [["refused", "All lines are busy."]],
    );
    assertClosed(seen);
  }
});

test("a server that does not answer is told once", async () => {
  const seen = call({
    sendOffer: async () => {
      throw new Unreachable(new TypeError("no network"));
    },
  });
  await seen.transport.start();
  assert.deepEqual(
    seen.troubles().map(({ kind }) => kind),
    ["unreachable"],
  );
  assertClosed(seen);
});

test("no connection within five seconds of the answer means that UDP is blocked", async () => {
  const seen = call();
  await seen.transport.start();
  await seen.timers.pass(4400);
  assert.deepEqual(seen.troubles(), []);
  await seen.timers.pass(200);
  assert.deepEqual(
    seen.troubles().map(({ kind, remedy }) => [kind, remedy.action]),
    [["no_udp", "useWebsocket"]],
  );
  assertClosed(seen);
});

test("a connection that fails at once is told at once", async () => {
  const seen = call();
  await seen.transport.start();
  seen.peer.become("failed");
  assert.deepEqual(
    seen.troubles().map(({ kind }) => kind),
    ["no_udp"],
  );
});

test("hanging up while a slow server answers leaves nothing open, and tells nothing", async () => {
  let answer;
  const seen = call({ sendOffer: () => new Promise((resolve) => (answer = resolve)) });
  const started = seen.transport.start();
  await settled();
  seen.transport.hangUp();
  answer({ type: "answer", sdp: "too late" });
  await started;
  assert.equal(seen.peer.remoteDescription, null);
  assert.deepEqual(seen.events, []);
  assertClosed(seen);
});

test("hanging up before the configuration has come makes no peer", async () => {
  let answer;
  const seen = call({ webrtcConfig: () => new Promise((resolve) => (answer = resolve)) });
  const started = seen.transport.start();
  seen.transport.hangUp();
  answer({});
  await started;
  assert.equal(seen.peer, undefined);
  assert.deepEqual(seen.offers, []);
});

test("a broken network has seven seconds to come back", async () => {
  const seen = await connected();
  seen.peer.become("disconnected");
  await seen.timers.pass(6900);
  seen.peer.become("connected");
  seen.peer.become("disconnected");
  await seen.timers.pass(6900);
  assert.deepEqual(seen.troubles(), [], "each break has its own seven seconds");
  await seen.timers.pass(200);
  assert.deepEqual(
    seen.troubles().map(({ kind }) => kind),
    ["lost"],
  );
  const networks = seen.events.filter(({ type }) => type === "network").map(({ network }) => network);
  assert.deepEqual(networks, ["good", "reconnecting", "good", "reconnecting"]);
  assertClosed(seen);
});

test("when the server closes the connection, its reason is asked for", async () => {
  const ended = { type: "facts", seq: 0, phase: "ended", reason: "The time is over.", end: "time_limit" };
  const seen = await connected({ callFacts: async () => ended });
  seen.peer.become("closed");
  await settled();
  assert.deepEqual([seen.facts(), seen.troubles()], [[ended], []]);
  assertClosed(seen);
});

test("a server that has stopped is told as soon as somebody else answers in its place", async () => {
  for (const [status, kind] of [[404, "gone"], [503, "gone"], [429, "lost"]]) {
    const answers = { callFacts: async () => ({ type: "facts", seq: 0, phase: "live" }) };
    const seen = await connected({ callFacts: (...given) => answers.callFacts(...given) });
    seen.peer.channel.tell({ type: "facts", seq: 1, phase: "live" });
    await settled();
    answers.callFacts = async () => {
      throw new Refused(status, { detail: "There is no such call." });
    };
    seen.peer.become("disconnected");
    await settled();
    assert.equal(seen.troubles().length, kind === "gone" ? 1 : 0);
    await seen.timers.pass(7100);
    assert.deepEqual(
      seen.troubles().map((told) => [told.kind, told.remedy.action]),
      [[kind, "start"]],
    );
    assertClosed(seen);
  }
});

test("a server that never knew the cookie is not taken for one that has stopped", async () => {
  const seen = await connected(); // it answers 404, as for a browser that blocks the cookie
  const live = (seq) => seen.peer.channel.tell({ type: "facts", seq, phase: "live" });
  live(1);
  await settled();
  seen.peer.become("disconnected");
  await seen.timers.pass(4000);
  assert.deepEqual(seen.troubles(), []);
  seen.peer.become("connected");
  live(2);
  await seen.timers.pass(2400);
  assert.deepEqual(seen.troubles(), []);
});

test("a broken network that comes back while the server is asked ends nothing", async () => {
  let answer;
  const seen = await connected({ callFacts: () => new Promise((_, refuse) => (answer = refuse)) });
  seen.peer.channel.tell({ type: "facts", seq: 1, phase: "live" });
  seen.peer.become("disconnected");
  seen.peer.become("connected");
  seen.peer.channel.tell({ type: "facts", seq: 2, phase: "live" });
  answer(new Refused(503));
  await settled();
  assert.deepEqual(seen.troubles(), []);
});

/** A live call whose server tells nothing any more over the channel, and `answer` by HTTP. */
async function fallenSilent(answer) {
  const answers = { callFacts: async () => ({ type: "facts", seq: 0, phase: "live" }) };
  const seen = await connected({ callFacts: (...given) => answers.callFacts(...given) });
  seen.peer.channel.tell({ type: "facts", seq: 1, phase: "live" });
  await settled();
  answers.callFacts = answer;
  return seen;
}

const networks = (seen) => seen.events.filter(({ type }) => type === "network").map(({ network }) => network);

test("a server that falls silent is asked, and one that is still there is heard on", async () => {
  let asked = 0;
  const seen = await fallenSilent(async () => {
    asked += 1;
    return { type: "facts", seq: 0, phase: "live" };
  });
  await seen.timers.pass(2400);
  assert.equal(asked, 0);
  await seen.timers.pass(200);
  assert.equal(asked, 1);
  assert.deepEqual(networks(seen), ["good", "reconnecting", "good"]);
  assert.deepEqual(seen.troubles(), []);
});

test("a server that falls silent and is not known to who answers has stopped", async () => {
  const seen = await fallenSilent(async () => {
    throw new Refused(404, { detail: "There is no such call." });
  });
  await seen.timers.pass(2600);
  assert.deepEqual([networks(seen).at(-1), seen.troubles()], ["reconnecting", []], "once may be a hiccup");
  await seen.timers.pass(1000);
  assert.deepEqual(
    seen.troubles().map(({ kind }) => kind),
    ["gone"],
  );
  assertClosed(seen);
});

test("a server that falls silent and does not answer is given seven seconds", async () => {
  const seen = await fallenSilent(async () => {
    throw new Unreachable(new TypeError("no network"));
  });
  await seen.timers.pass(2500 + 5900);
  assert.deepEqual(seen.troubles(), []);
  await seen.timers.pass(1200);
  assert.deepEqual(
    seen.troubles().map(({ kind }) => kind),
    ["lost"],
  );
  assertClosed(seen);
});

test("a call that ended while its server was silent ends with its reason", async () => {
  const ended = { type: "facts", seq: 0, phase: "ended", reason: "The time is over.", end: "time_limit" };
  const seen = await fallenSilent(async () => ended);
  await seen.timers.pass(2600);
  assert.deepEqual([seen.facts().at(-1), seen.troubles()], [ended, []]);
  assertClosed(seen);
});

test("facts of the end close everything, and nothing is told after them", async () => {
  const seen = await connected();
  seen.peer.channel.tell({ type: "facts", seq: 2, phase: "ended", end: "hung_up" });
  assertClosed(seen);
  seen.peer.become("failed");
  seen.peer.channel.tell({ type: "facts", seq: 3, phase: "live" });
  await seen.timers.pass(20000);
  assert.equal(seen.events.at(-1).facts.phase, "ended");
});

test("until the channel is open, facts are asked for, once a second", async () => {
  let asked = 0;
  const waiting = { type: "facts", seq: 0, phase: "waiting", place: 2 };
  const seen = call({
    callFacts: async () => {
      asked += 1;
      if (asked === 1) throw new Refused(404);
      return waiting;
    },
  });
  await seen.transport.start();
  await seen.timers.pass(2100);
  assert.deepEqual(seen.facts(), [waiting]);
  seen.peer.become("connected");
  seen.peer.channel.open();
  await seen.timers.pass(5000);
  assert.equal(asked, 2);
});

test("candidates found after the offer are sent after its answer", async () => {
  const seen = call({}, { iceGatheringState: "gathering" });
  const started = seen.transport.start();
  await settled();
  seen.peer.find("candidate:in the offer");
  await seen.timers.pass(1000);
  await started;
  seen.peer.find("candidate:late");
  await settled();
  assert.deepEqual(
    seen.offers.map(({ type }) => type),
    ["offer", "ice-candidate"],
  );
  assert.equal(seen.offers[1].candidate.candidate, "candidate:late");
});

test("messages go when the channel is open, and say so when not", async () => {
  const seen = call();
  await seen.transport.start();
  assert.equal(seen.transport.send({ type: "say", text: "Hello" }), false);
  seen.peer.channel.open();
  assert.equal(seen.transport.send({ type: "say", text: "Hello" }), true);
  seen.transport.hangUp();
  assert.deepEqual(seen.peer.channel.sent, [{ type: "say", text: "Hello" }, { type: "bye" }]);
});

test("what the server does not take is told, and the call goes on", async () => {
  const seen = await connected();
  seen.peer.channel.tell({ type: "error", sentence: "That is too long." });
  assert.deepEqual(
    seen.troubles().map(({ kind, sentence }) => [kind, sentence]),
    [["not_taken", "That is too long."]],
  );
  assert.equal(seen.transport.closed, false);
});

test("another microphone takes the place of the first", async () => {
  const seen = await connected();
  const other = new FakeTrack("headset");
  await seen.transport.replaceMicrophone(new FakeStream([other]));
  assert.equal(seen.peer.senders[0].track, other);
});

test("figures of the connection count what was lost since the last time", async () => {
  const report = (lost, received) =>
    new Map([
      ["pair", { type: "candidate-pair", nominated: true, currentRoundTripTime: 0.05 }],
      [
        "in",
        { type: "inbound-rtp", kind: "audio", packetsLost: lost, packetsReceived: received, jitter: 0.01 },
      ],
      ["out", { type: "remote-inbound-rtp", kind: "audio", fractionLost: 0.02 }],
    ]);
  const figures = figuresOf(countsOf(report(10, 100)), countsOf(report(20, 190)));
  assert.deepEqual(figures, { rttMs: 50, lossPercent: 10, jitterMs: 10 });
  assert.equal(figuresOf(countsOf(report(20, 190)), countsOf(report(20, 290))).lossPercent, 2);
  const seen = await connected();
  seen.peer.report = report(0, 100);
  assert.equal(await seen.transport.stats(), null, "one reading says nothing yet");
  assert.equal((await seen.transport.stats()).rttMs, 50);
});
