/** An earlier call in the list of one's calls; history.mjs keeps the list. */

import { element } from "./dom.mjs";
import { day, duration } from "./format.mjs";
import { calledName } from "./record_words.mjs";

/** @param {object} call as `GET /calls` tells it @param {object} config @returns {HTMLLIElement} */
export function row(call, config) {
  const name = calledName(call, config);
  const facts = [duration(call.duration_sec), ...(call.recorded ? [] : ["not recorded"])].join(", ");
  return element(
    "li",
    {},
    element(
      "button",
      { type: "button", class: "pp-earlier-call", "data-call": call.call_id },
      element("span", { class: "pp-earlier-day" }, day(call.started_at, new Date())),
      " ",
      element("span", { class: "pp-earlier-name", dir: "auto" }, call.title ? `${name}: ${call.title}` : name),
      " ",
      element("span", { class: "pp-earlier-facts" }, facts),
    ),
  );
}
