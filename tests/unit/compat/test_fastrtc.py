"""What is mended of FastRTC is still wrong there: when one of these fails on an update, its mend can go."""

# FastRTC is typed in part only:
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false

import asyncio
import functools
import logging
from importlib.metadata import version
from typing import Any

import gradio as gr
import httpx
import numpy as np
import numpy.typing as npt
import pytest
from aiortc import InvalidStateError, RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack
from av import AudioFrame
from fastrtc import CloseStream, WebRTC, get_cloudflare_turn_credentials_async
from fastrtc.tracks import AudioCallback
from fastrtc.utils import Context, player_worker_decode

from personaplex_ui.compat import fastrtc
from tests.support.clients.offers import SOUND_OFFER, body
from tests.support.running import until
from tests.support.webrtc_component import DiaryHandler

RATE_HZ = 24_000


class Handler(fastrtc.MendedStreamHandler):
    def __init__(self) -> None:
        super().__init__(RATE_HZ)

    def copy(self) -> "Handler":
        return Handler()

    async def start_up(self) -> None: ...

    async def receive(self, frame: object) -> None: ...

    async def emit(self) -> None: ...


@pytest.fixture
async def bare() -> Any:
    """FastRTC's component as it comes."""
    with gr.Blocks(analytics_enabled=False):
        component = WebRTC(mode="send-receive", modality="audio", server_rtc_configuration={"iceServers": []})
        component.stream(DiaryHandler([]), inputs=[component], outputs=[component], concurrency_limit=5)
    return component


def test_it_was_written_for_this_fastrtc() -> None:
    assert version("fastrtc") == "0.0.34", "read what has changed in webrtc_connection_mixin.py and tracks.py"


# The component ---------------------------------------------------------------------------------------


async def test_a_malformed_offer_keeps_its_place_until_it_is_closed(bare: Any) -> None:
    message = body(SOUND_OFFER.replace("111 opus/48000/2", "xx"))
    with pytest.raises(Exception, match="not enough values"):
        await bare.handle_offer(message, bare.set_additional_outputs(message["webrtc_id"]))
    assert list(bare.pcs) == [message["webrtc_id"]]
    await fastrtc.close_peer(bare, message["webrtc_id"])
    await fastrtc.close_peer(bare, message["webrtc_id"])  # twice does not matter
    assert bare.pcs == bare.handlers == {}


async def test_a_client_that_never_answers_keeps_its_place_for_half_a_minute(
    bare: Any, monkeypatch: pytest.MonkeyPatch
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
        await bare.handle_offer(message, bare.set_additional_outputs(message["webrtc_id"]))
        await asyncio.sleep(0)
        assert fastrtc.is_connecting(bare, message["webrtc_id"]) is False
        await fastrtc.close_peer(bare, message["webrtc_id"])
    assert limits_sec == [30, fastrtc.CONNECTED_WITHIN_SEC]
    assert over == [message["webrtc_id"]]


async def test_its_own_functions_are_listed_for_api_clients_until_they_are_hidden() -> None:
    with gr.Blocks(analytics_enabled=False) as page:
        component: Any = WebRTC(mode="send-receive", modality="audio")
        component.stream(DiaryHandler([]), inputs=[component], outputs=[component])
        component.on_additional_outputs(lambda: "", outputs=[gr.Textbox()])
        gr.Button().click(lambda: None, api_name="ours")
    assert len(page.get_api_info()["named_endpoints"]) > 1
    fastrtc.hide_internal_functions(page)
    assert list(page.get_api_info()["named_endpoints"]) == ["/ours"]


async def test_the_turn_services_status_is_in_a_sentence_only(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(403, text="Forbidden"))
    monkeypatch.setattr(httpx, "AsyncClient", functools.partial(httpx.AsyncClient, transport=transport))
    with pytest.raises(Exception, match="403") as refused:
        await get_cloudflare_turn_credentials_async(hf_token="t")
    assert type(refused.value) is Exception
    assert fastrtc.turn_failure_status(refused.value) == 403
    assert fastrtc.turn_failure_status(OSError("403")) is None


# The handler -----------------------------------------------------------------------------------------


def packets(rate_hz: int, layout: str, count: int = 50) -> list[AudioFrame]:
    """A tone of 440 Hz in packets of 20 ms."""
    time_sec = np.arange(count * rate_hz // 50) / rate_hz
    tone = (10_000 * np.sin(2 * np.pi * 440 * time_sec)).astype(np.int16)
    channels = 2 if layout == "stereo" else 1
    frames: list[AudioFrame] = []
    for number, packet in enumerate(np.repeat(tone, channels).reshape(count, 1, -1)):
        frame = AudioFrame.from_ndarray(packet, format="s16", layout=layout)
        frame.sample_rate, frame.pts = rate_hz, number * rate_hz // 50
        frames.append(frame)
    return frames


def resampled(handler: Any, frames: list[AudioFrame]) -> list[npt.NDArray[np.int16]]:
    chunks = [chunk for frame in frames for chunk in handler.resample(frame)]
    assert {(chunk.sample_rate, chunk.layout.name) for chunk in chunks} == {(RATE_HZ, "mono")}
    return [chunk.to_ndarray().astype(np.int16).reshape(-1) for chunk in chunks]


def test_packets_are_resampled_as_they_come_where_fastrtc_waits_for_two() -> None:
    frames = packets(48_000, "stereo")
    assert max(map(len, resampled(DiaryHandler([]), frames))) > 480
    chunks = resampled(Handler(), frames)
    assert max(map(len, chunks)) <= 480
    sound = np.concatenate(chunks)
    assert 23_900 <= len(sound) <= 24_000
    assert np.argmax(np.abs(np.fft.rfft(sound, 24_000))) == 440


def test_a_client_may_change_its_codec_where_fastrtc_fails() -> None:
    plain, handler = DiaryHandler([]), Handler()
    resampled(plain, packets(48_000, "stereo"))
    with pytest.raises(ValueError, match="does not match"):
        resampled(plain, packets(8_000, "mono"))
    for layout, rate_hz in (("stereo", 48_000), ("mono", 8_000), ("mono", 16_000), ("stereo", 48_000)):
        heard = sum(map(len, resampled(handler, packets(rate_hz, layout, 10))))
        assert heard == pytest.approx(4_800, abs=100)


async def test_sound_is_asked_for_after_the_stream_was_closed_until_the_track_is_stopped() -> None:
    asked = 0

    async def emit() -> CloseStream | None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return CloseStream("Over.") if asked == 1 else None

    handler = Handler()
    assert handler.stop_track() is None
    track = AudioCallback(AudioStreamTrack(), handler, Context(webrtc_id="one"))
    asking = asyncio.create_task(
        player_worker_decode(emit, track.queue, track.thread_quit, lambda: None, None, False, RATE_HZ, 480)
    )
    await until(lambda: asked > 10)
    assert handler.stop_track() == "one"
    await asking


async def test_the_end_of_a_stream_is_nothing_in_place_of_a_frame(caplog: pytest.LogCaptureFixture) -> None:
    class Channel:
        def send(self, message: str) -> None: ...

    handler = Handler()
    track = AudioCallback(AudioStreamTrack(), handler, Context(webrtc_id="one"))
    track.channel = Channel()  # type: ignore[assignment]
    track.has_started = True
    handler.set_channel(Channel())  # type: ignore[arg-type]
    track.queue.put_nowait(CloseStream("Over."))
    assert await track.recv() is None

    fastrtc.hide_ended_streams()
    log = logging.getLogger("aiortc.rtcrtpsender")
    with caplog.at_level(logging.WARNING, logger=log.name):
        log.warning("Traceback: %s", "AttributeError: 'NoneType' object has no attribute 'pts'")
        log.warning("Something else")
    assert [record.getMessage() for record in caplog.records] == ["Something else"]


async def test_a_message_to_a_page_that_was_left_is_dropped() -> None:
    class Closed:
        def send(self, message: str) -> None:
            raise InvalidStateError

    handler = Handler()
    handler.send("fetch_output")  # there is no channel yet
    handler.set_channel(Closed())  # type: ignore[arg-type]
    handler.send("fetch_output")
    with pytest.raises(InvalidStateError):
        await handler.send_message("as FastRTC does")
