"""A proxy for TCP in front of several servers: a new connection goes to whichever is chosen at that time."""

import contextlib
import socket
import threading
from collections.abc import Generator
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import cast

PIECE_BYTES = 65_536


class TcpRelay(ThreadingTCPServer):
    """``port``: of the server that gets the next connection."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.port = port
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Connection(BaseRequestHandler):
    def handle(self) -> None:
        client: socket.socket = self.request
        port = cast(TcpRelay, self.server).port
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as server:
            back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
            back.start()
            _pass_on(client, server)
            back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Until either side closes; then both are closed."""
    with contextlib.suppress(OSError):
        while piece := source.recv(PIECE_BYTES):
            target.sendall(piece)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def relaying(port: int) -> Generator[TcpRelay]:
    with TcpRelay(port) as relay:
        thread = threading.Thread(target=relay.serve_forever, daemon=True)
        thread.start()
        try:
            yield relay
        finally:
            relay.shutdown()
            thread.join()
