/** The page's entry: one store, the views over it, and the actions that views and keys call.
 *
 * Gradio builds the page after this has begun and may build parts of it anew; views are mounted once their
 * element is there, and again when another one has taken its place.
 */

import { mount as mountAfter } from "./after.mjs";
import { callRecord, deleteCall, health, serverOf, visitor } from "./api.mjs";
import { mount as mountBefore } from "./before.mjs";
import { Calls } from "./call.mjs";
import { mount as mountCallBar } from "./callbar.mjs";
import { createEffects } from "./effects.mjs";
import { mount as mountGradio } from "./gradio.mjs";
import { mount as mountPill, mountLicence } from "./header.mjs";
import { mount as mountHistory } from "./history.mjs";
import { listenToKeys } from "./keys.mjs";
import { Levels } from "./levels.mjs";
import { mount as mountLive } from "./live.mjs";
import { mountRoles, mountVoices } from "./persona.mjs";
import { initial, isMuted, trouble } from "./state.mjs";
import { createStore } from "./store.mjs";
import { mount as mountTrouble } from "./trouble_bar.mjs";
import { forgetWebsocket, preferWebsocket, wayOfCalls } from "./way.mjs";

const HEALTH_EVERY_MS = 5000;
const UNANSWERED_BEFORE_TOLD = 2;
const TOLD_FOR_MS = 8000;
const AFTER_MIDNIGHT_MS = 60_000;

/** Elements by id, and the view that fills each. */
const VIEWS = {
  trouble: mountTrouble,
  stage: mountGradio,
  "stage-before": mountBefore,
  pill: mountPill,
  "role-cards": mountRoles,
  "voice-chips": mountVoices,
  earlier: mountHistory,
  licence: mountLicence,
  "stage-live": mountLive,
  "stage-after": mountAfter,
  "call-bar": mountCallBar,
};

const config = JSON.parse(document.getElementById("page-config")?.textContent || "{}");
const levels = new Levels();
const store = createStore(initial(config));
const { dispatch, getState } = store;
const calls = new Calls({ dispatch, getState, levels });
const views = new Map();

const actions = {
  start: () => calls.start(wayOfCalls(config)),
  retry: () => actions.start(),
  useWebsocket() {
    preferWebsocket();
    calls.start("websocket");
  },
  end: () => dispatch({ type: "ended", reason: "You hung up.", end: "hung_up" }),
  askToEnd: () => views.get("call-bar")?.render.askToEnd?.(),
  toggleMute: () => dispatch({ type: "mute", muted: !getState().call?.muted }),
  toggleSound: () => dispatch({ type: "sound", off: !getState().call?.soundOff }),
  hold: (held) => dispatch({ type: "hold", held }),
  openDevices: () => dispatch({ type: "devices", devices: { open: true } }),
  chooseInput: (id) => calls.chooseInput(id),
  chooseOutput: (id) => calls.chooseOutput(id),
  say(text) {
    if (!calls.send({ type: "say", text })) tell("not_taken");
  },
  openCall: (id) => attempt(async () => dispatch({ type: "result", record: await callRecord(id) })),
  async refreshCall(id) {
    const record = await callRecord(id).catch(() => null);
    const shown = getState().result;
    if (shown?.call_id === id) dispatch({ type: "result", record: record ?? { ...shown } });
  },
  deleteCall: (id) =>
    attempt(async () => {
      await deleteCall(id);
      dispatch({ type: "deleted", callId: id });
    }),
};

function tell(kind, sentence) {
  const told = trouble(kind, sentence);
  dispatch({ type: "trouble", trouble: told });
  setTimeout(() => getState().trouble === told && dispatch({ type: "trouble", trouble: null }), TOLD_FOR_MS);
}

async function attempt(run) {
  try {
    await run();
  } catch (error) {
    tell("not_taken", error.sentence);
  }
}

// What a change does beside being drawn.
const effects = createEffects(() => calls.context);
store.subscribe((before, state) => {
  effects(before, state);
  if (before.call && !state.call) calls.finish(before.call);
  if (before.call?.step === "connecting" && before.call.via === "websocket" && state.trouble && !state.call) {
    forgetWebsocket();
  }
  if (isMuted(before) !== isMuted(state)) calls.applyMute();
  if (before.call?.soundOff !== state.call?.soundOff) calls.setSound(state.call?.soundOff ?? false);
  if (before.sampling !== state.sampling && state.call) calls.send({ type: "sampling", ...state.sampling });
  draw();
});

let drawing = false;
/** All views after the events of one turn; a hidden tab is drawn too, so that it is right when it is seen. */
function draw() {
  if (drawing) return;
  drawing = true;
  queueMicrotask(() => {
    drawing = false;
    for (const { render } of views.values()) drawOne(render);
  });
}

/** A view that fails does not take the others with it, least of all the button that ends the call. */
function drawOne(render) {
  try {
    render?.(getState());
  } catch (error) {
    console.error(error);
  }
}

function mountViews() {
  for (const [id, mount] of Object.entries(VIEWS)) {
    const root = document.getElementById(id);
    if (!root || views.get(id)?.root === root) continue;
    const view = { root, render: null };
    views.set(id, view);
    try {
      view.render = mount(root, { dispatch, actions, getState, levels }) ?? null;
    } catch (error) {
      console.error(error);
    }
    drawOne(view.render);
  }
}

let unanswered = 0;
async function lookAtServer() {
  if (document.hidden) return;
  try {
    const told = serverOf(await health());
    unanswered = 0;
    dispatch({ type: "server", server: told });
  } catch {
    unanswered += 1; // a short outage is told to nobody
    if (unanswered < UNANSWERED_BEFORE_TOLD) return;
    const sentence = "The server does not answer. Check your connection.";
    dispatch({ type: "server", server: { ready: false, draining: false, sentence, progress: null } });
  }
}

let nextDay = 0;
async function lookAtVisitor() {
  if (!config.visitorMinutes) return;
  const told = await visitor().catch(() => null);
  if (!told) return;
  dispatch({ type: "visitor", visitor: { minutesLeft: told.minutes_left, againAt: told.again_at } });
  clearTimeout(nextDay);
  nextDay = setTimeout(lookAtVisitor, Math.max(1000 * told.again_at - Date.now(), 0) + AFTER_MIDNIGHT_MS);
}

mountViews();
new MutationObserver(mountViews).observe(document.documentElement, { childList: true, subtree: true });
listenToKeys({ getState, actions });
setInterval(lookAtServer, HEALTH_EVERY_MS);
document.addEventListener("visibilitychange", lookAtServer);
store.subscribe((before, state) => before.view !== state.view && lookAtVisitor());
addEventListener("pagehide", actions.end); // the page may come back later, from the browser's memory
lookAtServer();
lookAtVisitor();
