/** Keys during a call: M mutes, Esc asks whether to end it, Space is held to talk where that was chosen.
 * None of them while somebody types. */

const TYPES_IN = "input, textarea, select, [contenteditable=''], [contenteditable='true']";

/** What a key that was pressed means, or null. Pure.
 *  @param {{key: string, repeat?: boolean, ctrlKey?: boolean, altKey?: boolean, metaKey?: boolean}} event
 *  @param {{inCall: boolean, holdToTalk: boolean, typing: boolean, asking: boolean,
 *  onCheckbox: boolean}} where
 *  @returns {"mute"|"ask"|"hold"|null} */
export function meaning(event, { inCall, holdToTalk, typing, asking, onCheckbox }) {
  if (!inCall || typing || asking || event.ctrlKey || event.altKey || event.metaKey) return null;
  if (event.key === "Escape") return event.repeat ? null : "ask";
  // On a button too, which Enter still presses: who holds Space to talk must not end the call by it.
  if (event.key === " ") return holdToTalk && !onCheckbox ? "hold" : null;
  if (event.key?.toLowerCase() === "m") return event.repeat || holdToTalk ? null : "mute";
  return null;
}

/** @param {{getState: Function, actions: object}} parts */
export function listenToKeys({ getState, actions }) {
  let held = false;
  const release = () => {
    if (held) actions.hold(false);
    held = false;
  };

  addEventListener("keydown", (event) => {
    if (event.defaultPrevented) return;
    const target = event.target instanceof Element ? event.target : document.body;
    const state = getState();
    const onCheckbox = target.matches("input[type='checkbox'], input[type='radio']");
    const meant = meaning(event, {
      inCall: Boolean(state.call),
      holdToTalk: state.holdToTalk,
      typing: target.matches(TYPES_IN) && !onCheckbox,
      asking: document.querySelector("dialog[open]") !== null,
      onCheckbox,
    });
    if (!meant) return;
    event.preventDefault(); // Space would scroll, or press what was clicked last
    if (meant === "mute") actions.toggleMute();
    else if (meant === "ask") actions.askToEnd();
    else if (!event.repeat && !held) {
      held = true;
      actions.hold(true);
    }
  });
  addEventListener("keyup", (event) => {
    if (event.key !== " " || !held) return;
    event.preventDefault();
    release();
  });
  addEventListener("blur", release);
}
