"""A TCP forwarder that keeps everything that clients say to a server."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from socketserver import BaseRequestHandler, ThreadingTCPServer


@dataclass
class Recording:
    """What was said, connection by connection, and the port to say it to."""

    port: int = 0
    said: list[bytearray] = field(default_factory=list)

    def everything(self) -> bytes:
        return b"\n".join(bytes(one) for one in self.said)


@contextlib.contextmanager
def recording(target: int) -> Iterator[Recording]:
    """Forward a port of its own to `target` for as long as the block lasts; clients should be gone by then."""
    record = Recording()

    class Forwarder(BaseRequestHandler):
        def handle(self) -> None:
            heard = bytearray()
            record.said.append(heard)
            with socket.create_connection(("127.0.0.1", target)) as server:
                back = threading.Thread(target=_forward, args=(server, self.request, bytearray()), daemon=True)
                back.start()
                _forward(self.request, server, heard)
                back.join()

    with ThreadingTCPServer(("127.0.0.1", 0), Forwarder) as listener:
        record.port = listener.server_address[1]
        thread = threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield record
        listener.shutdown()
        thread.join()


def _forward(source: socket.socket, sink: socket.socket, heard: bytearray) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65_536):
            heard += piece
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
