"""Looking at an OpenAI-compatible server: whether it is there, takes the key, and knows the model."""

import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from personaplex_ui.speech import server_check as module
from personaplex_ui.speech.server_check import ServerFound, ServerState, look_at_server

ADDRESS = "http://llm.example/v1"
Answers = Callable[[httpx.Request], httpx.Response]


def look(answers: Answers, key: str = "sk-1", model: str = "small") -> ServerFound:
    return look_at_server(ADDRESS, key, model, httpx.Client(transport=httpx.MockTransport(answers)))


def sends(status: int, body: object = b"", **headers: str) -> Answers:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda request: httpx.Response(status, content=content, headers=headers)


def listing(*names: str) -> object:
    return {"object": "list", "data": [{"id": name} for name in names]}


def test_it_asks_for_the_models_with_the_key() -> None:
    asked: list[httpx.Request] = []

    def answers(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=listing("small", "large"))

    assert look(answers) == ServerFound(ServerState.GOOD)
    assert look(answers, key="") == ServerFound(ServerState.GOOD)
    first, second = asked
    assert str(first.url) == "http://llm.example/v1/models"
    assert first.headers["authorization"] == "Bearer sk-1"
    assert "authorization" not in second.headers


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        (sends(401), ServerState.KEY_REFUSED),
        (sends(403), ServerState.KEY_REFUSED),
        (sends(404, {"detail": "Not Found"}), ServerState.SILENT),
        (sends(404, b"<html>nothing here"), ServerState.NO_API),
        (sends(429), ServerState.OVERLOADED),
        (sends(500), ServerState.IN_TROUBLE),
        (sends(307, location="http://other.example"), ServerState.ELSEWHERE),
        (sends(200, b"<!doctype html>"), ServerState.NO_API),
        (sends(200, b"[" * 100_000), ServerState.NO_API),
        (sends(200, b"\xff"), ServerState.NO_API),
        (sends(200, {"data": "models"}), ServerState.NO_API),
        (sends(200, [1, 2]), ServerState.NO_API),
        (sends(200, {"data": []}), ServerState.SILENT),
        (sends(200, {"data": [None, {"id": 7}]}), ServerState.SILENT),
    ],
)
def test_what_its_answer_means(answers: Answers, state: ServerState) -> None:
    assert look(answers).state is state


def test_a_model_that_it_does_not_list_is_told_with_some_that_it_does() -> None:
    found = look(sends(200, listing(*(f"model {n}\x1b" for n in range(9)))))
    assert found == ServerFound(ServerState.MODEL_UNKNOWN, tuple(f"model {n}" for n in range(5)))


def test_a_list_that_never_ends_is_not_read_to_its_end() -> None:
    def endless(request: httpx.Request) -> httpx.Response:
        def pieces() -> Iterator[bytes]:
            while True:
                yield b"x" * 100_000

        return httpx.Response(200, content=pieces())

    assert look(endless).state is ServerState.NO_API


def test_a_list_that_comes_drop_by_drop_is_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT_SEC", -1.0)
    assert look(sends(200, listing("small"))).state is ServerState.TOO_SLOW


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (httpx.ConnectError("no"), ServerState.UNREACHABLE),
        (httpx.ReadError("cut"), ServerState.UNREACHABLE),
        (httpx.ConnectTimeout("slow"), ServerState.TOO_SLOW),
        (httpx.ReadTimeout("slow"), ServerState.TOO_SLOW),
    ],
)
def test_a_connection_that_fails(error: httpx.HTTPError, state: ServerState) -> None:
    def fails(request: httpx.Request) -> httpx.Response:
        raise error

    assert look(fails).state is state


def test_what_cannot_be_asked_at_all() -> None:
    assert look_at_server("llm.example", "", "small").state is ServerState.UNREACHABLE
    assert look_at_server(ADDRESS, "käy", "small").state is ServerState.KEY_UNUSABLE
    assert look_at_server("http://127.0.0.1:9/v1", "", "small").state is ServerState.UNREACHABLE
