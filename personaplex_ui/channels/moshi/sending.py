"""What a Moshi client is sent: the handshake, the assistant's sound and text, and the words of the caller.

Depends on the wire, the protocol's messages and the call. Nothing is queued here: a client that does not read
makes the sender wait, up to the websocket's time limit, while the call drops its oldest sound.
"""

import asyncio
from collections.abc import Callable

from personaplex_ui.calls.conversation_lines import Line, Who
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.channels.moshi.opus import OpusOutput
from personaplex_ui.channels.moshi.page_channel import PageChannel
from personaplex_ui.channels.moshi.pcm import PcmOutput
from personaplex_ui.channels.moshi.protocol import Audio, Handshake, Metadata, Text
from personaplex_ui.channels.moshi.query import AudioFormat, Extensions
from personaplex_ui.channels.moshi.state_feed import StateFeed
from personaplex_ui.channels.moshi.websocket import Wire
from personaplex_ui.errors import CallOver

LAST_WORDS_WITHIN_SEC = 1.0
"""How long the goodbye of a client that wants the caller's words waits for the last ones."""


class Sender:
    """``page``: of a client that is a page, which is told when sound was sent. ``state``: of one that asked
    for it. ``on_live``: called before the handshake."""

    def __init__(
        self,
        wire: Wire,
        call: LiveCall,
        extensions: Extensions,
        page: PageChannel | None,
        state: StateFeed | None,
        on_live: Callable[[], None],
    ) -> None:
        self._wire = wire
        self._call = call
        self._page = page
        self._state = state
        self._on_live = on_live
        self._is_pcm = extensions.audio is AudioFormat.PCM16
        self._pieces_sent = 0
        self._tells_words = extensions.tells_words and page is None
        self._lines_seen = 0
        """The version of the conversation whose words have been sent."""
        self._words_sent: dict[int, int] = {}
        """How many characters of each line, whose words only become more."""

    async def run(self) -> None:
        """Raises CallOver or ClientGone in the end."""
        await self._until_live()
        self._on_live()
        await self._wire.send(Handshake())
        if self._state is not None:
            await self._state.tell()
        output = PcmOutput() if self._is_pcm else OpusOutput()
        while True:
            if self._page is not None:
                await self._page.wait_for_room()
            frame = await self._call.next_answer()
            await self._send_text()
            await self._send_words()
            if frame is not None:
                await self._wire.send(Audio(output.append(frame)))
                if self._page is not None:
                    self._page.sent()

    async def send_last(self) -> None:
        """What was still said when the call ended; nothing before the handshake."""
        if not self._wire.handshake_sent:
            return
        await self._send_text()
        if self._tells_words:
            await self._call.words_settled(LAST_WORDS_WITHIN_SEC)
            await self._send_words()

    async def _until_live(self) -> None:
        waits = [asyncio.create_task(event.wait()) for event in (self._call.live, self._call.over)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self._call.over.is_set():
            raise CallOver(self._call.reason)

    async def _send_text(self) -> None:
        pieces = self._call.transcript.pieces
        while self._pieces_sent < len(pieces):
            self._pieces_sent += 1
            await self._wire.send(Text(pieces[self._pieces_sent - 1]))

    async def _send_words(self) -> None:
        """What is new of what the caller said."""
        conversation = self._call.conversation
        if not self._tells_words or conversation.version == self._lines_seen:
            return
        changed, self._lines_seen = conversation.changed_since(self._lines_seen), conversation.version
        for line in changed:
            if line.who is Who.CALLER and line.text and self._words_sent.get(line.n) != len(line.text):
                self._words_sent[line.n] = len(line.text)
                await self._wire.send(Metadata({"caller": _words(line)}))


def _words(line: Line) -> dict[str, object]:
    """A line of the caller for a client; one with a known number replaces what it had."""
    times = {"start_sec": round(line.start_sec, 2), "end_sec": round(line.end_sec, 2)}
    return {"n": line.n, **times, "text": line.text}
