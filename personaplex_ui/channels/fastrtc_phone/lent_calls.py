"""Calls to the lent number: answered with TwiML, and admitted, like those to our own, by a one-time token.

They are neither logged nor recorded, and nobody is put through to a person. Depends on the parts of the phone
service, not on HTTP requests or the tunnel.
"""

from dataclasses import replace

from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.snapshot import Transport
from personaplex_ui.channels.twilio import twiml
from personaplex_ui.channels.twilio.media_stream.admission import PhoneGrant
from personaplex_ui.channels.twilio.media_stream.protocol import Start
from personaplex_ui.channels.twilio.service import PhoneService
from personaplex_ui.errors import PersonaplexError

STREAM_PATH = "/telephone/handler"

GREETING = "Connecting to the AI assistant."
FAREWELL = "The call has been disconnected."
"""FastRTC's own wording. Twilio says the farewell only if we end the stream, not if the caller does."""


class LentCalls:
    """``host``: the public one for which the number is lent; a token admits to its stream only."""

    def __init__(self, call_manager: CallManager, phone: PhoneService, host: str) -> None:
        self._call_manager = call_manager
        self._availability = replace(phone.availability, record=False)
        self._personas = phone.personas
        self._streams = phone.streams
        self._host = host

    async def answer(self) -> str:
        """TwiML for an incoming call."""
        persona = self._personas.of("")
        try:
            settings = await self._availability.settings_of(persona, "the lent number")
        except PersonaplexError as error:
            self._call_manager.turn_away(Transport.FASTRTC_PHONE)
            return twiml.hang_up(str(error))
        greeting = GREETING if persona.announcement is None else persona.announcement
        values = self._streams.parameters(settings, host=self._host)
        self._streams.expect(values["token"], greeting)
        return twiml.connect(f"wss://{self._host}{STREAM_PATH}", values, greeting, farewell=FAREWELL)

    def admit(self, start: Start) -> PhoneGrant:
        """The call that a stream may begin. Raises PersonaplexError if it may not; the message says why."""
        values = self._streams.redeem(start, host=self._host)
        self._streams.forget(start.parameters.get("token", ""))
        self._availability.check(answered=True)
        return PhoneGrant(self._availability.settings(**values), Transport.FASTRTC_PHONE)
