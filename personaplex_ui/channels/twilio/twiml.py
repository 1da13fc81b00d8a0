"""TwiML: what a webhook answers to tell Twilio what to do with a call. Pure: values in, XML out.

Twilio takes under 500 characters for name and value of one ``<Parameter>``, so a longer value is split over
``name``, ``name_2``, ``name_3``, ..., and ``join_parameters`` puts it together again on the stream's side.
"""

# The package's TwiML classes have no types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import re
from collections.abc import Iterator, Mapping

from twilio.twiml.voice_response import Connect, Stream, VoiceResponse

from personaplex_ui.plain_text import fit_for_xml

MEDIA_TYPE = "application/xml"

PIECE_BYTES = 440
"""Of UTF-8, so that the name fits beside it however Twilio counts."""

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

    ``parameters`` arrive in the stream's ``start`` message. An empty one is left out. ``action``: the webhook
    that Twilio asks what to do when the stream is over; without one it says ``farewell``, and the call ends.
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
    """Say ``sentence``, if there is one, and end the call."""
    response = VoiceResponse()
    if sentence:
        response.say(sentence)
    response.hangup()
    return str(response)


def join_parameters(parameters: Mapping[str, str]) -> dict[str, str]:
    """The values that ``connect`` was given, from the parameters of a ``start`` message.

    A piece whose predecessor is missing stays a parameter of its own.
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
    """Cut inside a word if possible, so that no piece begins or ends with a space, which XML tools like to
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
