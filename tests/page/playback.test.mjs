// The player's buffer against networks that are late, bursty or a little fast or slow. Time is counted in samples.

import assert from "node:assert/strict";
import { test } from "node:test";

import { JitterBuffer } from "../../personaplex_ui/ui/static/page/playback.mjs";

const HZ = 48_000;
const BLOCK = 128;
const PIECE_SEC = 0.08;
const PIECE = PIECE_SEC * HZ;

/** Speech: a tone for 1.2 s of each 2 s, else silence. */
function speech(start, length) {
  return Float32Array.from({ length }, (_, index) => {
    const at = (start + index) / HZ;
    return at % 2 < 1.2 ? 0.3 * Math.sin(2 * Math.PI * 300 * at) : 0;
  });
}

/** Plays `sec` of the sound of a sender whose n-th piece arrives at `arrival(n)` seconds; what is heard, and the
 *  longest that lay in the buffer in each second. */
function play(sec, arrival, sound = speech) {
  const buffer = new JitterBuffer(HZ);
  const heard = [];
  const heldSec = [];
  let next = 0;
  for (let at = 0; at < sec * HZ; at += BLOCK) {
    while (arrival(next) * HZ <= at) {
      buffer.push(sound(next * PIECE, PIECE));
      next += 1;
    }
    const block = new Float32Array(BLOCK);
    buffer.pull(block);
    heard.push(...block);
    const second = Math.floor(at / HZ);
    heldSec[second] = Math.max(heldSec[second] ?? 0, buffer.heldSec);
  }
  return { buffer, heard, heldSec };
}

const regular = (piece) => piece * PIECE_SEC;

test("a regular sender is heard whole, after 60 ms", () => {
  const { buffer, heard } = play(4, regular);
  const first = heard.findIndex((sample) => Math.abs(sample) > 0.1);
  assert.ok(first / HZ > 0.055 && first / HZ < 0.075, `${first / HZ}`);
  assert.equal(buffer.counts.gaps, 0);
  assert.equal(buffer.counts.dropped, 0);
  const expected = speech(0, HZ);
  const begin = Math.round(0.06 * HZ / BLOCK) * BLOCK;
  const error = Math.max(...expected.slice(300).map((sample, index) => Math.abs(sample - heard[begin - BLOCK + 300 + index])));
  const later = Math.max(...expected.slice(300).map((sample, index) => Math.abs(sample - heard[begin + 300 + index])));
  assert.ok(Math.min(error, later) < 1e-6, `${error} ${later}`);
});

test("pieces up to 50 ms late make no gap", () => {
  const { buffer } = play(60, (piece) => regular(piece) + 0.05 * ((piece * 7919) % 100) / 100);
  assert.equal(buffer.counts.gaps, 0);
});

test("pieces up to 150 ms late make a few gaps, then the reserve is large enough", () => {
  const late = (piece) => regular(piece) + (piece % 40 === 39 ? 0.15 : 0);
  const { buffer } = play(60, late);
  assert.ok(buffer.counts.gaps >= 1 && buffer.counts.gaps <= 4, `${buffer.counts.gaps}`);
  assert.ok(buffer.targetSec > 0.06 && buffer.targetSec <= 0.2, `${buffer.targetSec}`);
});

test("a stall's backlog is not played late: the lag is gone soon after", () => {
  for (const stallSec of [0.3, 0.7, 3]) {
    const { heldSec, buffer } = play(20, (piece) => (regular(piece) > 5 && regular(piece) < 5 + stallSec ? 5 + stallSec : regular(piece)));
    assert.ok(Math.max(...heldSec.slice(12)) < 0.2 + PIECE_SEC + 0.05, `${stallSec} ${heldSec}`);
    assert.ok(buffer.counts.dropped / HZ > stallSec - 0.3, `${stallSec} ${buffer.counts.dropped / HZ}`);
  }
});

test("what is dropped to catch up is quiet, as long as there are pauses", () => {
  // 300 ms arrive at once that were not missed: a sender that began too early.
  const { heard, buffer } = play(10, (piece) => Math.max(0, regular(piece) - (piece > 30 ? 0.3 : 0)));
  assert.ok(buffer.counts.dropped / HZ > 0.2);
  const loud = heard.filter((sample) => Math.abs(sample) > 0.01).length;
  const expected = speech(0, 10.2 * HZ).filter((sample) => Math.abs(sample) > 0.01).length;
  assert.ok(loud / expected > 0.97, `${loud / expected}`);
});

test("without a pause the lag is cut all the same, without a click", () => {
  const tone = (start, length) => Float32Array.from({ length }, (_, index) => 0.3 * Math.sin((2 * Math.PI * 200 * (start + index)) / HZ));
  const { heldSec, heard } = play(15, (piece) => Math.max(0, regular(piece) - (piece > 30 ? 0.3 : 0)), tone);
  assert.ok(heldSec.at(-1) < 0.2 + PIECE_SEC, `${heldSec}`);
  const step = heard.reduce((most, sample, index) => Math.max(most, Math.abs(sample - (heard[index - 1] ?? 0))), 0);
  assert.ok(step < 0.03, `${step}`); // the tone itself: 0.008
});

test("clocks that differ by 1 in 1000 make neither lag nor gaps", () => {
  for (const rate of [0.999, 1.001]) {
    const { buffer, heldSec } = play(300, (piece) => regular(piece) * rate);
    assert.ok(Math.max(...heldSec.slice(200)) < 0.2 + PIECE_SEC, `${rate} ${heldSec.slice(290)}`);
    assert.equal(buffer.counts.gaps, 0, `${rate}`);
  }
});

test("it never holds more than a stall's limit, whatever comes", () => {
  const buffer = new JitterBuffer(HZ);
  for (let piece = 0; piece < 1000; piece += 1) buffer.push(speech(piece * PIECE, PIECE));
  assert.ok(buffer.heldSec < 0.2 + 0.5 + 2 * PIECE_SEC, `${buffer.heldSec}`);
});

test("a sender that stops and begins again is heard again, and the pause is silent", () => {
  const { heard, buffer } = play(8, (piece) => (piece < 25 ? regular(piece) : regular(piece) + 3));
  assert.ok(heard.slice(2.3 * HZ, 5 * HZ).every((sample) => sample === 0));
  assert.ok(Math.max(...heard.slice(6 * HZ)) > 0.25);
  assert.ok(buffer.counts.gaps <= 2);
});
