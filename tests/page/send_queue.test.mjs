// Sound that the network cannot take in time is dropped, the oldest first, and never piles up.

import assert from "node:assert/strict";
import { test } from "node:test";

import { SendQueue } from "../../personaplex_ui/ui/static/page/send_queue.mjs";

const piece = (number) => Uint8Array.from([number, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

function rig() {
  const network = { bytes: 0, sent: [] };
  const queue = new SendQueue({
    send: (each) => {
      network.bytes += each.length;
      network.sent.push(each[0]);
    },
    buffered: () => network.bytes,
    mostBytes: 25,
    mostWaiting: 4,
  });
  return { network, queue };
}

test("as long as the network takes it, everything is sent at once", () => {
  const { network, queue } = rig();
  for (let number = 0; number < 20; number += 1) {
    queue.put(piece(number));
    network.bytes = 0;
  }
  assert.deepEqual(network.sent, [...Array(20).keys()]);
  assert.equal(queue.waiting, 0);
});

test("a network that takes nothing gets no more, and the oldest waiting pieces are dropped", () => {
  const { network, queue } = rig();
  for (let number = 0; number < 10; number += 1) queue.put(piece(number));
  assert.deepEqual(network.sent, [0, 1, 2]);
  assert.equal(queue.waiting, 4);
  assert.equal(queue.dropped, 3);
  network.bytes = 0;
  queue.put(piece(10));
  assert.deepEqual(network.sent, [0, 1, 2, 6, 7, 8]); // in their order
});
