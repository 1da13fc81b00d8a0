"""Where another program serves the app and ends it, as on Modal or under plain uvicorn: calls may go on."""

import asyncio
from pathlib import Path

from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import SHUTS_DOWN, CallManager
from personaplex_ui.calls.quiet_end import TIME_IS_UP
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import Phase
from personaplex_ui.engine.speech_model import Persona
from tests.support.clients.offers import SOUND_OFFER, body
from tests.support.page_session import LIBRARIES_WARN, open_app
from tests.support.running import until

SETTINGS = CallSettings(Persona("NATF2", "Be kind."), record=False)

pytestmark = LIBRARIES_WARN


async def hang_up_later(manager: CallManager, call: LiveCall) -> Phase:
    """As soon as the app is about to end. Returns how the call was then."""
    await until(lambda: manager.quiet_end.is_on)
    phase = call.phase
    call.hang_up("You hung up.")
    return phase


async def live_call_as_it_ends(
    folder: Path, drain_seconds: int, hangs_up: bool
) -> tuple[LiveCall, Phase | None]:
    variables = {"ENGINE": "echo", "DRAIN_SECONDS": str(drain_seconds)}
    async with open_app(folder, **variables) as app:
        await app.loaded()
        call = app.call_manager.open(SETTINGS)
        await call.live.wait()
        leaving = asyncio.create_task(hang_up_later(app.call_manager, call)) if hangs_up else None
    return call, await leaving if leaving is not None else None


async def test_calls_go_on_until_they_end(tmp_path: Path) -> None:
    call, phase = await live_call_as_it_ends(tmp_path, 600, hangs_up=True)
    assert (phase, call.reason) == (Phase.LIVE, "You hung up.")


async def test_they_do_so_for_drain_seconds_at_most(tmp_path: Path) -> None:
    call, _ = await live_call_as_it_ends(tmp_path, 1, hangs_up=False)
    assert call.reason == TIME_IS_UP


async def test_a_page_that_never_connected_holds_no_socket_when_the_app_has_ended(tmp_path: Path) -> None:
    async with open_app(tmp_path, ENGINE="echo") as app:
        await app.loaded()
        answer = await app.http.post("/webrtc/offer", json=body(SOUND_OFFER))
        assert answer.status_code == 200
        [peer] = app.asgi.state.peers.stream.pcs.values()
    assert peer.connectionState == "closed"


async def test_without_them_they_end_at_once(tmp_path: Path) -> None:
    call, _ = await live_call_as_it_ends(tmp_path, 0, hangs_up=False)
    assert call.reason == SHUTS_DOWN
