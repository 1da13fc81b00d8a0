"""The WebRTC connections of pages and what became of each: a call, or a refusal with a sentence."""

from dataclasses import dataclass

from personaplex_ui.calls.allowance import Visitor
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.persona_check import check_persona_aside
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End, Phase, Snapshot, Transport
from personaplex_ui.calls.wait_estimate import WaitEstimate
from personaplex_ui.channels.browser.facts import Facts, FactsFeed, facts_of
from personaplex_ui.errors import EngineUnavailable, InvalidInput, PersonaplexError

KEPT_OVER = 20
NOT_CONNECTED = "The connection could not be established. Your network may block calls. Please try again."


@dataclass(slots=True)
class Connection:
    """One connection of ``owner``'s page. It has no call until it is connected.

    ``visitor``: whose minutes its call uses; None if they are not counted. ``refusal``: why there is none and
    never will be; ``end``: the same as a category.
    """

    webrtc_id: str
    settings: CallSettings
    owner: str
    address: str = ""
    visitor: Visitor | None = None
    call: LiveCall | None = None
    refusal: str = ""
    end: End | None = None

    @property
    def over(self) -> bool:
        return bool(self.refusal) if self.call is None else self.call.over.is_set()

    def refuse(self, sentence: str, end: End = End.REFUSED) -> None:
        """There will be no call. The first reason given is kept; ignored if there is a call."""
        if self.call is None and not self.refusal:
            self.refusal, self.end = sentence, end

    def snapshot(self) -> Snapshot:
        if self.call is not None:
            return self.call.snapshot()
        phase = Phase.ENDED if self.refusal else Phase.WAITING
        return Snapshot("", phase, reason=self.refusal, end=self.end)


class Connections:
    """The pages' connections by WebRTC id."""

    def __init__(self, call_manager: CallManager, waits: WaitEstimate) -> None:
        self.call_manager = call_manager
        self._waits = waits
        self._connections: dict[str, Connection] = {}
        call_manager.opening.append(self._count_opening)

    def _count_opening(self) -> int:
        """Pages that were answered and are connecting."""
        return sum(each.call is None and not each.refusal for each in self._connections.values())

    async def check(self, settings: CallSettings, address: str, visitor: Visitor | None = None) -> None:
        """Whether such a call could begin now, apart from free lines.

        Raises:
            EngineUnavailable: there is no model, or it takes no live calls.
            TooManyCalls: ``address`` has reached its limit, or ``visitor`` has no minutes left today.
            InvalidInput: the model cannot use the persona.
            NoFreeSlot: too many calls are beginning.
        """
        manager = self.call_manager
        try:
            if manager.closed_because:
                raise EngineUnavailable(manager.closed_because)
            model = manager.engine.model
            if model.clips_only:
                raise EngineUnavailable(model.clips_only)
            manager.limits.check(address)
            manager.allowance.check(visitor)
            await check_persona_aside(model, settings.persona)
        except InvalidInput:
            raise
        except PersonaplexError:
            manager.turn_away(Transport.BROWSER)
            raise

    def add(self, connection: Connection) -> bool:
        """Whether its id was new; else nothing is added."""
        if connection.webrtc_id in self._connections:
            return False
        # Pages ask soon, so nobody will ask for a connection older than 20 ended ones.
        over = [known for known, connection in self._connections.items() if connection.over]
        for known in over[:-KEPT_OVER]:
            del self._connections[known]
        self._connections[connection.webrtc_id] = connection
        return True

    def remove(self, webrtc_id: str) -> None:
        """It was never answered."""
        self._connections.pop(webrtc_id, None)

    def lose(self, webrtc_id: str) -> None:
        """Its peer is gone; if there was no call yet, there will be none."""
        if connection := self._connections.get(webrtc_id):
            connection.refuse(NOT_CONNECTED, End.LOST)

    def of(self, webrtc_id: str, owner: str) -> Connection | None:
        """The connection, if it is ``owner``'s."""
        connection = self._connections.get(webrtc_id)
        return connection if connection is not None and connection.owner == owner else None

    def open_call(self, connection: Connection) -> LiveCall | None:
        """Begin its call, or note why it is refused."""
        try:
            connection.call = self.call_manager.open(
                connection.settings,
                connection.owner,
                address=connection.address,
                visitor=connection.visitor,
                answered=True,
            )
        except PersonaplexError as error:
            connection.refuse(str(error))
        return connection.call

    def facts(self, connection: Connection) -> Facts:
        """Everything about it now, with all lines."""
        snapshot = connection.snapshot()
        lines = connection.call.conversation.lines if connection.call is not None else ()
        return facts_of(snapshot, lines, self._waits.wait_sec(snapshot))

    def news(self, connection: Connection, feed: FactsFeed) -> Facts | None:
        """What ``feed``'s reader has not been told yet."""
        snapshot = connection.snapshot()
        conversation = connection.call.conversation if connection.call is not None else None
        return feed.news(snapshot, conversation, self._waits.wait_sec(snapshot))
