/** Roles and own text, what a browser remembers, links, and what is said before a call. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { shortPill } from "../../personaplex_ui/ui/static/page/header.mjs";
import { bringBack, fromLink, headline, own, preset, typed, voiceInWords } from "../../personaplex_ui/ui/static/page/roles.mjs";
import { addressOf, callIn, linkTo, readLink } from "../../personaplex_ui/ui/static/page/share.mjs";
import { initial, reduce } from "../../personaplex_ui/ui/static/page/state.mjs";
import { forget, MAX_TEXT, recall, remember } from "../../personaplex_ui/ui/static/page/storage.mjs";
import { facts, reason } from "../../personaplex_ui/ui/static/page/before.mjs";

const CONFIG = {
  maxCallSec: 600, keepSec: 86400, recordDefault: true, language: "It speaks English",
  defaultVoice: "NATF2", defaultRole: "teacher",
  voices: [
    { name: "NATF2", label: "Nora", about: "a natural female voice", featured: true },
    { name: "anna", label: "anna", about: "", featured: false },
  ],
  roles: [
    { id: "teacher", title: "Wise teacher", headline: "A wise teacher", text: "You teach.", suggestions: [] },
    { id: "restaurant", title: "Restaurant", headline: "A restaurant", text: "You serve.", suggestions: [] },
  ],
};
const [TEACHER, RESTAURANT] = CONFIG.roles;

/** A storage as a browser has it. */
class Storage {
  #kept = new Map();
  most = Infinity;
  get length() {
    return this.#kept.size;
  }
  key(index) {
    return [...this.#kept.keys()][index] ?? null;
  }
  getItem(name) {
    return this.#kept.get(name) ?? null;
  }
  setItem(name, value) {
    if (value.length > this.most) throw new DOMException("full", "QuotaExceededError");
    this.#kept.set(name, value);
  }
  removeItem(name) {
    this.#kept.delete(name);
  }
}

const chosen = (persona, change) => ({ ...persona, ...change });
const first = () => initial(CONFIG).persona;

// ------------------------------------------------------------------- roles

test("a preset and one's own text do not overwrite each other", () => {
  const long = "Mine. ".repeat(330);
  let persona = chosen(first(), own(first()));
  assert.equal(persona.text, "", "write your own begins empty");
  persona = chosen(persona, typed(persona, long));
  persona = chosen(persona, preset(RESTAURANT));
  assert.deepEqual([persona.text, persona.own, persona.roleId], ["You serve.", long, "restaurant"]);
  persona = chosen(persona, own(persona));
  assert.deepEqual([persona.text, persona.roleId], [long, "own"]);
});

test("editing a preset makes it one's own and keeps the former own text, as often as one likes", () => {
  let persona = { ...first(), own: "Mine." };
  for (const [index, letter] of [..." All"].entries()) persona = chosen(persona, typed(persona, "You teach." + " All".slice(0, index) + letter));
  assert.deepEqual([persona.text, persona.own, persona.roleId], ["You teach. All", "You teach. All", "own"]);
  assert.deepEqual(persona.ownBefore, ["Mine."], "once, not for each key");
  persona = chosen(persona, bringBack(persona));
  assert.deepEqual([persona.text, persona.own, persona.ownBefore], ["Mine.", "Mine.", ["You teach. All"]]);
  persona = chosen(persona, bringBack(persona));
  assert.deepEqual([persona.text, persona.ownBefore], ["You teach. All", ["Mine."]]);
});

test("nothing is kept where there was nothing", () => {
  const persona = chosen({ ...first(), own: "  " }, typed({ ...first(), own: "  " }, "New."));
  assert.deepEqual(persona.ownBefore ?? [], []);
  assert.deepEqual(bringBack(first()), {});
});

test("who answers, in words", () => {
  assert.equal(headline(CONFIG, first()), "A wise teacher");
  assert.equal(headline(CONFIG, { ...first(), ...own(first()) }), "Your own role");
  assert.equal(headline(CONFIG, { ...first(), ...fromLink("Be.") }), "A role from a link");
  assert.equal(voiceInWords(CONFIG, first()), "with Nora, a natural female voice");
  assert.equal(voiceInWords(CONFIG, { voice: "anna" }), "with anna");
  assert.equal(voiceInWords(CONFIG, { voice: "own-0123" }), "with your own voice");
  assert.equal(voiceInWords(CONFIG, { voice: "" }), "");
});

test("a role chosen in a call is for the next one", () => {
  let state = reduce(initial(CONFIG), { type: "start" });
  state = reduce(state, { type: "persona", persona: preset(RESTAURANT) });
  assert.equal(state.call.changed, true);
  state = reduce(state, { type: "persona", persona: preset(TEACHER) });
  assert.equal(state.call.changed, false);
});

// ------------------------------------------------------------------- memory

test("what is remembered comes back, and one change leaves the others", () => {
  const storage = new Storage();
  assert.deepEqual(recall(storage), {});
  assert.equal(remember({ voice: "NATF2", own: "Mine.", sampling: { text_top_k: 3, seed: "7", greedy: true } }, storage), true);
  assert.equal(remember({ record: false, ownBefore: ["Old."] }, storage), true);
  assert.deepEqual(recall(storage), {
    voice: "NATF2", own: "Mine.", sampling: { text_top_k: 3, seed: "7", greedy: true }, record: false, ownBefore: ["Old."],
  });
});

for (const junk of ["", "{", "null", "7", '"x"', "[]", '{"version":2,"voice":"NATF2"}', '{"voice":"NATF2"}']) {
  test(`junk is nothing: ${junk}`, () => {
    const storage = new Storage();
    storage.setItem("personaplex.page", junk);
    assert.deepEqual(recall(storage), {});
    assert.equal(remember({ voice: "anna" }, storage), true);
    assert.deepEqual(recall(storage), { voice: "anna" });
  });
}

test("values of a wrong kind are left out", () => {
  const storage = new Storage();
  const wrong = { voice: 7, roleId: null, own: "x".repeat(MAX_TEXT + 1), ownBefore: [1, "a"], sampling: { text_top_k: "9", seed: 5 }, record: "yes", inputId: {} };
  storage.setItem("personaplex.page", JSON.stringify({ ...wrong, version: 1 }));
  assert.deepEqual(recall(storage), { ownBefore: ["a"], sampling: {} });
});

test("a storage that is full, forbidden or missing is no trouble", () => {
  const full = Object.assign(new Storage(), { most: 10 });
  const forbidden = new Proxy({}, { get: () => { throw new DOMException("denied", "SecurityError"); } });
  for (const storage of [full, forbidden, null]) {
    assert.equal(remember({ own: "A text that is longer." }, storage), false);
    assert.deepEqual(recall(storage), {});
    forget(storage);
  }
});

test("all that is ours is forgotten, and nothing else", () => {
  const storage = new Storage();
  for (const name of ["personaplex.page", "other", "personaplex.websocket-since"]) storage.setItem(name, "1");
  forget(storage);
  assert.deepEqual([storage.length, storage.key(0)], [1, "other"]);
});

// ------------------------------------------------------------------- links

test("a link carries role and voice in its fragment alone", () => {
  const place = { href: "https://talk.example.org/app/?call=a1&__theme=dark#old" };
  const link = linkTo(first(), place);
  assert.equal(link, "https://talk.example.org/app/#role=teacher&voice=NATF2");
  assert.deepEqual(readLink(new URL(link).hash, CONFIG), {
    voice: "NATF2", voiceLabel: "Nora", roleId: "teacher", title: "Wise teacher", text: "You teach.",
  });
});

test("one's own text travels whole, as a text that came with a link", () => {
  const text = "Grüße & 100 % #1\n<b>\"'</b> = ?";
  const link = linkTo({ ...first(), ...typed(first(), text) }, { href: "https://x.org/" });
  const read = readLink(new URL(link).hash, CONFIG);
  assert.deepEqual([read.text, read.roleId], [text, "link"]);
  assert.equal("own" in read, false, "the reader's own text stays");
});

test("an uploaded voice is in no link", () => {
  assert.ok(!linkTo({ ...first(), voice: "own-0123" }, { href: "https://x.org/" }).includes("voice"));
});

test("what a link cannot know is left out, and nothing remains of an empty one", () => {
  assert.deepEqual(readLink("#voice=none&role=none&text=Be.", CONFIG), fromLink("Be."));
  assert.deepEqual(readLink("#voice=anna&text=%20", CONFIG), { voice: "anna", voiceLabel: "anna" });
  for (const hash of ["", "#", "#talk", "#voice=none", "#role=__proto__", "#text=", `#text=${"x".repeat(20001)}`]) {
    assert.equal(readLink(hash, CONFIG), null, hash.slice(0, 20));
  }
});

test("a link's text is cut, and loses what a box does not show", () => {
  assert.equal(readLink(`#text=${"y".repeat(MAX_TEXT + 1)}`, CONFIG).text.length, MAX_TEXT);
  assert.equal(readLink("#text=a%00b%E2%80%AEc%0D%0Ad%09e", CONFIG).text, "abc\nd\te");
});

test("the call in the address", () => {
  assert.equal(callIn("?call=a1-B_2&x=1"), "a1-B_2");
  for (const search of ["", "?call=", "?call=../x", `?call=${"a".repeat(65)}`]) assert.equal(callIn(search), null);
  assert.equal(addressOf({ href: "https://x.org/?a=1#b" }, "c1"), "https://x.org/?a=1&call=c1#b");
  assert.equal(addressOf({ href: "https://x.org/?call=c1" }, null), "https://x.org/");
});

// ------------------------------------------------------------------- before a call

test("what to know before a call", () => {
  const state = initial(CONFIG);
  assert.equal(
    facts(state),
    "Headphones work best. Up to 10 minutes. Recorded for you alone, deleted after 24 hours. It speaks English.",
  );
  assert.match(facts(reduce(state, { type: "record", record: false })), / Sound is not recorded; the text is kept for you alone, deleted after 24 hours\. /);
});

test("small models tell how little they know, unless a language model helps them", () => {
  const told = (engine, knowsRoleOnly) => facts({ ...initial({ ...CONFIG, knowsRoleOnly }), server: { engine } });
  assert.match(told("cascade", true), / small models answer: they know what the role's text says/);
  assert.doesNotMatch(told("cascade", false), /small models/);
  assert.doesNotMatch(told("personaplex on cuda:0", true), /small models/);
});

test("limits for the public are told", () => {
  const config = { ...CONFIG, maxCallSec: 60, keepSec: 3 * 86400, visitorMinutes: 30, busyCallSec: 45 };
  const state = initial(config);
  assert.match(facts(state), /Up to 1 minute, 45 seconds while others wait\. 30 minutes a day for everybody\. .* after 3 days\./);
  assert.match(facts(reduce(state, { type: "visitor", visitor: { minutesLeft: 4.2 } })), /, 5 left today\./);
});

test("why it cannot start, and how far the loading is", () => {
  const server = { ready: false, sentence: "Loading the model.", progress: 0.421, lines: null };
  const state = reduce(initial(CONFIG), { type: "server", server });
  assert.equal(reason(state), "Loading the model. 42 %");
  assert.equal(shortPill(state), "42 %");
  assert.equal(reason(initial(CONFIG)), "");
});

test("the pill where there is little room", () => {
  const pill = (server) => shortPill(reduce(initial(CONFIG), { type: "server", server }));
  assert.equal(pill({ ready: true, lines: 4, linesFree: 3 }), "Open");
  assert.equal(pill({ ready: true, lines: 4, linesFree: 0 }), "Busy");
  assert.equal(pill({ ready: true, lines: null, linesFree: null }), "Open");
  assert.equal(pill({ ready: false, progress: null }), "Shut");
  assert.equal(pill({ ready: false, draining: true, progress: null }), "Closing");
});
