"""What is mended of FastRTC is still wrong there: when one of these fails on an update, its mend can go."""

# FastRTC is typed in part only:
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false

import asyncio
import functools
import json
from importlib.metadata import version
from typing import Any

import httpx
import numpy as np
import pytest
from aiortc import InvalidStateError, RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack
from fastrtc import get_cloudflare_turn_credentials_async
from fastrtc.tracks import AudioCallback
from fastrtc.utils import Context, player_worker_decode

from personaplex_ui.compat import fastrtc
from tests.support.clients.offers import SOUND_OFFER, body
from tests.support.page_peers import browser_client, real_offer, take_answer
from tests.support.running import until

RATE_HZ = 24_000


class Handler(fastrtc.ConnectionHandler):
    def __init__(self) -> None:
        super().__init__(RATE_HZ)

    def copy(self) -> "Handler":
        return Handler()

    async def start_up(self) -> None: ...


@pytest.fixture
async def bare() -> fastrtc.PageStream:
    """FastRTC's server half as it comes."""
    return fastrtc.PageStream(Handler(), 5)


def test_it_was_written_for_this_fastrtc() -> None:
    assert version("fastrtc") == "0.0.34", "read what has changed in webrtc_connection_mixin.py and tracks.py"


# Connections -----------------------------------------------------------------------------------------


async def test_a_malformed_offer_keeps_its_place_until_it_is_closed(bare: fastrtc.PageStream) -> None:
    message = body(SOUND_OFFER.replace("111 opus/48000/2", "xx"))
    with pytest.raises(Exception, match="not enough values"):
        await fastrtc.answer(bare, message)
    assert list(bare.pcs) == [message["webrtc_id"]]
    await fastrtc.close_peer(bare, message["webrtc_id"])
    await fastrtc.close_peer(bare, message["webrtc_id"])  # twice does not matter
    assert bare.pcs == bare.handlers == {}


async def test_a_client_that_never_answers_keeps_its_place_for_half_a_minute(
    bare: fastrtc.PageStream,
) -> None:
    limits_sec: list[float] = []

    async def connection_timeout(pc: RTCPeerConnection, webrtc_id: str, time_limit: float) -> None:
        limits_sec.append(time_limit)

    bare.connection_timeout = connection_timeout
    over: list[str] = []
    for mended in (False, True):
        if mended:
            fastrtc.limit_connecting(bare, over.append)
        message = body(SOUND_OFFER)
        assert (await fastrtc.answer(bare, message))["type"] == "answer"
        await asyncio.sleep(0)
        assert fastrtc.is_connecting(bare, message["webrtc_id"]) is False
        await fastrtc.close_peer(bare, message["webrtc_id"])
    assert limits_sec == [30, fastrtc.CONNECTED_WITHIN_SEC]
    assert over == [message["webrtc_id"]]


async def test_what_fastrtc_refuses_is_a_code(bare: fastrtc.PageStream) -> None:
    message = body(SOUND_OFFER)
    await fastrtc.answer(bare, message)
    assert await fastrtc.answer(bare, message) == {"error": "connection_already_exists"}
    await fastrtc.close_peer(bare, message["webrtc_id"])
    candidate = {"webrtc_id": "nobody", "type": "ice-candidate", "candidate": {"candidate": ""}}
    assert await fastrtc.answer(bare, candidate) == {"error": "unknown_connection"}


async def test_the_turn_services_status_is_in_a_sentence_only(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(403, text="Forbidden"))
    monkeypatch.setattr(httpx, "AsyncClient", functools.partial(httpx.AsyncClient, transport=transport))
    with pytest.raises(Exception, match="403") as refused:
        await get_cloudflare_turn_credentials_async(hf_token="t")
    assert type(refused.value) is Exception
    assert fastrtc.turn_failure_status(refused.value) == 403
    assert fastrtc.turn_failure_status(OSError("403")) is None


# Sound -----------------------------------------------------------------------------------------------


async def test_fastrtc_makes_stereo_of_each_sound_which_aiortc_then_resamples_and_encodes() -> None:
    """Why the track is ours: if FastRTC passed packets on, this would fail."""
    sound = np.zeros((1, 480), dtype=np.int16)
    frames: asyncio.Queue[Any] = asyncio.Queue()
    quit_event = asyncio.Event()

    async def emit() -> tuple[int, Any]:
        await asyncio.sleep(0)
        return RATE_HZ, sound

    encoding = asyncio.create_task(
        player_worker_decode(emit, frames, quit_event, lambda: None, None, False, RATE_HZ, 480)
    )
    frame = await frames.get()
    quit_event.set()
    await encoding
    assert (frame.layout.name, frame.sample_rate) == ("stereo", RATE_HZ)


async def test_fastrtc_reads_the_caller_only_once_its_own_track_is_sent() -> None:
    """So nothing reads a track of FastRTC's that is replaced."""
    track = AudioCallback(AudioStreamTrack(), Handler(), Context(webrtc_id="one"))
    assert track.has_started is False
    track.stop()


# The data channel ------------------------------------------------------------------------------------


class Talkative(Handler):
    """Keeps what a page sends."""

    heard: list[object]

    def copy(self) -> "Talkative":
        return self

    def set_channel(self, channel: Any) -> None:
        super().set_channel(channel)
        if hasattr(self, "heard"):
            self.on_message(self.heard.append)


@pytest.mark.parametrize("mended", [False, True])
async def test_fastrtc_answers_each_message_until_its_listener_is_removed(mended: bool) -> None:
    handler = Talkative()
    if mended:
        handler.heard = []
    stream = fastrtc.PageStream(handler, 5)
    told: list[str] = []
    async with browser_client() as client:
        channel = client.createDataChannel("text")
        channel.on("message", told.append)
        message = body(await real_offer(client))
        await take_answer(client, await fastrtc.answer(stream, message))
        await until(lambda: handler.channel_set.is_set() and channel.readyState == "open")
        channel.send("hello")
        await until(lambda: bool(handler.heard if mended else told))
        handler.send({"type": "facts"})
        await until(lambda: any("facts" in each for each in told))
        kinds = [json.loads(each)["type"] for each in told]
        assert kinds == (["facts"] if mended else ["log", "facts"])
    await fastrtc.close_peer(stream, message["webrtc_id"])


async def test_a_message_to_a_page_that_was_left_is_dropped() -> None:
    class Closed:
        bufferedAmount = 7  # noqa: N815  aiortc's spelling

        def send(self, message: str) -> None:
            raise InvalidStateError

    handler = Handler()
    handler.send({"type": "facts"})
    assert handler.unread_bytes == 0
    handler.set_channel(Closed())  # type: ignore[arg-type]
    handler.send({"type": "facts"})
    assert handler.unread_bytes == 7
