"""Who finds answers for callers that write, and for models that cannot read: the replier, by the router."""

from personaplex_ui.calls.call import Call
from personaplex_ui.routing.router import Router
from personaplex_ui.speech.loading import SpeechParts
from personaplex_ui.speech.parts import Replier
from personaplex_ui.speech.tools.runner import Tools


class Answerer:
    """One for the app."""

    def __init__(self, speech: SpeechParts, router: Router) -> None:
        self._speech = speech
        self._router = router

    @property
    def has_language_model(self) -> bool:
        """Whether functions can be called."""
        return self._speech.has_language_model

    def replier_with(self, tools: Tools | None) -> Replier:
        """See ``SpeechParts.replier_with``."""
        return self._speech.replier_with(tools)

    def answer_with(self, call: Call, replier: Replier) -> None:
        """See ``Router.answer_with``."""
        self._router.answer_with(call, replier)

    def ask(self, call: Call) -> bool:
        """See ``Router.ask``."""
        return self._router.ask(call)
