"""/openapi.json describes what our routes answer: errors, who may come in, bodies."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from fastapi.routing import APIRoute

from tests.support.page_session import LIBRARIES_WARN, OpenApp, open_app

pytestmark = [LIBRARIES_WARN, pytest.mark.asyncio(loop_scope="module")]

KEY = "a-key-for-machines"
KEY_SHOWN = {"Authorization": f"Bearer {KEY}"}
TELEPHONE = {
    "SERVER_URL": "https://talk.example.org",
    "TWILIO_AUTH_TOKEN": "a token that Twilio does not know",
}


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["open", "closed"])
async def app(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[OpenApp]:
    folder: Path = tmp_path_factory.mktemp("app")
    password = "a long password for tests" if request.param == "closed" else ""
    async with open_app(folder, ENGINE="echo", API_KEY=KEY, APP_PASSWORD=password, **TELEPHONE) as app:
        app.http.headers["Authorization"] = f"Bearer {KEY}"
        await app.loaded()
        yield app


@pytest_asyncio.fixture(loop_scope="module")
async def described(app: OpenApp) -> dict[str, Any]:
    return (await app.http.get("/openapi.json")).json()


TELL_MORE = ("GET /health", "GET /capacity")
"""They tell all they know in an error, too."""


def operations(described: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in described["paths"].items()
        for method, operation in item.items()
    }


async def test_all_our_routes_are_in_it(app: OpenApp, described: dict[str, Any]):
    known: set[str] = set()
    for route in vars(app)["_app"].routes:
        inner = getattr(route, "original_router", None)
        for ours in getattr(inner, "routes", [route]):
            if isinstance(ours, APIRoute) and ours.include_in_schema:
                known |= {f"{method} {ours.path}" for method in ours.methods or ()}
    assert known == set(operations(described))
    assert {"GET /health", "GET /voices", "GET /metrics", "POST /twilio/outbound"} <= known


async def test_errors_are_described(described: dict[str, Any]):
    schema = {"$ref": "#/components/schemas/Error"}
    assert described["components"]["schemas"]["Error"]["required"] == ["detail"]
    for name, operation in operations(described).items():
        answers = operation["responses"]
        assert {"400", "401", "403", "413", "421", "422", "429"} <= set(answers), name
        for status, answer in answers.items():
            assert answer["description"]
            if status[0] in "45" and status not in ("416",) and name not in TELL_MORE:
                assert answer["content"]["application/json"]["schema"] == schema, (name, status)
        assert [status for status in answers if status[0] == "2"], name
    assert "503" in operations(described)["GET /health"]["responses"]
    assert {"206", "404", "416", "503"} <= set(
        operations(described)["GET /voices/{name}/preview.wav"]["responses"]
    )
    assert {"404", "416"} <= set(operations(described)["GET /calls/{call_id}/recording.wav"]["responses"])


async def test_who_may_come_in_is_described(app: OpenApp, described: dict[str, Any]):
    schemes = described["components"]["securitySchemes"]
    assert schemes["bearer"] | {"description": ""} == {"type": "http", "scheme": "bearer", "description": ""}
    assert {schemes[name]["name"] for name in ("password", "login", "visitor", "twilio_signature")} == {
        *("X-App-Password", "personaplex_pass", "personaplex_visitor", "X-Twilio-Signature"),
    }
    named = operations(described)
    closed = (await app.http.get("/voices", headers={"Authorization": ""})).status_code == 401
    for name, operation in named.items():
        for requirement in operation["security"]:
            assert set(requirement) <= set(schemes)
        if name.startswith("POST /twilio/") and "outbound" not in name and "hangup" not in name:
            assert operation["security"] == [{"twilio_signature": []}]
    assert named["POST /twilio/outbound"]["security"] == [{"api_key": []}]
    assert named["GET /health"]["security"] == []
    assert bool(named["GET /voices"]["security"]) is closed


async def test_bodies_are_described(described: dict[str, Any]):
    body = operations(described)["POST /twilio/outbound"]["requestBody"]["content"]
    assert set(body) == {"application/json", "application/x-www-form-urlencoded"}
    for kind in body.values():
        assert set(kind["schema"]["properties"]) == {"to", "voice_prompt", "text_prompt"}
        assert kind["schema"]["required"] == ["to"]
        assert re.fullmatch(kind["schema"]["properties"]["to"]["pattern"], "+15551234567")
    inbound = operations(described)["POST /twilio/inbound"]["requestBody"]["content"]
    assert inbound["application/x-www-form-urlencoded"]["schema"]["required"] == ["CallSid"]


async def test_what_cannot_be_used_is_said_in_a_sentence(app: OpenApp):
    answer = await app.http.get("/calls/x/recording.wav?download=perhaps")
    assert answer.status_code == 422
    assert re.fullmatch(r"This cannot be used: download: .*\.", answer.json()["detail"])
    assert "perhaps" not in answer.text


async def test_who_shows_nothing_is_told_that_first(tmp_path: Path):
    """Also where there is no telephone: 503 would say that the right signature or key was shown."""
    async with open_app(tmp_path, ENGINE="echo", APP_PASSWORD="") as app:
        for headers, statuses in (({}, (403, 401)), ({"X-Twilio-Signature": "x", **KEY_SHOWN}, (503, 503))):
            inbound = await app.http.post("/twilio/inbound", data={"CallSid": "CA1"}, headers=headers)
            outbound = await app.http.post("/twilio/outbound", data={"to": "+1"}, headers=headers)
            assert (inbound.status_code, outbound.status_code) == statuses
            assert ("TWILIO_AUTH_TOKEN" in inbound.text, "API_KEY" in outbound.text) == (True, True)
