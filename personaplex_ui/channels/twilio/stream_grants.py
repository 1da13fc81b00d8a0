"""Connects a telephone call to a media stream, and admits that stream, once, with the same persona.

Persona and token travel through Twilio, in TwiML to it and in the stream's first message back. Depends on
TwiML and tokens, not on websockets.
"""

import secrets
from collections.abc import Callable

from personaplex_ui.calls.call import Call
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End, Transport
from personaplex_ui.channels.twilio import twiml
from personaplex_ui.channels.twilio.availability import Availability
from personaplex_ui.channels.twilio.call_log import PhoneCallLog
from personaplex_ui.channels.twilio.call_tokens import VALID_SEC, CallTokens, persona_of
from personaplex_ui.channels.twilio.media_stream.admission import PhoneGrant
from personaplex_ui.channels.twilio.media_stream.protocol import Start
from personaplex_ui.channels.twilio.transfers.transfers import Transfers
from personaplex_ui.errors import PersonaplexError
from personaplex_ui.web.twilio_paths import ENDED_PATH, STREAM_PATH

EXPECTED_SEC = 20.0
"""Twilio opens the stream within a second after the announcement; a caller who has hung up meanwhile is not
always reported."""

LETTERS_PER_SEC = 10.0
"""A slow voice. An announcement may take so long before that, as long as the token is valid."""

OWNER_PREFIX = "phone "
"""Browsers' keys never contain a space."""


class StreamGrants:
    """``clock`` gives the time as ``time.time`` does."""

    def __init__(
        self,
        call_manager: CallManager,
        availability: Availability,
        call_log: PhoneCallLog,
        transfers: Transfers,
        clock: Callable[[], float],
    ) -> None:
        self._call_manager = call_manager
        self._availability = availability
        self._call_log = call_log
        self._transfers = transfers
        self._tokens = CallTokens(secrets.token_bytes(32), clock)
        self._clock = clock
        self._expected: dict[str, float] = {}
        """Telephone calls whose streams have not come yet, and until when they are expected."""
        call_manager.opening.append(self._count_expected)

    def expect(self, call: str, announcement: str) -> None:
        """The stream of ``call``, its SID or token, comes after ``announcement``."""
        within_sec = min(EXPECTED_SEC + len(announcement) / LETTERS_PER_SEC, VALID_SEC)
        self._expected[call] = self._clock() + within_sec

    def forget(self, call: str) -> None:
        """Its stream will not come any more, or has come."""
        self._expected.pop(call, None)

    def _count_expected(self) -> int:
        now = self._clock()
        for call in [call for call, until in self._expected.items() if until < now]:
            del self._expected[call]
        return len(self._expected)

    def connect(self, call_sid: str, settings: CallSettings, announcement: str, public_url: str) -> str:
        """TwiML that says ``announcement`` and connects the call to a stream."""
        stream_url = public_url.replace("http", "ws", 1) + STREAM_PATH
        values = self.parameters(settings, call_sid=call_sid)
        self.expect(call_sid, announcement)
        return twiml.connect(stream_url, values, announcement, public_url + ENDED_PATH)

    def admit(self, start: Start) -> PhoneGrant:
        """The call that a stream may begin. Raises PersonaplexError if it may not; the message says why."""
        call_sid = start.call_sid
        values = self.redeem(start, call_sid=call_sid)
        self.forget(call_sid)
        try:
            self._availability.check(answered=True)
            settings = self._availability.settings(**values)
        except PersonaplexError as error:
            if entry := self._call_log.get(call_sid):
                self._call_log.explain(entry, str(error), End.REFUSED)
            self._call_manager.turn_away(Transport.TWILIO)
            raise
        return PhoneGrant(
            settings,
            Transport.TWILIO,
            owner_of(call_sid),
            lambda call: self._note_call(call_sid, call),
            lambda call, key: self._transfers.press(call_sid, call, key),
            self._transfers.cues(call_sid, self._call_manager.cues),
        )

    def parameters(self, settings: CallSettings, **bound: str) -> dict[str, str]:
        """Persona and token of a stream, which is admitted only with the same ``bound`` values."""
        persona = settings.persona
        values = {"voice_prompt": persona.voice, "text_prompt": persona.text_prompt}
        return values | {"token": self._tokens.issue(persona_of(values) | bound)}

    def redeem(self, start: Start, **bound: str) -> dict[str, str]:
        """The ``voice`` and ``text_prompt`` of a stream with ``parameters``. Raises TokenRefused."""
        values = twiml.join_parameters(start.parameters)
        self._tokens.redeem(values.get("token", ""), persona_of(values) | bound)
        return {"voice": values.get("voice_prompt", ""), "text_prompt": values.get("text_prompt", "")}

    def _note_call(self, call_sid: str, call: Call) -> None:
        entry = self._call_log.begin(call_sid, "inbound", "unknown", "in-progress")
        self._call_log.attach(entry, call.call_id)
        self._transfers.follow(call_sid, call)


def owner_of(call_sid: str) -> str:
    """The owner of a telephone call in the store. Each call has its own, so that its SID finds it even after
    a restart."""
    return OWNER_PREFIX + call_sid
