/** A few seconds of a voice, in place; one at a time. */

import { setAttribute } from "./dom.mjs";

const CANNOT = "This voice cannot be played now. Please try again in a moment.";

export class Preview {
  #player = new Audio();
  #button = null;
  #tell;

  /** @param {(sentence: string) => void} tell where to say that a voice cannot be played; "" for nothing */
  constructor(tell) {
    this.#tell = tell;
    this.#player.addEventListener("playing", () => this.#mark("playing"));
    this.#player.addEventListener("ended", () => this.stop());
  }

  /** @param {string} name of the voice @param {HTMLElement} button carries `data-sound` while it sounds */
  async toggle(name, button) {
    const wasThis = this.#button === button;
    this.stop();
    if (wasThis) return;
    this.#button = button;
    this.#tell("");
    this.#mark("loading"); // the model may have to speak it first
    const url = `voices/${encodeURIComponent(name)}/preview.wav`;
    this.#player.src = url;
    try {
      await this.#player.play();
    } catch {
      if (this.#button !== button) return; // stopped meanwhile
      this.stop();
      this.#tell(await reasonOf(url));
    }
  }

  stop() {
    this.#player.pause();
    this.#mark(null);
    this.#button = null;
  }

  #mark(sound) {
    if (!this.#button) return;
    setAttribute(this.#button, "data-sound", sound);
    setAttribute(this.#button, "aria-busy", sound === "loading" ? "true" : null);
    const name = this.#button.getAttribute("aria-label").replace(/^Stop /, "Listen to ");
    setAttribute(this.#button, "aria-label", sound ? name.replace(/^Listen to /, "Stop ") : name);
  }
}

/** A player does not tell why it failed; the server does. */
async function reasonOf(url) {
  try {
    const response = await fetch(url);
    return response.ok ? CANNOT : ((await response.json()).detail ?? CANNOT);
  } catch {
    return CANNOT;
  }
}
