"""Makes the requests of tools. What fails is told to the language model, which then goes on without."""

import logging
import time
from collections.abc import Mapping, Sequence
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Protocol, cast

import httpx

from personaplex_ui.speech.tools.address import as_text
from personaplex_ui.speech.tools.description import Tool
from personaplex_ui.speech.tools.parameters import BadArguments, Value

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 16
SENDS_BODY = ("POST", "PUT", "PATCH")

NO_SUCH_TOOL = "There is no such tool."
NOT_REACHED = "The tool cannot be reached just now."
TOO_SLOW = "The tool did not answer in time."
NOT_TEXT = "The tool answered with something that is not text."


class Tools(Protocol):
    """What a language model may call. ``offers``: as chat completions expect them."""

    @property
    def offers(self) -> Sequence[Mapping[str, object]]: ...

    def run(self, name: str, arguments: str) -> str:
        """See ``ToolRunner.run``. May be called by several threads at once."""
        ...


class ToolRunner:
    """Used by several threads at once; blocks for as long as a tool may take."""

    def __init__(self, tools: Sequence[Tool], transport: httpx.BaseTransport | None = None) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self.offers = [tool.offer for tool in tools]
        # Decompressed, a few packets could become gigabytes. A redirect could lead anywhere.
        self._client = httpx.Client(
            headers={"Accept": "application/json, text/*", "Accept-Encoding": "identity"},
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # one caller's are not another's
            limits=httpx.Limits(max_connections=MOST_CONNECTIONS),
            transport=transport,
        )

    def run(self, name: str, arguments: str) -> str:
        """What the tool ``name`` returns for ``arguments``, a JSON text, or in words why it returns nothing.
        Never raises."""
        tool = self._tools.get(name)
        if tool is None:
            log.info("The language model called a tool that does not exist.")
            return _error(NO_SUCH_TOOL)
        began = time.monotonic()
        try:
            status, result = self._ask(tool, tool.parameters.read(arguments))
        except BadArguments as error:
            status, result = "bad arguments", _error(str(error))
        except (httpx.TimeoutException, TimeoutError):
            status, result = "too slow", _error(TOO_SLOW)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
            status, result = "not reached", _error(NOT_REACHED)  # its text may quote the headers
        log.info("Tool %s: %s in %.0f ms.", name, status, (time.monotonic() - began) * 1000)
        return result

    def _ask(self, tool: Tool, arguments: Mapping[str, Value]) -> tuple[str, str]:
        until = time.monotonic() + tool.timeout_sec
        url = httpx.URL(tool.address.filled(arguments))
        others = {name: value for name, value in arguments.items() if name not in tool.address.names}
        body: Mapping[str, Value] | None = others if tool.method in SENDS_BODY else None
        if body is None:
            url = url.copy_merge_params({name: as_text(value) for name, value in others.items()})
        with self._client.stream(
            tool.method, url, json=body, headers=dict(tool.headers), timeout=tool.timeout_sec
        ) as response:
            content = bytearray()
            for chunk in response.iter_raw():
                content += chunk
                if time.monotonic() > until:
                    raise TimeoutError
                if len(content) > tool.most_bytes:
                    break
            status = f"HTTP {response.status_code}"
            if b"\0" in content:
                return status, _error(NOT_TEXT)
            text = bytes(content[: tool.most_bytes]).decode("utf-8", errors="replace")
            cut = " (cut)" if len(content) > tool.most_bytes else ""
            if response.is_success:
                return status + cut, text or "(nothing)"
            return status, _error(f"The tool answered with {status}. {text[:500]}")


class AllTools:
    """``first`` and ``second`` together; of two with one name it is the first's."""

    def __init__(self, first: Tools, second: Tools) -> None:
        self._names = {_name_of(offer) for offer in first.offers}
        self._first = first
        self._second = second
        self.offers = [
            *first.offers,
            *(offer for offer in second.offers if _name_of(offer) not in self._names),
        ]

    def run(self, name: str, arguments: str) -> str:
        return (self._first if name in self._names else self._second).run(name, arguments)


def _name_of(offer: Mapping[str, object]) -> object:
    function = offer.get("function")
    return cast(Mapping[str, object], function).get("name") if isinstance(function, dict) else None


def _error(sentence: str) -> str:
    return f"Error: {sentence}"
