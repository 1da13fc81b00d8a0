/** Role cards and voice chips, beside Gradio's box and list, which show the same. */

import { element, setAttribute, setHidden, setText } from "./dom.mjs";
import { Preview } from "./preview.mjs";
import { bringBack, FROM_LINK, OWN, own, preset, UPLOAD_PREFIX } from "./roles.mjs";
import { copyLink } from "./share.mjs";

const COPIED_FOR_MS = 4000;
const FIRST_VOICES = 7;

// ------------------------------------------------------------------- roles

/** @param {HTMLElement} root #role-cards */
export function mountRoles(root, { dispatch, getState }) {
  const { config } = getState();
  const choose = (persona) => dispatch({ type: "persona", persona });
  const cards = new Map();
  for (const role of config.roles ?? []) {
    cards.set(role.id, card(role, () => choose(preset(role))));
  }
  cards.set(OWN, card(WRITE_OWN, () => {
    choose(own(getState().persona));
    document.querySelector("#prompt textarea")?.focus();
  }));
  root.replaceChildren(...[...cards.values()].map(({ item }) => item));

  const more = document.getElementById("all-roles");
  const hidden = (config.roles ?? []).filter(({ featured }) => !featured);
  setHidden(more, hidden.length === 0);
  let open = false;
  more.addEventListener("click", () => {
    open = !open;
    show(getState());
    if (open) cards.get(hidden[0].id).button.focus();
  });
  const notice = new Notice(document.getElementById("own-notice"), () => choose(bringBack(getState().persona)));

  function show({ persona }) {
    for (const [id, { item, button }] of cards) {
      const chosen = id === persona.roleId;
      setAttribute(button, "aria-pressed", chosen);
      setHidden(item, !open && !chosen && hidden.some((role) => role.id === id));
    }
    setText(more, open ? "Fewer roles" : `All ${config.roles.length} roles`);
    setAttribute(more, "aria-expanded", open);
    notice.show(persona);
  }
  return show;
}

const WRITE_OWN = { id: OWN, title: "Write your own", subtitle: "Describe who answers", initials: "+" };

function card({ id, title, subtitle, initials }, choose) {
  const button = element(
    "button",
    { type: "button", class: "pp-card", "data-role": id, "aria-pressed": "false" },
    element("span", { class: "pp-card-sign", "aria-hidden": "true" }, initials),
    element("span", { class: "pp-card-title" }, title),
    element("span", { class: "pp-card-about" }, subtitle),
  );
  button.addEventListener("click", choose);
  return { item: element("li", {}, button), button };
}

/** What to know of the text in the box: whose it is, and that an earlier one is kept. */
class Notice {
  #root;
  #words = element("span");
  #back = element("button", { type: "button", class: "pp-link" }, "Bring it back");

  constructor(root, bringItBack) {
    this.#root = root;
    this.#back.addEventListener("click", bringItBack);
    root.replaceChildren(this.#words, this.#back);
  }

  show({ roleId, ownBefore = [] }) {
    const hasEarlier = roleId === OWN && ownBefore.length > 0;
    const words = hasEarlier ? "An earlier text of yours is kept." : "";
    const fromLink = "This role came with a link, from somebody else. Read it before you talk.";
    setText(this.#words, roleId === FROM_LINK ? fromLink : words);
    setHidden(this.#back, !hasEarlier);
    setHidden(this.#root, !hasEarlier && roleId !== FROM_LINK);
  }
}

// ------------------------------------------------------------------- voices

/** @param {HTMLElement} root #voice-chips */
export function mountVoices(root, { dispatch, getState }) {
  const { config } = getState();
  const message = document.getElementById("voice-message");
  const preview = new Preview((sentence) => setText(message, sentence));
  const chips = new Map();
  for (const voice of defaultFirst(config)) chips.set(voice.name, chip(voice, preview, dispatch));
  const featured = (config.voices ?? []).filter((voice) => voice.featured);
  const first = featured.length ? featured : (config.voices ?? []).slice(0, FIRST_VOICES);
  const rest = chips.size - first.length;
  const more = element("button", { type: "button", class: "pp-chip pp-chip-plain" }, `${rest} more`);
  more.addEventListener("click", openList);
  const yours = element("button", { type: "button", class: "pp-chip pp-chip-plain", "aria-pressed": "false" });
  yours.textContent = "Your own voice";
  yours.addEventListener("click", openOwnVoice);
  root.replaceChildren(
    ...[...chips.values()].map(({ item }) => item),
    element("li", rest > 0 ? {} : { hidden: "" }, more),
    element("li", {}, yours),
  );
  mountCopy(getState);

  return function render({ persona, view, call }) {
    for (const [name, { item, choose }] of chips) {
      const chosen = name === persona.voice;
      setAttribute(choose, "aria-pressed", chosen);
      setHidden(item, !chosen && !first.some((voice) => voice.name === name));
    }
    setAttribute(yours, "aria-pressed", persona.voice.startsWith(UPLOAD_PREFIX));
    if (call || view === "live") preview.stop();
  };
}

const defaultFirst = ({ voices = [], defaultVoice }) =>
  [...voices].sort((a, b) => Number(b.name === defaultVoice) - Number(a.name === defaultVoice));

function chip({ name, label, about }, preview, dispatch) {
  const listen = element("button", { type: "button", class: "pp-chip-play", "aria-label": `Listen to ${label}` });
  listen.addEventListener("click", () => preview.toggle(name, listen));
  const choose = element(
    "button",
    { type: "button", class: "pp-chip-name", "aria-pressed": "false", title: `${name}, ${about}` },
    label,
  );
  choose.addEventListener("click", () => dispatch({ type: "persona", persona: { voice: name, voiceLabel: label } }));
  return { item: element("li", { class: "pp-chip", "data-voice": name }, listen, choose), choose };
}

function openList() {
  const input = document.querySelector("#voice input");
  input?.scrollIntoView({ block: "center", behavior: "smooth" });
  input?.focus({ preventScroll: true });
  input?.click();
}

function openOwnVoice() {
  const fold = document.querySelector("#own-voice");
  const head = fold?.querySelector("button");
  if (head && !head.classList.contains("open")) head.click();
  fold?.scrollIntoView({ block: "center", behavior: "smooth" });
  head?.focus({ preventScroll: true });
}

function mountCopy(getState) {
  const button = document.getElementById("copy-link");
  const said = document.getElementById("copy-message");
  let timer = 0;
  button?.addEventListener("click", async () => {
    const copied = await copyLink(getState().persona);
    setText(said, copied ? "Copied. It carries role and voice, no recording." : "The link could not be copied.");
    clearTimeout(timer);
    timer = setTimeout(() => setText(said, ""), COPIED_FOR_MS);
  });
}
