/** The one place for what went wrong: a sentence, and a button with its remedy. It stands in the card; during
 * a call it comes along to where the card is not seen: another tab, or further down the page. */

import { element, setHidden, setText } from "./dom.mjs";

/** @param {HTMLElement} root #trouble @param {{actions: object}} parts @returns {(state: object) => void} */
export function mount(root, { actions }) {
  const sentence = element("span", { class: "pp-trouble-sentence" });
  const remedy = element("button", { type: "button", class: "pp-button pp-trouble-remedy" });
  root.replaceChildren(sentence, remedy);
  const place = followed(root);
  let shown;
  remedy.addEventListener("click", () => actions[shown?.remedy?.action]?.());

  return function render({ trouble, call, devices }) {
    place.follow(Boolean(trouble && call));
    if (trouble !== shown) {
      shown = trouble;
      setText(sentence, trouble?.sentence ?? "");
      setText(remedy, trouble?.remedy?.label ?? "");
      setHidden(root, !trouble);
    }
    // Done already, where the devices are open.
    setHidden(remedy, !trouble?.remedy || (trouble.remedy.action === "openDevices" && devices.open));
  };
}

/** Keeps `node` in its home while that is seen, else in #elsewhere. */
function followed(node) {
  const home = element("div", { class: "pp-trouble-home" });
  node.before(home);
  home.append(node);
  let seen = true;
  let following = false;

  function put() {
    const elsewhere = document.getElementById("elsewhere");
    const target = following && !seen && elsewhere ? elsewhere : home;
    if (node.parentElement === target) return;
    const focused = node.contains(document.activeElement) ? document.activeElement : null;
    target.append(node);
    focused?.focus({ preventScroll: true });
  }

  // The card's upper edge tells: the home itself is empty while its node is elsewhere.
  new IntersectionObserver(([entry]) => {
    seen = entry.isIntersecting;
    put();
  }).observe(home);

  return {
    follow(now) {
      if (following === now) return;
      following = now;
      put();
    },
  };
}
