/** The duplex report of a call in words: what was measured, and in one sentence each what it means. Pure. What the
 * server measures: docs/EVALUATION.md.
 *
 * @typedef {{name: string, value: string, detail: string, meaning: string}} Row
 */

import { percent } from "./format.mjs";

/** @param {object} report as `GET /calls/{id}/report.json` has it @param {string} name of the assistant
 *  @returns {Row[]} */
export function reportRows(report, name) {
  return [
    {
      name: "Response gap",
      ...lengths(report.response_gaps, "answer"),
      meaning: `From the end of what you said until ${name} began to answer.`,
    },
    {
      name: "Stop latency",
      ...stops(report),
      meaning: `How long ${name} went on after you began to speak over it.`,
    },
    {
      name: "Overlap",
      value: times(report.overlaps.count),
      detail: report.overlaps.count ? `${sec(report.overlaps.total_sec)} in all` : "",
      meaning: `When you and ${name} spoke at once.`,
    },
    {
      name: "Dead air",
      value: times(report.dead_air.count),
      detail: deadAir(report.dead_air),
      meaning: "When nobody spoke for more than two seconds.",
    },
    {
      name: "Pauses taken over",
      value: times(report.pause_take_overs.count),
      detail: "",
      meaning: `${name} began to speak while you had only paused, and you went on.`,
    },
    {
      name: "Talked over",
      value: times(report.talk_overs.count),
      detail: "",
      meaning: `${name} began to speak before you had finished.`,
    },
    {
      name: "Backchannels",
      value: times(report.backchannels.count),
      detail: "",
      meaning: `A short “mhm” of ${name} while it was your turn.`,
    },
    {
      name: "Talk share",
      ...share(report.talk_share, name),
      meaning: "Who spoke how much of all that was said.",
    },
    { name: "Echo", ...echo(report.self_echo, name) },
  ];
}

/** 0.424 -> "0.42 s". */
const sec = (value) => `${value.toFixed(2)} s`;
const times = (count) => (count === 0 ? "never" : count === 1 ? "once" : `${count} times`);
const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** Nine in ten of a few say nothing: then the longest is told. */
const ENOUGH_FOR_TENTHS = 10;

function lengths({ count, median_sec: median, p90_sec: most, all_sec: all }, noun) {
  if (!count) return { value: "–", detail: `no ${noun} to measure` };
  if (count === 1) return { value: sec(median), detail: `one ${noun}` };
  const slow = count < ENOUGH_FOR_TENTHS ? `at most ${sec(Math.max(...all))}` : `9 in 10 within ${sec(most)}`;
  return { value: sec(median), detail: `typically; ${slow} (${counted(count, noun)})` };
}

function stops({ stop_latency: stopped, ignored_interruptions: ignored }) {
  const { value, detail } = lengths(stopped, "interruption");
  const also = ignored.count ? `${ignored.count} ${ignored.count === 1 ? "was" : "were"} ignored` : "";
  return { value, detail: [detail, also].filter(Boolean).join("; ") };
}

function deadAir({ count, total_sec: total, longest_sec: longest }) {
  if (!count) return "";
  return count === 1 ? sec(total) : `${sec(total)} in all, the longest ${sec(longest)}`;
}

function share({ caller, caller_sec: callerSec, assistant_sec: assistantSec }, name) {
  if (caller === null) return { value: "–", detail: "nobody spoke" };
  const rest = percent(1 - Math.round(100 * caller) / 100); // so that both make 100
  return {
    value: `${percent(caller)} you`,
    detail: `You ${percent(caller)} (${Math.round(callerSec)} s), ${name} ${rest} (${Math.round(assistantSec)} s)`,
  };
}

function echo({ assistant_in_caller: heard, caller_in_assistant: back }, name) {
  if (heard) {
    const meaning = `Your microphone heard ${name} from your loudspeaker; headphones prevent that.`;
    return { value: `${minus(heard.level_db)} dB`, detail: `${heard.lag_ms} ms later`, meaning };
  }
  if (back) {
    const meaning = `Your own voice came back to you with ${name}’s.`;
    return { value: `${minus(back.level_db)} dB`, detail: `${back.lag_ms} ms later`, meaning };
  }
  return { value: "none", detail: "", meaning: `Whether your microphone heard ${name}, or your own voice came back.` };
}

const minus = (value) => `${value < 0 ? "−" : ""}${Math.abs(value).toFixed(0)}`;
