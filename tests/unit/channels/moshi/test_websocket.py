"""The websocket whose sends are bounded and whose end is one exception, whatever raised it below."""

import pytest
from starlette.websockets import WebSocketDisconnect

from personaplex_ui.calls.snapshot import End
from personaplex_ui.channels import peer_websocket
from personaplex_ui.channels.moshi.protocol import Error, Ping
from personaplex_ui.channels.moshi.websocket import Wire
from personaplex_ui.channels.peer_websocket import ClientGone
from tests.support.asgi_peer import AsgiPeer


async def connected(peer: AsgiPeer) -> Wire:
    wire = Wire(peer.websocket)
    await wire.accept()
    return wire


async def test_messages_go_both_ways():
    peer = AsgiPeer()
    peer.says += [
        {"type": "websocket.receive", "bytes": b"\x06"},
        {"type": "websocket.receive", "text": "hello"},
        {"type": "websocket.receive", "bytes": None, "text": ""},
    ]
    wire = await connected(peer)
    assert [await wire.receive() for _ in range(3)] == [b"\x06", "hello", ""]
    await wire.send(Ping())
    await wire.refuse("é" * 100, 4000)
    assert peer.sent[1] == {"type": "websocket.send", "bytes": b"\x06"}
    assert peer.sent[2] == {"type": "websocket.send", "bytes": b"\x05" + "é".encode() * 100}
    assert peer.sent[3] == {"type": "websocket.close", "code": 4000, "reason": "é" * 60 + "…"}
    with pytest.raises(ClientGone):
        await wire.send(Ping())


@pytest.mark.parametrize(
    ("disconnect", "words", "end"),
    [
        ({"code": 1000}, "hung up", End.HUNG_UP),
        ({"code": 1005, "reason": ""}, "hung up", End.HUNG_UP),
        ({"code": 1005}, "lost", End.LOST),
        ({"code": 1006}, "lost", End.LOST),
    ],
)
async def test_a_disconnect_is_told_as_hanging_up_or_as_a_broken_connection(
    disconnect: dict[str, object], words: str, end: End
):
    peer = AsgiPeer()
    peer.says.append({"type": "websocket.disconnect", **disconnect})
    wire = await connected(peer)
    with pytest.raises(ClientGone, match=words) as gone:
        await wire.receive()
    assert gone.value.end is end
    with pytest.raises(ClientGone):
        await wire.send(Error("Nobody hears this."))
    assert len(peer.sent) == 1


@pytest.mark.parametrize(
    "broken",
    [
        WebSocketDisconnect(1006),
        OSError("the connection is lost"),
        RuntimeError("Unexpected ASGI message 'websocket.send', after sending 'websocket.close'."),
    ],
)
async def test_a_connection_that_breaks_is_told_as_hanging_up(broken: Exception):
    peer = AsgiPeer()
    wire = await connected(peer)
    peer.broken = broken
    with pytest.raises(ClientGone, match="hung up") as gone:
        await wire.send(Ping())
    assert (gone.value.end, wire.gone) == (End.HUNG_UP, True)
    with pytest.raises(ClientGone):
        await connected(AsgiPeer(broken=broken))


async def test_one_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(peer_websocket, "SEND_WITHIN_SEC", 0.02)
    wire = await connected(AsgiPeer(reads=1))
    with pytest.raises(ClientGone, match="stopped reading") as gone:
        await wire.refuse("This is not read.", 4000)
    assert gone.value.end is End.LOST
    with pytest.raises(ClientGone):
        await wire.close(1000, "Nor is this.")
