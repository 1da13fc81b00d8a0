/** A question before something that cannot be taken back: a modal dialog whose first button changes nothing. */

/** @param {HTMLDialogElement} dialog with buttons .pp-ask-no and .pp-ask-yes @param {() => void} onYes
 *  @returns {{open(): void, close(): void}} */
export function createQuestion(dialog, onYes) {
  const [no, yes] = [dialog.querySelector(".pp-ask-no"), dialog.querySelector(".pp-ask-yes")];
  no.addEventListener("click", () => dialog.close());
  yes.addEventListener("click", () => {
    dialog.close();
    onYes();
  });
  // A click beside the box is a no; Escape is one by itself, and must not ask again.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("keydown", (event) => event.stopPropagation());
  return {
    open() {
      if (dialog.open) return;
      dialog.showModal();
      no.focus();
    },
    close() {
      if (dialog.open) dialog.close();
    },
  };
}
