/** Where the call bar is: in the card while the whole of its place there is seen; otherwise at the bottom of the
 * window, so that Mute and End call are there on every tab, at every scroll position and on a phone. */

const NARROW = "(max-width: 700px), (max-height: 540px)";

/** @param {HTMLElement} bar @param {HTMLElement} dock its place in the card
 *  @param {HTMLElement} home where it is while it floats: outside of all tabs
 *  @returns {{show(shown: boolean): void}} */
export function dockable(bar, dock, home) {
  const narrow = matchMedia(NARROW);
  let seen = false;
  let shown = false;

  function place() {
    const floats = !shown || narrow.matches || !seen;
    move(floats ? home : dock);
    bar.classList.toggle("pp-floats", floats);
    reserve();
  }

  /** A modal dialog would be closed by being moved; the place is taken when it is done. */
  function move(target) {
    if (bar.parentElement === target || bar.querySelector("dialog[open]")) return;
    const focused = bar.contains(document.activeElement) ? document.activeElement : null;
    target.append(bar);
    focused?.focus({ preventScroll: true });
  }

  /** The place stays as high as the bar while that floats, or it would come and go; the page's end stays free. */
  function reserve() {
    const floats = shown && bar.classList.contains("pp-floats");
    const height = shown ? `${bar.offsetHeight}px` : "";
    dock.style.minHeight = narrow.matches || !shown ? "" : height;
    home.style.paddingBottom = floats ? height : "";
    document.documentElement.style.setProperty("--pp-bar-height", floats ? height : "0px");
  }

  new IntersectionObserver(
    ([entry]) => {
      seen = entry.isIntersecting && entry.intersectionRatio > 0.98;
      place();
    },
    { threshold: [0, 0.5, 0.9, 0.99, 1] },
  ).observe(dock);
  new ResizeObserver(reserve).observe(bar);
  narrow.addEventListener("change", place);
  bar.querySelector("dialog")?.addEventListener("close", place);

  return {
    show(now) {
      if (now === shown) return;
      shown = now;
      bar.hidden = !now;
      seen = dock.offsetParent !== null; // until the observer tells it, in the next frame
      place();
    },
  };
}
