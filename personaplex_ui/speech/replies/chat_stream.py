"""One request to a language model's server, read in a thread of its own so that it can end at any time."""

import contextlib
import logging
import queue
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import cast

import httpx

from personaplex_ui.speech.parts import SpeechPartFailed
from personaplex_ui.speech.replies import chat_failures
from personaplex_ui.speech.replies.chat_failures import failure
from personaplex_ui.speech.replies.chat_messages import Delta, NonsenseAnswer, read_event, read_whole
from personaplex_ui.speech.replies.server_sent_events import EventReader, TooMuchSent

log = logging.getLogger(__name__)

_Item = Delta | SpeechPartFailed | None


class ChatStream:
    """Sends ``body`` to ``url`` and hands out the parts of the answer. ``refused``: told of each HTTP status
    other than 200, with the seconds that the server asks to wait."""

    def __init__(
        self,
        client: httpx.Client,
        url: str,
        body: Mapping[str, object],
        most_bytes: int,
        refused: Callable[[int, float | None], None],
    ) -> None:
        self._client = client
        self._url = url
        self._body = body
        self._most_bytes = most_bytes
        self._refused = refused
        # What waits in it is bounded by ``most_bytes``.
        self._items: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._response: httpx.Response | None = None
        self._thread = threading.Thread(target=self._run, name="chat-stream", daemon=True)
        self._thread.start()

    def next_part(self, until: float) -> Delta | None:
        """The next part, or None once the stream was closed. ``until``: by ``time.monotonic``.

        Raises:
            SpeechPartFailed: the server gave none, or not in time.
        """
        if self._closed.is_set():
            return None
        try:
            item = self._items.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            self.close()
            raise failure(chat_failures.TOO_SLOW) from None
        if isinstance(item, SpeechPartFailed):
            raise item
        return item

    def close(self) -> None:
        """Ends the request, from any thread."""
        self._closed.set()
        self._items.put(None)
        with self._lock:
            response = self._response
        stream = response.extensions.get("network_stream") if response is not None else None
        if stream is not None:
            # Wakes the thread that reads; the client then closes the connection.
            with contextlib.suppress(OSError):
                cast(socket.socket, stream.get_extra_info("socket")).shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        try:
            self._read()
        except SpeechPartFailed as error:
            self._items.put(error)
        except TooMuchSent:
            self._items.put(failure(chat_failures.TOO_LONG))
        except NonsenseAnswer:
            self._items.put(failure(chat_failures.NONSENSE))
        except (httpx.TimeoutException, httpx.PoolTimeout):
            self._items.put(failure(chat_failures.TOO_SLOW))
        except (httpx.ReadError, httpx.RemoteProtocolError):
            began = self._response is not None
            self._items.put(failure(chat_failures.CUT_OFF if began else chat_failures.NOT_THERE))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
            # Their texts may quote the request, and with it the key.
            self._items.put(failure(chat_failures.NOT_THERE))
        except Exception as error:
            log.warning("The language model's answer could not be read: %s", type(error).__name__)
            self._items.put(failure(chat_failures.CUT_OFF))

    def _read(self) -> None:
        with self._client.stream("POST", self._url, json=self._body) as response:
            with self._lock:
                self._response = response
            if response.status_code != 200:
                wait_sec = chat_failures.wait_asked_for(response.headers.get("retry-after"))
                self._refused(response.status_code, wait_sec)
                raise chat_failures.refused(response.status_code, wait_sec)
            kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
            if kind == "text/html":
                raise failure(chat_failures.WEB_PAGE)
            if kind == "application/json":
                self._items.put(read_whole(self._whole(response)))
            else:
                self._read_events(response)

    def _whole(self, response: httpx.Response) -> bytes:
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > self._most_bytes:
                raise TooMuchSent
        return bytes(body)

    def _read_events(self, response: httpx.Response) -> None:
        reader = EventReader(self._most_bytes)
        for chunk in response.iter_raw():
            if self._closed.is_set() or self._pass_on(reader.feed(chunk)):
                return
        if not self._pass_on(reader.finish()):
            raise failure(chat_failures.CUT_OFF)

    def _pass_on(self, events: list[str]) -> bool:
        """Whether the answer ended with one of ``events``."""
        for data in events:
            delta = read_event(data)
            self._items.put(delta)
            if delta.finished:
                return True
        return False
