// Sound at another rate: level, pitch and length stay, and pieces of any size join without a seam.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Resampler } from "../../personaplex_ui/ui/static/page/resample.mjs";

const tone = (hz, rate, sec) => Float32Array.from({ length: rate * sec }, (_, index) => 0.5 * Math.sin((2 * Math.PI * hz * index) / rate));
const rms = (sound) => Math.sqrt(sound.reduce((sum, sample) => sum + sample * sample, 0) / sound.length);
const RATES = [[48_000, 24_000], [44_100, 24_000], [24_000, 48_000], [24_000, 44_100], [96_000, 24_000], [16_000, 24_000], [24_000, 24_000]];

for (const [from, to] of RATES) {
  test(`a tone from ${from} to ${to} Hz stays what and when it was`, () => {
    const output = new Resampler(from, to).process(tone(1_000, from, 1));
    assert.ok(Math.abs(output.length - to) < 0.002 * to, `${output.length}`);
    const expected = tone(1_000, to, 1);
    const skip = Math.round(0.01 * to);
    const error = Math.max(...output.slice(skip).map((sample, index) => Math.abs(sample - expected[index + skip])));
    assert.ok(error < 0.003, `${error}`);
  });

  test(`pieces from ${from} to ${to} Hz join without a seam`, () => {
    const sound = tone(700, from, 0.5);
    const whole = new Resampler(from, to).process(sound);
    const pieces = new Resampler(from, to);
    const joined = [];
    let size = 1;
    for (let at = 0; at < sound.length; at += size, size = ((size * 37) % 900) + 1) {
      joined.push(...pieces.process(sound.subarray(at, at + size)));
    }
    assert.deepEqual(joined, [...whole].slice(0, joined.length));
    assert.ok(whole.length - joined.length < 2);
  });
}

test("what the lower rate cannot hold is not heard", () => {
  const output = new Resampler(48_000, 24_000).process(tone(15_000, 48_000, 1));
  assert.ok(rms(output.slice(1_000)) < 0.5 * 0.001, `${rms(output.slice(1_000))}`);
});
