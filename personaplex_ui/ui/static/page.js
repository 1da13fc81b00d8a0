/* Workarounds for FastRTC's component (elem_id "call", FastRTC 0.0.34): names its buttons, explains
   microphone errors, and closes microphones and connections that outlive their call. Also keeps our own HTML
   usable while Gradio replaces it (announcements, the transcript's scroll position, local times), and asks
   whether calls can be taken.

   The component is only observed from outside: its DOM shows the state, and the browser functions it calls
   (getUserMedia, RTCPeerConnection, AudioContext) are wrapped. The rest of the page gets the originals. */
(() => {
  "use strict";
  if (window.personaplex) return;

  // The component's track_constraints, which distinguish its requests from others.
  const TRACK = {
    echoCancellation: true, noiseSuppression: true, autoGainControl: true,
    channelCount: 1, sampleRate: { ideal: 24000 },
  };
  const NO_PEER_AFTER_MS = 12000; // the server did not answer the first request of a call
  const NOT_OPEN_AFTER_MS = 25000;
  const CLOSE_PEERS_AFTER_MS = 1000; // FastRTC closes its own after 500
  const DOUBLE_CLICK_MS = 700;
  const SLOW_PERMISSION_MS = 1500;

  const SAY = {
    insecure: "The microphone works only on a secure page: open this page over https or on localhost.",
    noRtc: "This browser cannot make calls: WebRTC is missing or switched off.",
    permission: "Please allow the microphone when the browser asks.",
    unplugged: "The microphone was disconnected. Hang up, connect it and call again.",
    lost: "The connection was lost. Press the button to call again.",
    failed: "The connection could not be made. A firewall or VPN may be in the way: try another network.",
    refused: "The call could not be started. Press the button to try again.",
    noAnswer: "The server does not answer. Press the button to try again, or reload the page.",
    NotFoundError: "No microphone was found. Connect one and press the button again.",
    NotAllowedError:
      "The microphone is blocked. Allow it for this page (beside the address, or in the system's settings)" +
      " and press the button again.",
    NotReadableError: "The microphone is in use by another program. Close that program and press again.",
    OverconstrainedError: "The microphone does not support calls. Choose another one and press again.",
  };
  SAY.SecurityError = SAY.NotAllowedError;
  SAY.AbortError = SAY.NotReadableError;

  // ---------------------------------------------------------------- the component, seen from outside

  const component = () => document.getElementById("call");
  const find = (selector) => component()?.querySelector(selector) ?? null;
  const talkButton = () => find(".button-wrap > button");
  const accessButton = () => find('[title="grant webcam access"] > button'); // before the first call only
  const deviceList = () => find("select.select-wrap");

  /** FastRTC's own state: "closed", "waiting" or "open"; null while the component is not in the page. */
  function stateShown() {
    const button = talkButton();
    if (!button) return accessButton() ? "closed" : null;
    if (button.querySelector('[title="spinner"]')) return "waiting";
    return button.querySelector('[title="stop recording"]') ? "open" : "closed";
  }

  // ---------------------------------------------------------------- one call

  /** idle -> asking (for the microphone) -> starting (FastRTC connects) -> live -> idle */
  let phase = "idle";
  let state = null;
  let microphone = null; // the stream of the call that is starting or live
  let lastMicrophone = null;
  let chosenDevice = null;
  let message = "";
  let passing = false; // our own click, which passes the listener
  let pressed = false;
  let refocus = false;
  let peerMade = false;
  let hungUpAt = 0;
  let timers = [];
  const peers = new Set();
  const forcedStates = new WeakMap();
  const contexts = new Set();
  const recorderStreams = new Set();

  function say(sentence) {
    message = sentence;
    sweep();
  }

  /** A click to start a call: opens the microphone first, so that its failures are explained. */
  async function begin() {
    phase = "asking";
    pressed = false;
    say("");
    const slow = setTimeout(() => say(SAY.permission), SLOW_PERMISSION_MS);
    try {
      microphone = await openMicrophone();
    } catch (error) {
      phase = "idle";
      say(SAY[error?.name] ?? SAY[error?.message] ?? `The microphone could not be opened (${error?.name}).`);
      return;
    } finally {
      clearTimeout(slow);
    }
    phase = "starting";
    peerMade = false;
    timers = [
      setTimeout(() => peerMade || giveUp(SAY.noAnswer), NO_PEER_AFTER_MS),
      setTimeout(() => giveUp(SAY.failed), NOT_OPEN_AFTER_MS),
    ];
    press();
    say("");
  }

  /** Before the first call FastRTC shows another button, which only asks for the microphone; sweep() calls
      this again once the real button has replaced it. */
  function press() {
    const button = talkButton() ?? accessButton();
    pressed = button !== null && button === talkButton();
    if (!pressed) refocus = button !== null && button === document.activeElement;
    else if (refocus) {
      button.focus(); // keep the keyboard focus although the button was replaced
      refocus = false;
    }
    passing = true;
    button?.click();
    passing = false;
  }

  function giveUp(sentence) {
    dropPeers([...peers]);
    end();
    say(sentence);
  }

  function end() {
    phase = "idle";
    timers.forEach(clearTimeout);
    microphone?.getTracks().forEach((track) => track.stop());
    microphone = null;
    contexts.forEach((context) => context.close());
    contexts.clear();
    const left = [...peers];
    setTimeout(() => left.forEach((peer) => peer.close()), CLOSE_PEERS_AFTER_MS);
  }

  function onStateChange(before) {
    if (state === "open") {
      phase = "live";
      timers.forEach(clearTimeout);
      // FastRTC keeps the state of its two mute buttons between calls, but not the muting.
      unmute("mic", () => microphone?.getAudioTracks().forEach((track) => { track.enabled = false; }));
      unmute("audio", () => { find("audio").muted = true; });
      say("");
    } else if (state !== "waiting" && (before === "open" || before === "waiting")) {
      if (state === null) dropPeers([...peers]); // Gradio removed the component during a call
      if (phase === "starting" && !message) say(SAY.refused);
      end();
    }
  }

  function unmute(kind, mute) {
    const button = find(`.mute-button[aria-label="unmute ${kind}"]`);
    if (!button) return;
    mute();
    button.click();
  }

  // ---------------------------------------------------------------- what FastRTC asks of the browser

  const devices = navigator.mediaDevices;
  const getUserMedia = devices?.getUserMedia?.bind(devices);

  async function openMicrophone() {
    if (!getUserMedia) throw new Error("insecure");
    if (!window.RTCPeerConnection) throw new Error("noRtc");
    const wanted = chosenDevice ? { ...TRACK, deviceId: { exact: chosenDevice } } : TRACK;
    const stream = await getUserMedia({ audio: wanted }).catch((error) => {
      if (!chosenDevice || error.name === "NotAllowedError") throw error;
      chosenDevice = null; // unplugged since
      return getUserMedia({ audio: TRACK });
    });
    stream.getAudioTracks().forEach((track) =>
      track.addEventListener("ended", () => stream === microphone && say(SAY.unplugged)));
    lastMicrophone = stream;
    return stream;
  }

  if (getUserMedia) {
    devices.getUserMedia = async (constraints) => {
      const audio = constraints?.audio;
      if (audio?.sampleRate?.ideal !== TRACK.sampleRate.ideal) {
        const stream = await getUserMedia(constraints);
        recorderStreams.add(stream);
        return stream;
      }
      if (phase === "starting" && microphone) return microphone;
      // After a call, and when another device is chosen, FastRTC only wants to learn a name: open nothing.
      chosenDevice = audio.deviceId?.exact ?? chosenDevice;
      return lastMicrophone ?? new MediaStream();
    };
  }

  if (window.MediaRecorder) {
    // Gradio's recorder (for the visitor's voice) leaves open the streams with which it looked for devices.
    window.MediaRecorder = class extends window.MediaRecorder {
      constructor(...settings) {
        super(...settings);
        this.addEventListener("stop", () => {
          recorderStreams.forEach((stream) => stream.getTracks().forEach((track) => track.stop()));
          recorderStreams.clear();
        });
      }
    };
  }

  if (window.RTCPeerConnection) {
    window.RTCPeerConnection = class extends window.RTCPeerConnection {
      constructor(...settings) {
        // An abandoned attempt can come back when a slow server finally answers; one is enough.
        if (phase !== "starting" || peerMade) throw new Error("This call was given up.");
        super(...settings);
        peerMade = true;
        peers.add(this);
        this.addEventListener("connectionstatechange", () => {
          if (!peers.has(this)) return;
          if (this.connectionState === "closed") dropPeers([this]); // by the server; FastRTC ignores it
          if (phase === "idle" || !["disconnected", "failed"].includes(this.connectionState)) return;
          say(phase === "live" ? SAY.lost : SAY.failed);
        });
      }
      get connectionState() {
        return forcedStates.get(this) ?? super.connectionState;
      }
      close() {
        peers.delete(this);
        super.close();
      }
    };
  }

  /** Makes FastRTC believe that these are disconnected, so that it shows its button again. */
  function dropPeers(dropped) {
    for (const peer of dropped) {
      peers.delete(peer);
      forcedStates.set(peer, "disconnected");
      peer.dispatchEvent(new Event("connectionstatechange"));
      peer.close();
    }
  }

  if (window.AudioContext) {
    // FastRTC opens one for its wave in every call and never closes it.
    window.AudioContext = class extends window.AudioContext {
      createMediaStreamSource(stream) {
        if (stream === microphone || stream === find("audio")?.srcObject) contexts.add(this);
        return super.createMediaStreamSource(stream);
      }
      async close() {
        if (this.state !== "closed") await super.close();
      }
    };
  }

  window.Audio = class extends window.Audio {
    constructor(src) {
      super(...(/\/pop-sounds\.mp3$/.test(src) ? [] : [src])); // FastRTC's, from another host, never played
    }
  };

  // ---------------------------------------------------------------- clicks and keys

  addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    if (passing || !button || (button !== talkButton() && button !== accessButton())) return;
    if (deviceList()) return; // FastRTC takes this click to close its list
    if (stateShown() === "open") {
      hungUpAt = Date.now();
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
    if (phase === "idle" && Date.now() - hungUpAt > DOUBLE_CLICK_MS) begin();
  }, true);

  const closeDeviceList = () => document.body.click(); // FastRTC listens for a click outside
  const focusDeviceButton = () => find(".button-wrap > button.icon")?.focus();
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.target !== deviceList()) return;
    closeDeviceList();
    setTimeout(focusDeviceButton);
  }, true);
  addEventListener("change", (event) => {
    if (event.target === deviceList()) setTimeout(focusDeviceButton);
  }, true);
  addEventListener("focusout", (event) => {
    if (event.target === deviceList() && event.relatedTarget) closeDeviceList();
  }, true);

  addEventListener("pagehide", () => {
    dropPeers([...peers]);
    end();
  });

  // ---------------------------------------------------------------- names of the component's controls

  function set(element, name, value) {
    if (element && element.getAttribute(name) !== value) element.setAttribute(name, value);
  }

  function nameControls() {
    const busy = phase === "asking" || phase === "starting";
    const shown = busy ? "waiting" : phase === "live" && state === "open" ? "open" : "closed";
    set(component(), "data-call", shown);
    set(component(), "data-stuck", String(shown === "closed" && state === "waiting"));
    const name = { closed: "Talk: start the call", waiting: "Connecting…", open: "Hang up" }[shown];
    for (const button of [talkButton(), accessButton()]) {
      set(button, "aria-label", name);
      set(button, "aria-disabled", String(busy));
      button?.querySelectorAll("[title]").forEach((icon) => set(icon, "aria-hidden", "true"));
    }
    for (const button of component()?.querySelectorAll(".mute-button") ?? []) {
      const [, muted, kind] = /^(un)?mute (mic|audio)$/.exec(button.getAttribute("aria-label")) ?? [];
      if (!kind) continue; // already ours; FastRTC sets its own name again when the state changes
      set(button, "aria-label", kind === "mic" ? "Mute the microphone" : "Mute the assistant");
      set(button, "data-kind", kind);
      set(button, "aria-pressed", String(Boolean(muted)));
    }
    set(find('button[aria-label="select input source"]'), "aria-label", "Choose the microphone");
    const list = deviceList();
    if (list && list.getAttribute("aria-label") !== "Microphone") {
      set(list, "aria-label", "Microphone");
      list.focus();
    }
    // The wave is drawn 60 times a second even when hidden; the meters replace it.
    component()?.querySelectorAll(".wave-path").forEach((path) => path.remove());
  }

  // ---------------------------------------------------------------- our own HTML

  const log = { element: null, follow: true, top: 0, focused: false };

  addEventListener("scroll", ({ target }) => {
    if (target !== log.element || !target.isConnected) return;
    log.top = target.scrollTop;
    log.follow = target.scrollTop + target.clientHeight >= target.scrollHeight - 24;
  }, true);
  addEventListener("focusin", ({ target }) => { log.focused = target === log.element; });

  /** Gradio replaces the whole transcript for each word: restore scroll position and focus. */
  function keepTranscript() {
    const element = document.querySelector(".pp-transcript");
    if (!element || element === log.element) return;
    log.element = element;
    if (element.scrollHeight <= element.clientHeight) log.follow = true;
    element.scrollTop = log.follow ? element.scrollHeight : log.top;
    if (log.focused && document.activeElement === document.body) element.focus({ preventScroll: true });
  }

  const announced = new Map();
  let announcer = null;

  /** One permanent live region: regions that come and go with Gradio's updates are announced unreliably. */
  function announce() {
    if (!announcer && document.body) {
      announcer = document.createElement("div");
      announcer.setAttribute("role", "status");
      announcer.setAttribute("aria-live", "polite");
      announcer.style.cssText = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)";
      document.body.append(announcer);
    }
    if (!announcer) return;
    for (const element of document.querySelectorAll("[data-announce]")) {
      const place = element.closest("[id]")?.id; // Gradio's component stays while its HTML is replaced
      const words = element.dataset.announce;
      if (announced.has(place) && announced.get(place) !== words) announcer.textContent = words;
      announced.set(place, words);
    }
  }

  function localTimes() {
    for (const time of document.querySelectorAll("time[datetime]:not([data-local])")) {
      const date = new Date(time.dateTime);
      time.dataset.local = "";
      if (!Number.isNaN(date.valueOf())) {
        time.textContent = date.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
      }
    }
  }

  function focusableWhereItScrolls() {
    for (const element of document.querySelectorAll(".pp-scrolls")) {
      const scrolls =
        element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1;
      if (scrolls) set(element, "tabindex", "0");
      else if (document.activeElement !== element) element.removeAttribute("tabindex");
    }
  }

  /* On a narrow page, a link down to the talk button stays visible until the button itself is visible. */
  const callInSight = new IntersectionObserver(([seen]) => {
    const below = !seen.isIntersecting && seen.boundingClientRect.top > 0;
    document.getElementById("to-call")?.classList.toggle("pp-needed", below);
  });
  let watchedCall = null;

  function watchCall() {
    const call = document.getElementById("call");
    if (!call || call === watchedCall) return;
    callInSight.disconnect();
    callInSight.observe((watchedCall = call));
  }

  // ---------------------------------------------------------------- whether calls can be taken

  /* Gradio shows the engine's loading while the page opens. Later changes are polled here, where a short
     outage of the server shows no error. */
  const LOOK_AT_HEALTH_EVERY_MS = 5000;
  const trouble = document.createElement("div");
  trouble.id = "trouble";
  trouble.className = "pp-engine pp-engine-failed";
  trouble.setAttribute("role", "alert");
  trouble.hidden = true;
  let wasWell = false;

  async function lookAtHealth() {
    if (document.hidden) return;
    let told;
    try {
      told = await (await fetch("health", { cache: "no-store" })).json();
    } catch {
      return;
    }
    const well = told.status === "healthy";
    wasWell ||= well;
    if (!wasWell) return;
    const then = told.status === "failed" ? " Reload the page to try again." : "";
    const said = well ? "" : (told.message || "Calls cannot be taken now.") + then;
    if (trouble.textContent !== said) trouble.textContent = said;
    trouble.hidden = well;
    if (!trouble.isConnected) document.getElementById("engine")?.before(trouble);
  }

  function sweep() {
    const before = state;
    state = stateShown();
    if (state !== before) onStateChange(before);
    if (phase === "starting" && !pressed && talkButton()) press();
    nameControls();
    const place = document.getElementById("mic-message");
    if (place && place.textContent !== message) place.textContent = message;
    announce();
    localTimes();
    keepTranscript();
    focusableWhereItScrolls();
    watchCall();
  }

  new MutationObserver(sweep).observe(document.documentElement, {
    subtree: true, childList: true, attributes: true,
    attributeFilter: ["aria-label", "title", "data-announce"],
  });
  addEventListener("resize", focusableWhereItScrolls);
  setInterval(lookAtHealth, LOOK_AT_HEALTH_EVERY_MS);
  window.personaplex = { get phase() { return phase; } };
})();
