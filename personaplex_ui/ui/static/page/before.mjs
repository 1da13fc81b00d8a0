/** The stage before a call: who answers, the button, what to know, what to try. */

import { element, setAttribute, setHidden, setText } from "./dom.mjs";
import { openTab } from "./gradio.mjs";
import { headline, roleOf, voiceInWords } from "./roles.mjs";
import { startButton } from "./state.mjs";

const SUGGESTIONS = ["Ask who it is", "Interrupt it in mid-sentence", "Stay silent and see"];

const FROM_ROLE = "Without a GPU, small models answer: they know what the role's text says, and little else.";

const minutes = (sec) => {
  const whole = Math.round(sec / 60);
  if (sec < 90) return sec < 60 ? `${Math.round(sec)} seconds` : "1 minute";
  return `${whole} minutes`;
};

const time = (sec) => {
  const hours = sec / 3600;
  if (hours < 1) return minutes(sec);
  if (hours < 48) return `${Math.round(hours)} hour${hours < 1.5 ? "" : "s"}`;
  return `${Math.round(hours / 24)} days`;
};

/** What to know before a call, in short sentences. @param {object} state @returns {string} */
export function facts({ config, record, visitor, server }) {
  const parts = ["Headphones work best."];
  if (config.maxCallSec) {
    const busy = config.busyCallSec ? `, ${minutes(config.busyCallSec)} while others wait` : "";
    parts.push(`Up to ${minutes(config.maxCallSec)}${busy}.`);
  }
  if (config.visitorMinutes) {
    const left = visitor.minutesLeft === null ? "" : `, ${Math.ceil(visitor.minutesLeft)} left today`;
    parts.push(`${minutes(60 * config.visitorMinutes)} a day for everybody${left}.`);
  }
  const kept = `for you alone, deleted after ${time(config.keepSec ?? 0)}.`;
  parts.push(record ? `Recorded ${kept}` : `Sound is not recorded; the text is kept ${kept}`);
  if (server?.engine?.startsWith("cascade") && config.knowsRoleOnly) parts.push(FROM_ROLE);
  if (config.language) parts.push(`${config.language}.`);
  return parts.join(" ");
}

/** The reason under the button, with how far the loading is. @param {object} state */
export function reason(state) {
  const { progress } = state.server;
  const said = startButton(state).reason;
  return said && progress ? `${said} ${Math.round(100 * progress)} %` : said;
}

/** @param {HTMLElement} root #stage-before @returns {(state: object) => void} */
export function mount(root, { actions, getState }) {
  const find = (selector) => root.querySelector(selector);
  const nodes = {
    title: find("#before-title"), voice: find(".pp-before-voice"), start: find("#start"),
    reason: find("#start-reason"), facts: find(".pp-facts-text"), suggestions: find(".pp-suggestions"),
  };
  nodes.start.addEventListener("click", () => {
    if (!startButton(getState()).disabled) actions.start();
  });
  find(".pp-change").addEventListener("click", () => {
    openTab("settings");
    document.querySelector("#record input")?.focus();
  });
  let shown = null;

  return function render(state) {
    setHidden(root, state.view !== "before");
    const { config, persona } = state;
    setText(nodes.title, headline(config, persona));
    setText(nodes.voice, voiceInWords(config, persona));
    const button = startButton(state);
    setText(nodes.start, button.label);
    setAttribute(nodes.start, "aria-disabled", button.disabled ? "true" : null);
    setText(nodes.reason, reason(state));
    setHidden(nodes.reason, !button.reason);
    setText(nodes.facts, facts(state));
    const suggestions = roleOf(config, persona.roleId)?.suggestions ?? SUGGESTIONS;
    if (suggestions !== shown) {
      shown = suggestions;
      nodes.suggestions.replaceChildren(...suggestions.map((each) => element("li", {}, each)));
    }
  };
}
