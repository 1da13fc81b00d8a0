/** The box for what the assistant is to say. */

import { setHidden, setText } from "./dom.mjs";

const LIMIT = 2000;
const COUNTED_FROM = 1800;

/** What stands beside a text of so many characters; "" while there is much room. @param {number} length */
export function room(length) {
  if (length < COUNTED_FROM) return "";
  return length > LIMIT ? `${length - LIMIT} characters too many` : `${LIMIT - length} characters left`;
}

/** @param {HTMLFormElement} form @param {HTMLButtonElement} opener @param {(text: string) => void} say
 *  @returns {{enable(enabled: boolean): void, close(): void}} */
export function createSayBox(form, opener, say) {
  const [box, left] = [form.querySelector("textarea"), form.querySelector(".pp-say-left")];
  const submit = form.querySelector("[type=submit]");

  function open(opened) {
    setHidden(form, !opened);
    opener.setAttribute("aria-expanded", String(opened));
    if (opened) box.focus();
  }
  function close() {
    const focused = form.contains(document.activeElement);
    open(false);
    if (focused) opener.focus();
  }
  function count() {
    const tooLong = box.value.length > LIMIT;
    setText(left, room(box.value.length));
    left.classList.toggle("pp-over", tooLong);
    submit.disabled = tooLong;
    box.style.height = "auto";
    box.style.height = `${Math.min(box.scrollHeight + 2, 160)}px`;
  }

  opener.addEventListener("click", () => (form.hidden ? open(true) : close()));
  box.addEventListener("input", count);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
    if (event.key === "Escape") {
      event.stopPropagation();
      close();
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = box.value.trim();
    if (!text || box.value.length > LIMIT) return;
    say(text);
    box.value = "";
    count();
  });
  return {
    close,
    enable(enabled) {
      opener.disabled = !enabled;
      if (!enabled && !form.hidden) close();
    },
  };
}
