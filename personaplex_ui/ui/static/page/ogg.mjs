/**
 * Ogg pages (RFC 3533) with one stream of Opus (RFC 7845): what the browser's encoder gives becomes a stream, and
 * the server's stream becomes packets. Browsers' encoders know no Ogg of their own. Pure: bytes in, bytes out.
 */

const HEADER_BYTES = 27;
const CONTINUED = 0x01;
const FIRST_PAGE = 0x02;
const MOST_SEGMENTS = 255;
const MOST_PACKET_BYTES = 61_440; // no Opus packet is longer: 48 frames of 1,275 bytes and their headers
const CAPTURE = [0x4f, 0x67, 0x67, 0x53, 0]; // "OggS", version 0

const CHECKSUMS = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte << 24;
  for (let bit = 0; bit < 8; bit++) remainder = (remainder << 1) ^ (remainder < 0 ? 0x04c11db7 : 0);
  return remainder >>> 0;
});

/** The checksum of a page whose own checksum (bytes 22 to 25) counts as zero. */
function checksum(page) {
  let remainder = 0;
  for (let at = 0; at < page.length; at++) {
    const byte = at >= 22 && at < 26 ? 0 : page[at];
    remainder = (remainder << 8) ^ CHECKSUMS[(remainder >>> 24) ^ byte];
  }
  return remainder >>> 0;
}

/** How long the sound of an Opus packet is, in samples of 48 kHz (RFC 6716, 3.1); 0 if it cannot be Opus. */
export function samplesOf(packet) {
  if (!packet.length) return 0;
  const config = packet[0] >> 3;
  const frame = config < 12 ? [480, 960, 1920, 2880][config & 3]
    : config < 16 ? [480, 960][config & 1]
    : [120, 240, 480, 960][config & 3];
  const code = packet[0] & 3;
  const frames = code === 0 ? 1 : code < 3 ? 2 : (packet[1] ?? 0) & 0x3f;
  return frame * frames > 5760 ? 0 : frame * frames;
}

/** Packets in, pages out. `inputHz` is only noted; `skipped`: samples of 48 kHz that a decoder drops at first. */
export class OggMuxer {
  #serial;
  #channels;
  #inputHz;
  #skipped;
  #pages = 0;
  #granules = 0;

  constructor({ serial = 1, channels = 1, inputHz = 24_000, skipped = 312 } = {}) {
    this.#serial = serial;
    this.#channels = channels;
    this.#inputHz = inputHz;
    this.#skipped = skipped;
  }

  /** The two pages that begin the stream. */
  head() {
    const id = new Uint8Array(19);
    const view = new DataView(id.buffer);
    id.set(bytesOf("OpusHead"));
    id[8] = 1;
    id[9] = this.#channels;
    view.setUint16(10, this.#skipped, true);
    view.setUint32(12, this.#inputHz, true);
    const vendor = bytesOf("personaplex_ui");
    const tags = new Uint8Array(8 + 4 + vendor.length + 4);
    tags.set(bytesOf("OpusTags"));
    new DataView(tags.buffer).setUint32(8, vendor.length, true);
    tags.set(vendor, 12);
    return joined([this.#page([id], FIRST_PAGE), this.#page([tags], 0)]);
  }

  /** One page with these packets, each of them whole. Throws RangeError for more than a page holds. */
  page(packets) {
    for (const packet of packets) this.#granules += samplesOf(packet);
    return this.#page(packets, 0);
  }

  #page(packets, flags) {
    const segments = packets.flatMap((packet) => lacing(packet.length));
    if (segments.length > MOST_SEGMENTS) throw new RangeError("These packets do not fit into one Ogg page.");
    const page = joined([new Uint8Array(HEADER_BYTES), Uint8Array.from(segments), ...packets]);
    const view = new DataView(page.buffer);
    page.set(CAPTURE);
    page[5] = flags;
    view.setUint32(6, this.#granules % 2 ** 32, true);
    view.setUint32(10, Math.floor(this.#granules / 2 ** 32), true);
    view.setUint32(14, this.#serial, true);
    view.setUint32(18, this.#pages++, true);
    page[26] = segments.length;
    view.setUint32(22, checksum(page), true);
    return page;
  }
}

/** A packet's segments: 255 each, and a last shorter one, which is 0 after a multiple of 255. */
function lacing(length) {
  return [...new Array(Math.floor(length / 255)).fill(255), length % 255];
}

/** Bytes in, Opus packets out. Pages may be cut anywhere; what is not a whole page is skipped, never kept. */
export class OggDemuxer {
  #buffer = new Uint8Array(0);
  #open = []; // pieces of a packet that continues on the next page
  skippedBytes = 0;

  /** The packets complete so far, without the two headers. A page that begins a stream forgets the last one. */
  receive(bytes) {
    this.#buffer = joined([this.#buffer, bytes]);
    const packets = [];
    for (let page = this.#nextPage(); page; page = this.#nextPage()) packets.push(...this.#packetsOf(page));
    return packets.filter((packet) => packet.length && !isHeader(packet));
  }

  #nextPage() {
    for (;;) {
      this.#skip(startOfPage(this.#buffer));
      const length = pageLength(this.#buffer);
      if (!length || this.#buffer.length < length) return null;
      const page = this.#buffer.slice(0, length);
      if (checksum(page) === new DataView(page.buffer).getUint32(22, true)) {
        this.#buffer = this.#buffer.slice(length);
        return page;
      }
      this.#skip(1); // not a page, or a damaged one: the next may begin inside it
      this.#open = [];
    }
  }

  #skip(length) {
    this.skippedBytes += length;
    if (length) this.#buffer = this.#buffer.slice(length);
  }

  #packetsOf(page) {
    const segments = page.subarray(HEADER_BYTES, HEADER_BYTES + page[26]);
    let at = HEADER_BYTES + page[26];
    const continues = Boolean(page[5] & CONTINUED);
    let lost = continues && !this.#open.length; // the packet's beginning is missing
    if (!continues) this.#open = [];
    const packets = [];
    for (const length of segments) {
      this.#open.push(page.subarray(at, at + length));
      at += length;
      if (length === 255) continue;
      const packet = joined(this.#open);
      this.#open = [];
      if (!lost && packet.length <= MOST_PACKET_BYTES) packets.push(packet);
      lost = false;
    }
    if (lost || sizeOf(this.#open) > MOST_PACKET_BYTES) this.#open = [];
    return packets;
  }
}

/** Where the next page may begin; its capture pattern may be incomplete at the end. */
function startOfPage(bytes) {
  for (let start = 0; start < bytes.length; start++) {
    if (CAPTURE.every((byte, at) => start + at >= bytes.length || bytes[start + at] === byte)) return start;
  }
  return bytes.length;
}

/** The length of the page that begins here, or 0 while its header is incomplete.. */
function pageLength(bytes) {
  if (bytes.length < HEADER_BYTES || bytes.length < HEADER_BYTES + bytes[26]) return 0;
  const bodyAt = HEADER_BYTES + bytes[26];
  return bytes.subarray(HEADER_BYTES, bodyAt).reduce((sum, length) => sum + length, bodyAt);
}

function isHeader(packet) {
  return ["OpusHead", "OpusTags"].some((name) => bytesOf(name).every((byte, at) => packet[at] === byte));
}

function bytesOf(text) {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

function sizeOf(pieces) {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}

/** The pieces as one new array. */
export function joined(pieces) {
  const whole = new Uint8Array(sizeOf(pieces));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
