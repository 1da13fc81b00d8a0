"""Does to a call what its page asks for, by whichever way the message came: data channel or websocket."""

from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.channels.browser.messages import Bye, ChangeSampling, Say, parse
from personaplex_ui.errors import InvalidInput, PersonaplexError

HUNG_UP = "You hung up."


async def follow(message: object, call: LiveCall) -> None:
    """Raises PersonaplexError: the message cannot be read, or what it asks for cannot be done."""
    match parse(message):
        case Say(text):
            await call.speak(text)
        case ChangeSampling() as change:
            call.change_sampling(change.apply(call.settings.sampling))
        case Bye():
            call.hang_up(HUNG_UP)
        case None:
            pass


def complaint(error: PersonaplexError) -> dict[str, object]:
    """What the page is answered."""
    field = {"field": error.field} if isinstance(error, InvalidInput) else {}
    return {"type": "error", "sentence": str(error), **field}
