/** Holds the state and tells of its changes. */

import { reduce } from "./state.mjs";

/** @param {import("./state.mjs").State} first */
export function createStore(first) {
  let state = first;
  const listeners = [];
  return {
    getState: () => state,
    /** Listeners are told at once, in their order; one that dispatches is told of that change first. */
    dispatch(event) {
      const before = state;
      state = reduce(before, event);
      if (state === before) return;
      const after = state;
      for (const listener of listeners) listener(before, after);
    },
    /** @param {(before: object, state: object) => void} listener */
    subscribe(listener) {
      listeners.push(listener);
    },
  };
}
