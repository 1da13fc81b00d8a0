/** The view after a call: how it was, its timeline as the player, what was said, what to do with it and what next.
 * An earlier call is shown in the same view. */

import { createQuestion } from "./ask.mjs";
import { element, setHidden, setText } from "./dom.mjs";
import { createDownloads } from "./downloads.mjs";
import { duration } from "./format.mjs";
import { asText } from "./lines.mjs";
import { createPlayer } from "./player.mjs";
import { createReport } from "./report.mjs";
import { aboutCall, calledName, figures, personaOf } from "./record_words.mjs";
import { copyLink } from "./share.mjs";
import { startButton } from "./state.mjs";
import { createTranscript } from "./transcript.mjs";

/** @param {HTMLElement} root #stage-after @param {{dispatch: Function, actions: object, getState: () => object}} parts
 *  @returns {(state: object) => void} */
export function mount(root, parts) {
  const { dispatch, actions } = parts;
  const find = (name) => root.querySelector(`.pp-${name}`);
  const nodes = {
    title: find("after-title"), about: find("after-about"), notes: find("after-notes"), told: find("told"),
    again: find("again"), whyNot: find("why-not"), remove: find("delete"), copy: find("copy-text"),
    figures: ["answer", "share", "interruptions"].map((name) => find(`figure-${name}`)),
  };
  const transcript = createTranscript(find("after-lines"), (sec) => player.playFrom(sec));
  const player = createPlayer(find("player"), transcript.light);
  const downloads = createDownloads(find("download"), find("download-list"));
  const report = createReport(find("report"), (callId) => actions.refreshCall(callId));
  const question = createQuestion(find("ask-delete"), () => actions.deleteCall(record.call_id));
  let state = null;
  let record = null;

  nodes.again.addEventListener("click", () => actions.start());
  find("change-who").addEventListener("click", () => dispatch({ type: "again" }));
  nodes.remove.addEventListener("click", question.open);
  nodes.copy.addEventListener("click", async () => {
    const text = asText(record.lines, calledName(record, state.config));
    const done = navigator.clipboard?.writeText(text) ?? Promise.reject(new Error("not a secure page"));
    tellCopied("The text", await done.then(() => true, () => false));
  });
  find("copy-link").addEventListener("click", async () => {
    tellCopied("The link to this role and voice", await copyLink(personaOf(record, state.config)));
  });
  function tellCopied(what, copied) {
    setText(nodes.told, copied ? `${what} is copied.` : `${what} could not be copied: the browser does not allow it.`);
  }

  return function render(next) {
    if (next === state) return;
    state = next;
    const shown = state.view === "after" && state.result !== null;
    setHidden(root, !shown);
    if (!shown) {
      if (record) player.stop();
      report.stop();
      question.close();
      record = null;
      return;
    }
    const { disabled, reason } = startButton(state);
    nodes.again.disabled = disabled;
    setText(nodes.whyNot, disabled ? reason : "");
    if (state.result !== record) show(state.result);
  };

  function show(next) {
    const another = record?.call_id !== next.call_id;
    const refreshed = !another && !record.pending && record.files.recording === next.files.recording;
    record = next;
    const name = calledName(record, state.config);
    setText(nodes.title, `${duration(record.duration_sec)} with ${name}`);
    setText(nodes.about, aboutCall(record, new Date()));
    showNotes(nodes.notes, record.notes ?? []);
    figures(record).forEach((text, index) => setText(nodes.figures[index], text));
    setText(find("answer-word"), `until ${name} answered, typically`);
    setText(find("interruptions-word"), record.figures.interruptions === 1 ? "interruption" : "interruptions");
    report.show(record, name);
    if (refreshed) player.update(record); // and goes on playing
    else {
      transcript.show(record, name);
      player.load(record, name);
    }
    downloads.show(record.files);
    setHidden(nodes.remove, Boolean(record.pending));
    setHidden(nodes.copy, record.lines.length === 0);
    setText(nodes.told, "");
    if (another) nodes.title.focus();
  }
}

function showNotes(list, notes) {
  list.replaceChildren(...notes.map((note) => element("li", {}, note)));
  setHidden(list, notes.length === 0);
}
