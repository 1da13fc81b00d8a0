"""HTTP tools: what a file may say, that arguments stay in their place, and what becomes of each answer."""

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personaplex_ui.errors import SettingsError
from personaplex_ui.speech.tools.address import AddressTemplate
from personaplex_ui.speech.tools.description import Tool, read_tools
from personaplex_ui.speech.tools.parameters import BadArguments
from personaplex_ui.speech.tools.runner import ToolRunner

SECRETS = {"TOOL_KEY": "sk-hidden", "HF_TOKEN": "hf_other"}
PROPERTIES = {
    "number": {"type": "string", "description": "of the order"},
    "day": {"type": "string", "enum": ["today", "tomorrow"]},
    "guests": {"type": "integer", "minimum": 1, "maximum": 8},
    "loud": {"type": "boolean"},
}
ORDER: dict[str, Any] = {
    "name": "order",
    "description": "Where an order is.",
    "parameters": {"type": "object", "properties": PROPERTIES, "required": ["number"]},
    "url": "https://api.example.org/v1/orders/{number}?when={day}",
    "headers": {"Authorization": "Bearer ${TOOL_KEY}"},
}


def response(status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> httpx.Response:
    """One whose body is read as it would come from a connection."""
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(content))


def tools_of(tmp_path: Path, *tools: object) -> tuple[Tool, ...]:
    path = tmp_path / "tools.json"
    path.write_text(json.dumps(list(tools)))
    return read_tools(path, SECRETS)


def runner(
    tmp_path: Path, handler: Callable[[httpx.Request], httpx.Response], **changes: object
) -> ToolRunner:
    return ToolRunner(tools_of(tmp_path, {**ORDER, **changes}), httpx.MockTransport(handler))


def test_arguments_go_into_path_query_and_body(tmp_path: Path) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return response(200, b"On its way.")

    arguments = json.dumps({"number": "a b?c#d", "day": "today", "guests": 2, "loud": True})
    assert runner(tmp_path, answer).run("order", arguments) == "On its way."
    assert runner(tmp_path, answer, method="POST").run("order", arguments) == "On its way."
    get, post = seen
    assert str(get.url) == "https://api.example.org/v1/orders/a%20b%3Fc%23d?when=today&guests=2&loud=true"
    assert get.headers["Authorization"] == "Bearer sk-hidden"
    assert post.url.query == b"when=today"
    assert json.loads(post.content) == {"guests": 2, "loud": True}


@settings(max_examples=200)
@given(st.text(min_size=1, max_size=60), st.text(max_size=60))
def test_nothing_that_is_said_changes_the_server_or_the_place(number: str, day: str) -> None:
    template = AddressTemplate("https://api.example.org:8443/v1/orders/{number}/x?when={day}&key=1")
    try:
        url = template.filled({"number": number, "day": day})
    except (BadArguments, UnicodeEncodeError):
        return
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc) == ("https", "api.example.org:8443")
    assert httpx.URL(url).host == "api.example.org"
    assert parts.path.count("/") == 4
    assert parts.path.startswith("/v1/orders/")
    assert parts.query.count("&") == 1
    assert not parts.fragment


@pytest.mark.parametrize("number", [".", "..", "", "../customers/1", "..\\customers", "1/refund"])
def test_a_path_cannot_be_left(number: str) -> None:
    with pytest.raises(BadArguments):
        AddressTemplate("https://a.example/orders/{number}").filled({"number": number})


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("{}", "'number' is missing"),
        ("[1]", "not a JSON object"),
        ("{", "not a JSON object"),
        ('{"number": 5}', "must be of the type string"),
        ('{"number": "5", "host": "evil.example"}', "no parameter 'host'"),
        ('{"number": "5", "day": "never"}', "must be one of"),
        ('{"number": "5", "guests": 9}', "must be from 1 to 8"),
        ('{"number": "5", "guests": true}', "must be of the type integer"),
        ('{"number": "a\\nb"}', "one line"),
        (json.dumps({"number": "5" * 201}), "200 characters at most"),
        ('{"number": ".."}', "may not be . or .."),
        (json.dumps({"number": "5" * 30_000}), "too long"),
    ],
)
def test_bad_arguments_are_told_to_the_model_and_nothing_is_sent(
    tmp_path: Path, arguments: str, sentence: str
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    result = runner(tmp_path, answer).run("order", arguments)
    assert result.startswith("Error: ")
    assert sentence in result


def test_a_tool_keeps_nothing_of_one_caller_for_another(tmp_path: Path) -> None:
    sent: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get("Cookie"))
        return response(200, b"Yours.", {"Set-Cookie": "session=of-the-first; Path=/"})

    tools = runner(tmp_path, answer)
    for _ in range(2):
        assert tools.run("order", '{"number": "5"}') == "Yours."
    assert sent == [None, None]


def test_an_unknown_tool_is_told_to_the_model(tmp_path: Path) -> None:
    assert "no such tool" in runner(tmp_path, lambda _: httpx.Response(200)).run("delete_all", "{}")


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (response(404, b"none"), "Error: The tool answered with HTTP 404. none"),
        (response(302, headers={"Location": "http://evil.example"}), "Error: .*HTTP 302"),
        (response(200, b"\0\1"), "Error: .*not text"),
        (response(204), r"\(nothing\)"),
        (response(200, b"x" * 100_000), "x{8000}$"),
        (httpx.ReadTimeout("slow"), "Error: .*in time"),
        (httpx.ConnectError("sk-hidden refused"), "Error: .*cannot be reached just now.$"),
    ],
)
def test_what_becomes_of_each_answer(
    tmp_path: Path, answer: httpx.Response | Exception, result: str, caplog: pytest.LogCaptureFixture
) -> None:
    def give(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    caplog.set_level(logging.INFO, "personaplex_ui")
    assert re.match(result, runner(tmp_path, give).run("order", '{"number": "tomato"}'))
    [line] = [record.getMessage() for record in caplog.records if record.name.startswith("personaplex_ui")]
    assert re.match(r"Tool order: .* in \d+ ms\.", line)
    assert "tomato" not in line


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": "a b"}, "number 1, without a name"),
        ({"description": ""}, "needs a description"),
        ({"method": "TRACE"}, "method must be one of"),
        ({"url": 5}, "needs a url"),
        ({"url": "ftp://a.example"}, "must begin with https"),
        ({"url": "https://{number}.example/"}, "in its path and query only"),
        ({"url": "https://a.example:{number}/"}, "not a web address|in its path and query only"),
        ({"url": "{number}://a.example/"}, "must begin with https"),
        ({"url": "https://user:pass@a.example/"}, "no name or password"),
        ({"url": "https://a.example/{other}"}, "not one of its parameters"),
        ({"url": "https://a.example/{number"}, "belongs to no parameter"),
        ({"url": "https://a.example/#x"}, "may not have spaces"),
        ({"headers": {"Host": "b.example"}}, "set by the app"),
        ({"headers": {"X": "${HF_TOKEN}"}}, "begin with TOOL_"),
        ({"headers": {"X": "${TOOL_OTHER}"}}, "'TOOL_OTHER', which is not set"),
        ({"headers": {"X": "a\nb"}}, "no header can hold"),
        ({"headers": []}, "an object of texts"),
        ({"timeout_sec": 31}, "timeout_sec"),
        ({"most_bytes": 0}, "most_bytes"),
        ({"secret": 1}, "'secret', which is not one of"),
        ({"parameters": {"type": "array"}}, "its parameters must be"),
        ({"parameters": {"type": "object", "properties": {"a": {"type": "object"}}}}, "no type"),
        ({"parameters": {"type": "object", "properties": {"a-b": {"type": "string"}}}}, "letters, digits"),
        ({"parameters": {"type": "object", "properties": {}, "required": ["x"]}}, "not among"),
        (
            {"parameters": {"type": "object", "properties": {"a": {"type": "string", "pattern": "(x+)+"}}}},
            "not understood",
        ),
    ],
)
def test_a_tool_that_cannot_be_used_refuses_the_start(
    tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    with pytest.raises(SettingsError, match=sentence) as refused:
        tools_of(tmp_path, {**ORDER, **change})
    assert "TOOLS_FILE" in str(refused.value)
    assert "sk-hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("{}", "a list of 1 to 32"), ("[]", "a list of"), ("[1]", "not an object"), ("[", "not JSON")],
)
def test_a_file_that_is_no_list_of_tools(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "tools.json").write_text(content)
    with pytest.raises(SettingsError, match=sentence):
        read_tools(tmp_path / "tools.json", {})
    with pytest.raises(SettingsError, match="cannot be read"):
        read_tools(tmp_path / "none.json", {})
    with pytest.raises(SettingsError, match="two tools with the name"):
        tools_of(tmp_path, ORDER, ORDER)


def test_a_secret_is_not_shown_and_the_offer_is_as_servers_expect_it(tmp_path: Path) -> None:
    [tool] = tools_of(tmp_path, ORDER)
    assert "sk-hidden" not in repr(tool)
    assert tool.offer["type"] == "function"
    told = json.dumps(tool.offer)
    assert "additionalProperties" in told
    assert "api.example.org" not in told
