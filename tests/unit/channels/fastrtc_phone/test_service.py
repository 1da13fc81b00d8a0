"""FastRTC's phone service: what is asked, and what is made of its answers, on a server on loopback."""

import json
from collections.abc import Iterator

import pytest

from personaplex_ui.channels.fastrtc_phone import service as fastrtc_service
from personaplex_ui.channels.fastrtc_phone.service import FastRtcService, Registration, registration_in
from personaplex_ui.errors import PhoneUnavailable
from tests.support.answering_machine import AnsweringMachine, answering_machine
from tests.support.telephone_rig import plain_client

TOKEN = "hf_a-token-of-nobody"
LENT = {"phone": "+1 (555) 010-0042", "code": 7421, "time_remaining": 1205.5, "reset_date": "2025-12-01"}
NOBODY = "http://127.0.0.1:1"


@pytest.fixture
def machine() -> Iterator[AnsweringMachine]:
    with answering_machine() as machine:
        machine.answers = {"/register": (200, LENT), "/unregister": (200, {})}
        yield machine


def service_at(*urls: str, token: str | None = TOKEN) -> FastRtcService:
    return FastRtcService(token, urls, plain_client)


async def refusal(service: FastRtcService) -> str:
    with pytest.raises(PhoneUnavailable) as caught:
        await service.register("abc.gradio.live")
    assert TOKEN not in str(caught.value)
    return str(caught.value)


# Asking ----------------------------------------------------------------------------------------------


async def test_the_second_address_is_asked_when_the_first_is_out_of_order(machine: AnsweringMachine):
    with answering_machine() as broken:
        for first, status in [(NOBODY, 0), (broken.url, 500), (broken.url, 404)]:
            broken.answers["/register"] = (status, {})
            service = service_at(first, machine.url)
            lent = await service.register("abc.gradio.live")
            assert lent.service_url == machine.url
            await service.unregister("abc.gradio.live", lent)
        assert broken.paths() == ["/register"] * 2
    assert machine.paths() == ["/register", "/unregister"] * 3


async def test_the_second_address_is_not_asked_when_the_first_refuses(machine: AnsweringMachine):
    machine.answers["/register"] = (401, {})
    with answering_machine() as second:
        assert await refusal(service_at(machine.url, second.url)) == fastrtc_service.WRONG_TOKEN
        assert second.asked == []


async def test_no_service_at_all(machine: AnsweringMachine, monkeypatch: pytest.MonkeyPatch):
    assert await refusal(service_at(NOBODY, NOBODY)) == fastrtc_service.UNREACHABLE
    monkeypatch.setattr(fastrtc_service, "REGISTERS_WITHIN_SEC", 0.1)
    machine.going.clear()
    assert await refusal(service_at(machine.url)) == fastrtc_service.UNREACHABLE


async def test_a_token_that_is_none_is_not_sent(machine: AnsweringMachine):
    for token in (None, ""):
        assert await refusal(service_at(machine.url, token=token)) == fastrtc_service.NO_TOKEN
    for token in ("töken", "a\nb", "a b", "a\x00"):
        assert await refusal(service_at(machine.url, token=token)) == fastrtc_service.WRONG_TOKEN
    assert machine.asked == []


async def test_giving_back_never_fails(machine: AnsweringMachine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fastrtc_service, "UNREGISTERS_WITHIN_SEC", 0.1)
    service = service_at(machine.url)
    machine.answers["/unregister"] = (500, {})
    for url in (NOBODY, machine.url):
        await service.unregister("abc.gradio.live", Registration("1", "2", None, "", url))
    machine.going.clear()
    await service.unregister("abc.gradio.live", Registration("1", "2", None, "", machine.url))


# Answers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "answer", "sentence"),
    [
        (202, {}, "minutes of FastRTC's phone service are used up for this HF_TOKEN"),
        (202, {"reset_date": "2025-12-01"}, "are used up until 2025-12-01 for this HF_TOKEN"),
        (202, {"reset_date": "<b>"}, "are used up for this HF_TOKEN"),
        (202, None, "are used up for this HF_TOKEN"),
        (401, {}, fastrtc_service.WRONG_TOKEN),
        (403, LENT, fastrtc_service.WRONG_TOKEN),
        (422, LENT, fastrtc_service.NOT_UNDERSTOOD),
        (302, LENT, fastrtc_service.NOT_UNDERSTOOD),
        (200, None, fastrtc_service.NOT_UNDERSTOOD),
        (200, [LENT], fastrtc_service.NOT_UNDERSTOOD),
        (200, {"phone": "+15550100"}, fastrtc_service.NOT_UNDERSTOOD),
        (200, {"code": "1"}, fastrtc_service.NOT_UNDERSTOOD),
        (200, LENT | {"phone": "<script>"}, fastrtc_service.NOT_UNDERSTOOD),
        (200, LENT | {"phone": "1" * 40}, fastrtc_service.NOT_UNDERSTOOD),
        (200, LENT | {"code": {"a": 1}}, fastrtc_service.NOT_UNDERSTOOD),
        (200, LENT | {"code": True}, fastrtc_service.NOT_UNDERSTOOD),
        (200, LENT | {"code": ""}, fastrtc_service.NOT_UNDERSTOOD),
    ],
)
def test_refusals(status: int, answer: object, sentence: str):
    with pytest.raises(PhoneUnavailable) as caught:
        registration_in(status, json.dumps(answer).encode(), "")
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "remaining_sec", "reset_date"),
    [
        ({}, 1205.5, "2025-12-01"),
        ({"time_remaining": 0}, 0.0, "2025-12-01"),
        ({"time_remaining": -5}, 0.0, "2025-12-01"),
        ({"time_remaining": "much"}, None, "2025-12-01"),
        ({"time_remaining": float("nan")}, None, "2025-12-01"),
        ({"time_remaining": 10**400}, None, "2025-12-01"),
        ({"time_remaining": True, "reset_date": "<b>"}, None, ""),
        ({"time_remaining": 60, "reset_date": None}, 60.0, ""),
        ({"reset_date": "Monday, 1 December 2025 at 00:00"}, 1205.5, "Monday, 1 December 2025 at 00:00"),
    ],
)
def test_what_is_known_of_the_minutes(
    changed: dict[str, object], remaining_sec: float | None, reset_date: str
):
    lent = registration_in(201, json.dumps(LENT | changed).encode(), "https://a.org")
    expected = Registration("+1 (555) 010-0042", "7421", remaining_sec, reset_date, "https://a.org")
    assert lent == expected


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff{", b"[" * 60_000, b" " * 70_000])
async def test_answers_are_read_so_far_and_no_further(machine: AnsweringMachine, content: bytes) -> None:
    machine.answers["/register"] = (200, content)
    assert await refusal(service_at(machine.url)) == fastrtc_service.NOT_UNDERSTOOD
