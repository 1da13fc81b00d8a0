/** The timeline of a call as the control of its recording: two lanes that are one slider, a button with the time.
 * Without a recording the lanes are a picture. */

import { element, setAttribute, setHidden, setText } from "./dom.mjs";
import { segments, share, speakersAt, timeAfterKey, timeAt, turnsOf } from "./timeline.mjs";
import { clock } from "./words.mjs";

/** @param {HTMLElement} root .pp-player @param {(sec: number) => void} onTime where the player is now
 *  @returns {{load(record: object, name: string): void, update(record: object): void, playFrom(sec: number): void,
 *  stop(): void}} `update`: the same call, measured anew */
export function createPlayer(root, onTime) {
  const find = (name) => root.querySelector(`.pp-${name}`);
  const [scrubber, head, audio] = [find("scrubber"), find("playhead"), root.querySelector("audio")];
  const [play, playWord, playTime, fault] = [find("play"), find("play-word"), find("play-time"), find("no-sound")];
  let record = null;
  let turns = { caller: [], assistant: [], overlaps: [] };
  let name = "";
  let length = 0;
  let wanted = 0;
  let frame = 0;
  let dragging = false;

  const playable = () => Boolean(record?.files?.recording) && !audio.error;

  const where = () => (audio.seeking || audio.readyState === 0 ? wanted : audio.currentTime);
  function seek(sec) {
    wanted = sec;
    if (audio.readyState > 0) audio.currentTime = Math.min(sec, Math.max(0, audio.duration - 0.05));
    show();
  }
  function show() {
    const sec = where();
    head.style.transform = `translateX(${(100 * share(sec, length)).toFixed(3)}%)`;
    setText(playTime, `${clock(sec)} / ${clock(length)}`);
    setAttribute(scrubber, "aria-valuenow", Math.floor(sec));
    setAttribute(scrubber, "aria-valuetext", `${clock(sec)} of ${clock(length)}, ${speakersAt(turns, sec, name)}`);
    onTime(sec);
  }
  function follow() {
    show();
    frame = audio.paused ? 0 : requestAnimationFrame(follow);
  }
  function showPlaying() {
    root.classList.toggle("pp-playing", !audio.paused);
    setText(playWord, audio.paused ? "Play" : "Pause");
    if (!audio.paused && !frame) follow();
  }
  const toggle = () => (audio.paused ? start() : audio.pause());
  function start() {
    // Interrupted by a pause or another recording: nothing to tell. A recording that cannot be read is an error.
    audio.play().catch(() => {});
  }
  function showFault() {
    setHidden(play, true);
    setHidden(fault, false);
    setText(fault, "The recording could not be loaded. It may have been deleted.");
    slide(false);
  }

  function slide(on) {
    setAttribute(scrubber, "role", on ? "slider" : "img");
    setAttribute(scrubber, "tabindex", on ? 0 : null);
    for (const attribute of ["aria-valuemin", "aria-valuemax", "aria-valuenow", "aria-valuetext"]) {
      if (!on) scrubber.removeAttribute(attribute);
    }
    setAttribute(scrubber, "aria-label", on ? "Place in the recording" : "Who spoke when");
    setHidden(head, !on);
  }

  scrubber.addEventListener("keydown", (event) => {
    if (!playable() || event.altKey || event.ctrlKey || event.metaKey) return;
    const sec = timeAfterKey(event.key, where(), length);
    if (sec !== null) seek(sec);
    else if (event.key === " " || event.key === "Enter") toggle();
    else return;
    event.preventDefault();
  });
  const drag = (event) => seek(timeAt(event.clientX, scrubber.getBoundingClientRect(), length));
  scrubber.addEventListener("pointerdown", (event) => {
    if (!playable() || event.button) return;
    scrubber.setPointerCapture(event.pointerId);
    dragging = true;
    drag(event);
  });
  scrubber.addEventListener("pointermove", (event) => dragging && drag(event));
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    scrubber.addEventListener(end, () => {
      dragging = false;
    });
  }
  play.addEventListener("click", toggle);
  audio.addEventListener("loadedmetadata", () => {
    if (wanted > 0) audio.currentTime = wanted;
    show();
  });
  for (const event of ["play", "pause", "ended"]) audio.addEventListener(event, showPlaying);
  audio.addEventListener("seeked", show);
  audio.addEventListener("error", () => record?.files?.recording && showFault());

  return {
    load(next, assistant) {
      record = next;
      name = assistant;
      length = record.duration_sec;
      wanted = 0;
      turns = turnsOf(record);
      drawLanes(root, turns, length, name);
      if (record.files.recording) audio.src = record.files.recording;
      else audio.removeAttribute("src");
      const on = Boolean(record.files.recording);
      slide(on);
      setHidden(play, !on);
      setText(fault, on ? "" : whySilent(record));
      setHidden(fault, on);
      if (!on) return;
      setAttribute(scrubber, "aria-valuemin", 0);
      setAttribute(scrubber, "aria-valuemax", Math.ceil(length));
      show();
      showPlaying();
    },
    update(next) {
      record = next;
      turns = turnsOf(record);
      drawLanes(root, turns, length, name);
    },
    playFrom(sec) {
      if (!playable()) return;
      seek(sec);
      start();
    },
    stop: () => audio.pause(),
  };
}

/** @param {object} record @returns {string} */
export function whySilent(record) {
  return record.pending && record.recorded
    ? "The recording is being put together."
    : "There is no recording of this call.";
}

function drawLanes(root, turns, length, name) {
  setText(root.querySelector(".pp-lane-assistant"), name);
  for (const who of ["caller", "assistant"]) {
    const track = root.querySelector(`.pp-track-${who}`);
    track.replaceChildren(
      ...bars(turns[who], length, "pp-stretch"),
      ...bars(turns.overlaps, length, "pp-stretch pp-overlap"),
    );
  }
  setHidden(root.querySelector(".pp-overlap-key"), turns.overlaps.length === 0);
}

function bars(turns, length, className) {
  return segments(turns, length).map(({ left, width }) =>
    element("span", { class: className, style: `left:${left}%;width:${width}%` }),
  );
}
