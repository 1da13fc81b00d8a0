/** The fold with the report of an ended call. The server measures it when the call is first asked for; as long as it
 * does, the call is asked for again now and then. */

import { element, setHidden, setText } from "./dom.mjs";
import { reportRows } from "./report_words.mjs";

const ASK_AGAIN_MS = 5000;
const MOST_TIMES = 24;

/** @param {HTMLDetailsElement} root .pp-report @param {(callId: string) => void} refresh asks for the call again
 *  @returns {{show(record: object, name: string): void, stop(): void}} */
export function createReport(root, refresh) {
  const [list, waiting] = [root.querySelector(".pp-report-list"), root.querySelector(".pp-report-waiting")];
  let timer = 0;
  let asked = { callId: "", times: 0 };

  function stop() {
    clearTimeout(timer);
  }

  return {
    show({ call_id: callId, report, files }, name) {
      stop();
      if (asked.callId !== callId) {
        asked = { callId, times: 0 };
        root.open = false;
      }
      const expected = Boolean(files.report) && !report;
      setHidden(root, !report && !expected);
      setHidden(list, !report);
      setHidden(waiting, !expected);
      list.replaceChildren(...(report ? reportRows(report, name).map(row) : []));
      if (!expected) return;
      const goesOn = asked.times < MOST_TIMES;
      setText(waiting, goesOn ? "The recording is being measured." : "The recording could not be measured.");
      if (!goesOn) return;
      asked.times += 1;
      timer = setTimeout(() => refresh(callId), ASK_AGAIN_MS);
    },
    stop,
  };
}

function row({ name, value, detail, meaning }) {
  return element(
    "div",
    {},
    element("dt", { dir: "auto" }, name),
    element("dd", { class: "pp-report-value", dir: "auto" }, value),
    ...(detail ? [element("dd", { class: "pp-report-detail", dir: "auto" }, detail)] : []),
    element("dd", { class: "pp-report-meaning", dir: "auto" }, meaning),
  );
}
