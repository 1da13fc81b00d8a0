/** What waits to be sent where the network is too slow for live sound: bounded, the oldest dropped first.
 *
 * Pure. What a websocket was given cannot be taken back, so it gets no more than it can send soon.
 */

export class SendQueue {
  #send;
  #buffered;
  #most;
  #mostWaiting;
  #waiting = [];
  dropped = 0;

  /** @param {{send: (piece: Uint8Array) => void, buffered: () => number, mostBytes: number,
   *  mostWaiting: number}} how `buffered`: bytes given to the network and not sent yet; at most about `mostBytes`
   *  of them, and `mostWaiting` pieces here */
  constructor({ send, buffered, mostBytes, mostWaiting }) {
    this.#send = send;
    this.#buffered = buffered;
    this.#most = mostBytes;
    this.#mostWaiting = mostWaiting;
  }

  get waiting() {
    return this.#waiting.length;
  }

  /** Sends it now, or later, before what is put then. */
  put(piece) {
    this.#waiting.push(piece);
    while (this.#waiting.length && this.#buffered() < this.#most) this.#send(this.#waiting.shift());
    while (this.#waiting.length > this.#mostWaiting) {
      this.#waiting.shift();
      this.dropped += 1;
    }
  }
}
