"""``text_seed`` and ``audio_seed``, which web clients send: one of them is the seed where none is given."""

import numpy as np
import pytest
from fastapi import FastAPI

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import MAX_SEED, check_seed
from personaplex_ui.channels.moshi.query import parse_query
from personaplex_ui.channels.moshi.routes import PATHS, build_moshi_router
from personaplex_ui.voices.catalogue import Voice
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.clients.moshi import chat
from tests.support.loopback_server import serving

VOICES = VoiceLibrary([Voice("NATF2", "", "NATF2")], default="NATF2")


async def seed_of(call_manager: CallManager, query: dict[str, str], path: str = "/api/chat") -> int | None:
    """Of the call that such a query begins."""
    app = FastAPI()
    app.include_router(build_moshi_router(call_manager, VOICES, "Be kind.", lambda connection: ""))
    async with serving(app) as url, chat(url, query, path, tells_state=False) as client:
        await client.until(lambda: client.ready)
        (call,) = call_manager.calls.values()
        return call.settings.sampling.seed


@pytest.mark.parametrize("path", PATHS)
async def test_the_field_case(call_manager: CallManager, path: str):
    assert await seed_of(call_manager, {"text_seed": "42", "audio_seed": "42"}, path) == 42


@pytest.mark.parametrize(
    ("query", "seed"),
    [
        ({"text_seed": "7"}, 7),
        ({"audio_seed": "8"}, 8),
        ({"text_seed": "7", "audio_seed": "8"}, 7),
        ({"text_seed": "", "audio_seed": "8"}, 8),
        ({"text_seed": "0", "audio_seed": "8"}, 0),
        ({"seed": "9", "text_seed": "7", "audio_seed": "8"}, 9),
        ({"seed": "0", "text_seed": "7"}, 0),
        ({"seed": "", "text_seed": "7"}, 7),
        ({"seed": "-1", "text_seed": "7", "audio_seed": "8"}, None),
        ({"text_seed": "-1", "audio_seed": "-1"}, None),
        ({"text_seed": str(2**31 - 1)}, 2**31 - 1),
        ({"text_seed": str(2**31 + 5)}, 5),  # Kyutai's server takes seeds of 64 bits
        ({"text_seed": str(2**64 - 1)}, 2**31 - 1),
        ({"text_seed": "dice", "audio_seed": "NaN"}, None),  # as NVIDIA's server, which looks at neither
        ({"text_seed": "4.2", "audio_seed": "1e3"}, None),
        ({"text_seed": "9" * 4_000}, None),
        ({"text_seed": "4_2"}, None),
    ],
)
async def test_which_seed_it_is(call_manager: CallManager, query: dict[str, str], seed: int | None):
    assert await seed_of(call_manager, query) == seed


async def test_a_bad_seed_of_our_own_is_still_refused(call_manager: CallManager):
    app = FastAPI()
    app.include_router(build_moshi_router(call_manager, VOICES, "Be kind.", lambda connection: ""))
    query = {"seed": "dice", "text_seed": "7"}
    async with serving(app) as url, chat(url, query, tells_state=False) as client:
        await client.until(lambda: client.closed)
    assert (client.close_code, "The seed must be" in client.close_reason) == (4000, True)


def test_whatever_they_hold_is_a_seed_that_can_be_used():
    for value in np.random.default_rng(7).integers(0, 2**64, 200, dtype=np.uint64):
        seed = parse_query({"audio_seed": str(value)}).get("seed")
        assert check_seed(seed) == int(value) % (MAX_SEED + 1)
