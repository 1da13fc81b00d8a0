/** The fold with one's earlier calls under the stage: fetched when it is opened, and after each call. */

import { calls } from "./api.mjs";
import { element } from "./dom.mjs";
import { row } from "./earlier.mjs";

/** @param {HTMLDetailsElement} root #earlier @returns {(state: object) => void} */
export function mount(root, { actions, getState }) {
  const list = root.querySelector("ul");
  let result = null;

  async function fill() {
    if (!root.open) return;
    try {
      const rows = (await calls()).map((call) => row(call, getState().config));
      list.replaceChildren(...(rows.length ? rows : [plain("No calls yet. Yours will be listed here.")]));
    } catch {
      list.replaceChildren(plain("Your calls cannot be listed now. Please try again."));
    }
  }
  root.addEventListener("toggle", fill);
  list.addEventListener("click", async ({ target }) => {
    const { call } = target.closest("button")?.dataset ?? {};
    if (!call) return;
    await actions.openCall(call);
    document.getElementById("stage")?.scrollIntoView({ block: "start" });
  });

  return function render(state) {
    if (state.result === result) return;
    result = state.result;
    fill();
  };
}

const plain = (words) => element("li", { class: "pp-earlier-none" }, words);
