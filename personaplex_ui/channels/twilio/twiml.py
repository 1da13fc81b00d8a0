"""TwiML: a webhook's answer, which tells Twilio what to do with a call. Pure: takes values, returns XML.

Twilio allows fewer than 500 characters for the name and value of one ``<Parameter>``, so a longer value is
split over ``name``, ``name_2``, ``name_3``, ..., and ``join_parameters`` joins it on the stream's side.
"""

# The library's TwiML classes are untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import re
from collections.abc import Iterator, Mapping

from twilio.twiml.voice_response import Connect, Dial, Stream, VoiceResponse

from personaplex_ui.plain_text import fit_for_xml

MEDIA_TYPE = "application/xml"

PIECE_BYTES = 440
"""UTF-8 bytes per piece, so that the name fits too, however Twilio counts."""

MOST_PIECES = 99
_NUMBERED = re.compile(r"(.+)_([1-9][0-9]?)")


def connect(
    stream_url: str,
    parameters: Mapping[str, str],
    announcement: str = "",
    action: str = "",
    farewell: str = "",
) -> str:
    """Say ``announcement``, then connect the call to the websocket ``stream_url`` (``wss``, without a query).

    ``parameters`` arrive in the stream's ``start`` message; empty ones are omitted. ``action``: the webhook
    that Twilio asks what to do when the stream is over; without one, Twilio says ``farewell`` and ends the
    call.
    """
    response = VoiceResponse()
    if announcement:
        response.say(fit_for_xml(announcement))
    connection = Connect(action=action, method="POST") if action else Connect()
    stream = Stream(url=stream_url)
    for name, value in parameters.items():
        for number, piece in enumerate(_pieces(fit_for_xml(value)), start=1):
            stream.parameter(name=name if number == 1 else f"{name}_{number}", value=piece)
    connection.append(stream)
    response.append(connection)
    if farewell:
        response.say(farewell)
    return str(response)


def hang_up(sentence: str = "") -> str:
    """Say ``sentence``, if any, and end the call."""
    response = VoiceResponse()
    if sentence:
        response.say(sentence)
    response.hangup()
    return str(response)


def redirect(webhook: str, after_sec: int) -> str:
    """Ask ``webhook`` what to do, after a silence of so many seconds."""
    response = VoiceResponse()
    response.pause(length=after_sec)
    response.redirect(webhook, method="POST")
    return str(response)


def dial(
    number: str, action: str, sentence: str, caller_id: str = "", rings_sec: int = 25, most_sec: int = 3_600
) -> str:
    """Say ``sentence``, then connect the caller to ``number`` (E.164).

    ``action``: the webhook that Twilio asks what to do when that is over, or came to nothing after
    ``rings_sec``. ``caller_id``: the number that is shown, one of ours; empty for Twilio's choice.
    ``most_sec``: how long they can talk.
    """
    response = VoiceResponse()
    response.say(sentence)
    shown = {"caller_id": caller_id} if caller_id else {}
    party = Dial(action=action, method="POST", timeout=rings_sec, time_limit=most_sec, **shown)
    party.number(number)
    response.append(party)
    return str(response)


def join_parameters(parameters: Mapping[str, str]) -> dict[str, str]:
    """Restore the values given to ``connect`` from the parameters of a ``start`` message.

    A piece whose predecessor is missing stays a separate parameter.
    """
    joined: dict[str, str] = {}
    for name, value in parameters.items():
        numbered = _NUMBERED.fullmatch(name)
        if numbered and _has_all_before(parameters, numbered[1], int(numbered[2])):
            continue
        number = 2
        while number <= MOST_PIECES and f"{name}_{number}" in parameters:
            value += parameters[f"{name}_{number}"]
            number += 1
        joined[name] = value
    return joined


def _has_all_before(parameters: Mapping[str, str], name: str, number: int) -> bool:
    before = [name, *(f"{name}_{earlier}" for earlier in range(2, number))]
    return number > 1 and all(earlier in parameters for earlier in before)


def _pieces(text: str) -> Iterator[str]:
    """Split inside words if possible, so that no piece begins or ends with a space, which XML tools may
    trim."""
    while text:
        longest = len(text.encode()[:PIECE_BYTES].decode(errors="ignore"))
        end = longest
        if longest < len(text):
            inside = (at for at in range(longest, longest // 2, -1) if not _has_space(text[at - 1 : at + 1]))
            end = next(inside, longest)
        yield text[:end]
        text = text[end:]


def _has_space(text: str) -> bool:
    return any(character.isspace() for character in text)
