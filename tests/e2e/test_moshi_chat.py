"""A Moshi client against the app as a process, on both engines: what only the whole server can show. The rest
is in tests/unit/channels/moshi."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator

import numpy as np
import pytest
from websockets.asyncio.client import connect

from tests.support.app_process import ECHO, TINY, AppProcess, running_app
from tests.support.clients.moshi import FRAME_SAMPLES, RATE_HZ, MoshiClient, Sound, chat
from tests.support.sounds import tone

SLOTS = 4
QUEUE = 20
TOLD_WITHIN_SEC = 60.0
CONNECTIONS, AT_ONCE = 1_000, 50

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    limits = {"MAX_CALLS": str(SLOTS), "MAX_WAITING": str(QUEUE)}
    with running_app(tmp_path_factory.mktemp("echo"), **limits, **ECHO) as app:
        yield app


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    with running_app(tmp_path_factory.mktemp("tiny"), MAX_CALLS="2", **TINY) as app:
        yield app


@contextlib.asynccontextmanager
async def live(
    app: AppProcess, query: dict[str, str] | None = None, path: str = "/api/chat"
) -> AsyncGenerator[MoshiClient]:
    async with chat(app.url, query, path) as client:
        await client.until(lambda: client.ready)
        yield client


async def goes_on(client: MoshiClient) -> None:
    """Each frame it hears is the model's answer to one that it said."""
    frames = len(client.loudness)
    await client.until(lambda: len(client.loudness) > frames + 5)
    assert not client.closed
    assert client.errors == []


async def slots_free(app: AppProcess, free: int = SLOTS) -> None:
    await asyncio.to_thread(app.wait_for_slots, free)


def pitch_hz(sound: Sound) -> float:
    """Of the loudest half second."""
    window = RATE_HZ // 2
    starts = range(0, len(sound) - window, FRAME_SAMPLES)
    loudest = max((sound[start : start + window] for start in starts), key=lambda part: float(part @ part))
    return float(np.argmax(np.abs(np.fft.rfft(loudest * np.hanning(window))))) * RATE_HZ / window


# What it hears ---------------------------------------------------------------------------------------


async def test_two_at_once_hear_their_own_words_in_their_own_voices(echo: AppProcess):
    """300 Hz come back nine semitones higher, or ten lower. Both paths lead to the same route."""
    async with (
        live(echo, {"voice_prompt": "VARF3.pt", "seed": "7"}) as high,
        live(echo, {"voice_prompt": "VARM4", "text_prompt": "", "seed": "7"}, "/ws/chat") as low,
    ):
        for client in (high, low):
            await client.until(lambda client=client: max(client.loudness, default=0.0) > 0.01)  # the greeting
            client.say(tone(0.8, 300.0))
        for client in (high, low):
            await client.until(lambda client=client: client.text.count("dBFS.") == 1)
            frames = len(client.loudness)
            await client.until(lambda client=client, frames=frames: len(client.loudness) > frames + 6)
            assert client.errors == []
            assert client.states[0]["state"] in ("preparing", "live")
            assert client.states[-1]["figures"]["dropped_said"] == 0
        assert pitch_hz(high.heard()) == pytest.approx(300.0 * 2 ** (9 / 12), abs=6.0)
        assert pitch_hz(low.heard()) == pytest.approx(300.0 * 2 ** (-10 / 12), abs=6.0)
        assert "Hello!" in high.text
        await high.speak("Good morning to all.")
        await high.speak("And goodbye!")
        await high.until(lambda: "goodbye!" in high.text)
        assert " Good morning to all. And goodbye!" in high.text
        assert "morning" not in low.text
    await slots_free(echo)


async def test_personaplex_talks_to_two_and_says_what_it_is_told(tiny: AppProcess):
    async with (
        live(tiny, {"seed": "7"}) as one,
        live(tiny, {"voice_prompt": "NATM1.pt", "seed": "7"}) as other,
    ):
        for client in (one, other):
            await client.until(lambda client=client: len(client.texts) > 3 and len(client.loudness) > 10)
            assert max(client.loudness) > 0.001
        await one.speak("Good day.")
        await one.speak("Farewell!")
        await one.until(lambda: "Farewell!" in one.text)
        assert " Good day. Farewell!" in one.text
        assert "Good day" not in other.text
        assert one.errors == other.errors == []


# What it may do wrong --------------------------------------------------------------------------------


async def test_ten_megabytes_close_the_connection_that_sent_them(echo: AppProcess):
    async with live(echo) as other:
        for kind in (b"\x01", b"\x07", b"\xff"):
            async with chat(echo.url, microphone=False) as client:
                await client.until(lambda client=client: client.ready)
                await client.send(kind + bytes(10_000_000))
                await client.until(lambda client=client: client.closed)
                assert client.close_code == 1009
        await goes_on(other)
    await slots_free(echo)


async def test_one_that_reads_nothing_holds_up_nobody(echo: AppProcess):
    """It asks for answers and reads none of them."""
    await slots_free(echo)
    async with live(echo) as other:
        async with connect(f"{echo.url.replace('http', 'ws')}/api/chat", max_queue=1) as deaf:
            while echo.free_slots() != SLOTS - 2:
                await asyncio.sleep(0.01)
            deaf.transport.pause_reading()

            async def ask() -> None:
                while True:
                    await deaf.send(b"\x01" + bytes(60_000))
                    await asyncio.sleep(0.001)

            asking = asyncio.create_task(ask())
            await slots_free(echo, SLOTS - 1)
            asking.cancel()
            deaf.transport.abort()
        await goes_on(other)


async def test_a_thousand_that_say_nothing_leave_one_call_in_peace(echo: AppProcess):
    async with live(echo) as other, contextlib.AsyncExitStack() as stack:

        async def join() -> MoshiClient:
            return await stack.enter_async_context(chat(echo.url, microphone=False))

        silent: list[MoshiClient] = []
        for _ in range(CONNECTIONS // AT_ONCE):
            silent += await asyncio.gather(*(join() for _ in range(AT_ONCE)))
        served = SLOTS - 1 + QUEUE
        for client in silent:
            await client.until(lambda client=client: client.closed or bool(client.states), TOLD_WITHIN_SEC)
        # On a slow machine those in a slot have been silent for too long by now, and others came in.
        taken = [client for client in silent if client.close_code != 1013]
        assert all(client.states for client in taken), [str(client) for client in taken]
        assert sum(not client.closed for client in taken) <= served
        assert all("try again" in client.errors[0] for client in silent if client not in taken)
        await goes_on(other)
    await slots_free(echo)
