// Ogg pages and Opus packets, without a browser. Real decoders read the same in test_ogg.py.

import assert from "node:assert/strict";
import { test } from "node:test";

import { OggDemuxer, OggMuxer, joined, samplesOf } from "../../personaplex_ui/ui/static/page/ogg.mjs";

/** Reproducible: a linear congruential generator. */
function random(seed) {
  let state = seed;
  return (most) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * most);
  };
}

function packetOf(length, next) {
  const packet = Uint8Array.from({ length }, () => next(256));
  if (length) packet[0] = 0x78; // SILK/CELT, 20 ms, one frame: never the beginning of "OpusHead"
  return packet;
}

const EDGES = [1, 2, 254, 255, 256, 509, 510, 511, 764, 765, 766, 1275, 61_439, 61_440];

test("every length of packet comes out as it went in", () => {
  const next = random(1);
  const muxer = new OggMuxer({ serial: 7 });
  const packets = [...EDGES, ...Array.from({ length: 200 }, () => 1 + next(1500))].map((length) => packetOf(length, next));
  const stream = joined([muxer.head(), ...packets.map((packet) => muxer.page([packet]))]);
  const demuxer = new OggDemuxer();
  assert.deepEqual(demuxer.receive(stream), packets);
  assert.equal(demuxer.skippedBytes, 0);
});

test("a stream may be cut anywhere", () => {
  const next = random(2);
  const muxer = new OggMuxer();
  const packets = Array.from({ length: 120 }, () => packetOf(1 + next(600), next));
  const pages = [muxer.head()];
  for (let at = 0; at < packets.length; at += 3) pages.push(muxer.page(packets.slice(at, at + 3)));
  const stream = joined(pages);
  const demuxer = new OggDemuxer();
  const found = [];
  for (let at = 0; at < stream.length; ) {
    const length = 1 + next(700);
    found.push(...demuxer.receive(stream.subarray(at, at + length)));
    at += length;
  }
  assert.deepEqual(found, packets);
});

test("a page says how many samples came so far, across 32 bits", () => {
  const muxer = new OggMuxer();
  muxer.head();
  const packet = packetOf(10, random(3));
  const granules = (page) => new DataView(page.buffer).getUint32(6, true);
  assert.equal(granules(muxer.page([packet])), 960);
  assert.equal(granules(muxer.page([packet, packet])), 2880);
});

test("more than a page holds is refused", () => {
  const packet = packetOf(40_000, random(4));
  assert.throws(() => new OggMuxer().page([packet, packet]), RangeError);
});

test("junk and a damaged page are skipped, and reading goes on with the next page", () => {
  const next = random(5);
  const muxer = new OggMuxer();
  const packets = Array.from({ length: 5 }, () => packetOf(300, next));
  const pages = packets.map((packet) => muxer.page([packet]));
  pages[1][100] ^= 0xff;
  const junk = Uint8Array.from([0x4f, 0x67, 0x67, 0x53, 0, 1, 2, 3]);
  const demuxer = new OggDemuxer();
  const found = demuxer.receive(joined([muxer.head(), pages[0], junk, pages[1], pages[2], pages[3], pages[4]]));
  assert.deepEqual(found, [packets[0], packets[2], packets[3], packets[4]]);
  assert.equal(demuxer.skippedBytes, junk.length + pages[1].length);
});

test("a packet that continues on the next page is put together, and dropped without its beginning", () => {
  const next = random(6);
  const packet = packetOf(600, next);
  const [first, second] = continued(packet);
  const demuxer = new OggDemuxer();
  assert.deepEqual(demuxer.receive(first), []);
  assert.deepEqual(demuxer.receive(second), [packet]);
  const whole = new OggMuxer().page([packet]);
  assert.deepEqual(new OggDemuxer().receive(joined([second, whole])), [packet]);
});

/** The packet on two pages, as other encoders lay it out: the first ends with a full segment. */
function continued(packet) {
  const page = (body, lacing, flags) => {
    const bytes = joined([Uint8Array.from([0x4f, 0x67, 0x67, 0x53, 0, flags]), new Uint8Array(20),
      Uint8Array.from([lacing.length, ...lacing]), body]);
    new DataView(bytes.buffer).setUint32(22, slowChecksum(bytes), true);
    return bytes;
  };
  return [
    page(packet.subarray(0, 510), [255, 255], 0),
    page(packet.subarray(510), [packet.length - 510], 1),
  ];
}

/** Bit by bit, as the RFC describes it. */
function slowChecksum(bytes) {
  let remainder = 0;
  for (const byte of bytes) {
    remainder ^= byte << 24;
    for (let bit = 0; bit < 8; bit++) remainder = remainder < 0 ? (remainder << 1) ^ 0x04c11db7 : remainder << 1;
  }
  return remainder >>> 0;
}

test("the length of a packet's sound", () => {
  const lengths = [
    [[0x78], 960], // CELT, 20 ms
    [[0x79], 1920], // two frames
    [[0x0b, 3], 2880], // SILK of 20 ms, three frames counted
    [[0xe0], 120], // CELT, 2.5 ms
    [[0x7b, 0x3f], 0], // longer than 120 ms
    [[], 0],
  ];
  for (const [bytes, samples] of lengths) assert.equal(samplesOf(Uint8Array.from(bytes)), samples, `${bytes}`);
});
