"""An answer that is fetched in workers, sentence by sentence, and awaited on the event loop."""

from collections.abc import Sequence

from personaplex_ui.speech.loading import Loaded, SpeechParts
from personaplex_ui.speech.parts import Replier, Turn
from personaplex_ui.speech.work.awaiting import result_of
from personaplex_ui.speech.work.sentences import SharedSentences


class FetchedAnswer:
    """The answer of ``speech``'s replier to the last of ``turns``, or of ``own``, which asks a server. Its
    owner must ``close`` it."""

    def __init__(
        self, speech: SpeechParts, role: str, turns: Sequence[Turn], own: Replier | None = None
    ) -> None:
        self._speech = speech
        self._owner = speech.queue.new_owner()
        self._replier = Loaded(own, "", remote=True) if own is not None else None
        self._sentences = SharedSentences(lambda: (own or speech.replier().part).reply(role, turns))

    async def next_sentence(self) -> str | None:
        """The next sentence; None after the last one. Cancelling it gives the work up.

        Raises:
            SpeechPartFailed: the rest will not come.
        """
        queue = self._speech.queue
        replier = self._replier
        if replier is None:
            submitted = queue.submit(self._owner, self._speech.replier, heavy=False)
            replier = self._replier = await result_of(submitted)
        fetch = queue.submit(self._owner, self._sentences.next, heavy=not replier.remote)
        return await result_of(fetch)

    def close(self) -> None:
        """Fetch nothing more, and end the replier's work. Idempotent, never waits."""
        self._sentences.close()
