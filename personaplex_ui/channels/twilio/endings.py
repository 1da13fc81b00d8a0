"""How telephone calls end: what Twilio is told then, what its statuses mean, and who else may end them.

A call's stream may end long before the telephone call, since its caller may be put through to a person.
Depends on TwiML and statuses, not on HTTP requests, signatures or sound.
"""

import logging

from personaplex_ui.calls.call import Call
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.snapshot import End, Transport
from personaplex_ui.channels.twilio import spoken_sentences, twiml
from personaplex_ui.channels.twilio.availability import Availability
from personaplex_ui.channels.twilio.call_log import OVER, PhoneCall, PhoneCallLog
from personaplex_ui.channels.twilio.client import TwilioClient
from personaplex_ui.channels.twilio.numbers import masked, normalised
from personaplex_ui.channels.twilio.stream_grants import StreamGrants
from personaplex_ui.channels.twilio.transfers.transfers import Outcome, Transfers
from personaplex_ui.errors import PersonaplexError, PhoneUnavailable

log = logging.getLogger(__name__)


class PhoneEndings:
    """``our_number``: the account's. ``client``: None if Twilio cannot be asked to end a call."""

    def __init__(
        self,
        call_manager: CallManager,
        availability: Availability,
        streams: StreamGrants,
        call_log: PhoneCallLog,
        transfers: Transfers,
        our_number: str,
        client: TwilioClient | None,
    ) -> None:
        self._call_manager = call_manager
        self._availability = availability
        self._streams = streams
        self._call_log = call_log
        self._transfers = transfers
        self._our_number = our_number
        self._client = client
        call_manager.on_end.append(self._note_end)

    def ended(self, call_sid: str, status: str = "", public_url: str = "", ours: str = "") -> str:
        """TwiML for a call whose stream is over: puts the caller through, if that was asked for; else ends it
        and says why, unless the caller hung up. ``status``: Twilio's, of the call. ``ours``: our number."""
        entry = self._call_log.get(call_sid)
        if entry is None:
            return twiml.hang_up(spoken_sentences.CUT_OFF)
        call = self._live(entry)
        if call is not None and status in OVER:
            call.hang_up("The caller hung up.")  # this request arrived before the stream's own stop
        elif call is not None:
            call.hang_up(spoken_sentences.LOST, End.LOST)
        ended = call or entry
        if ended.end is End.TRANSFERRED and status not in OVER:
            document = self._transfers.dial(call_sid, public_url, normalised(ours) or self._our_number)
            return document or self._finish(entry, spoken_sentences.NOT_CONNECTED)
        sentence = ended.reason or spoken_sentences.NOT_CONNECTED
        return self._finish(entry, "" if ended.end is End.HUNG_UP else sentence)

    def transferred(self, call_sid: str, dialled: str, status: str, public_url: str) -> str:
        """TwiML for a caller who was put through: ends the call if they talked; else tells why not, and
        connects the caller to the assistant again if a line is free. ``dialled``: Twilio's status of the
        dialled call; ``status``: of the caller's."""
        outcome, settings = self._transfers.settle(call_sid, dialled)
        log.info("A caller was put through to a person: %s.", outcome.value)
        entry = self._call_log.get(call_sid)
        if outcome is Outcome.CONNECTED or status in OVER:
            return self._finish(entry)
        sentence = spoken_sentences.NOT_REACHED.get(dialled, spoken_sentences.NOT_REACHED["failed"])
        try:
            if settings is None:
                raise PhoneUnavailable(spoken_sentences.CALL_AGAIN)
            self._availability.check()
        except PersonaplexError as error:
            return self._finish(entry, f"{sentence} {error}")
        return self._streams.connect(call_sid, settings, f"{sentence} {spoken_sentences.BACK}", public_url)

    def note_status(self, call_sid: str, status: str, direction: str, caller: str, called: str) -> None:
        """Twilio reports the status of a call."""
        inbound = direction == "inbound"
        number = masked(caller if inbound else called)
        entry = self._call_log.begin(call_sid, "inbound" if inbound else "outbound", number, status)
        if not entry.over:
            return
        self._transfers.forget(call_sid)
        self._streams.forget(call_sid)
        self._call_log.explain(entry, entry.reason or spoken_sentences.UNANSWERED.get(status, ""))
        if call := self._live(entry):
            call.hang_up("The telephone call is over.")

    async def hang_up(self, call_sid: str) -> PhoneCall | None:
        """End a ringing or live call; None if the SID is unknown. Each request goes to Twilio until it has
        reported that the call is over.

        Raises:
            PhoneUnavailable: Twilio could not be reached; our side of the call has ended.
        """
        entry = self._call_log.get(call_sid)
        if entry is None or entry.over:
            return entry
        if call := self._live(entry):
            call.hang_up("The server's owner ended this call.")
        if self._client is not None:
            status = await self._client.hang_up(call_sid)
            self._call_log.begin(call_sid, entry.direction, entry.number, status)
        return entry

    def _finish(self, entry: PhoneCall | None, sentence: str = "") -> str:
        if entry is not None:
            self._transfers.forget(entry.call_sid)
            self._streams.forget(entry.call_sid)
            self._call_log.finish(entry)
        return twiml.hang_up(sentence)

    def _live(self, entry: PhoneCall) -> Call | None:
        return self._call_manager.calls.get(entry.call_id)

    def _note_end(self, call: Call) -> None:
        if call.transport is Transport.TWILIO and (entry := self._call_log.of_call(call.call_id)):
            if call.end is End.TRANSFERRED:  # Twilio asks what comes next, and the telephone call goes on
                self._call_log.explain(entry, call.reason, call.end)
            else:
                self._call_log.leave(entry, call.reason, call.end)
