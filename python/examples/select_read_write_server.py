"""Server on select() that keeps reading and writing apart: every reply is data + "response".

A client is greeted with "ok". Reading only stores what came; writing, when the client's
socket is writable, makes the reply from it.

From the first document, its complete example. Mended: the connection of a client that had
left stayed open, and stayed in `outputs`, hence KeyError at its reply; a second message
before the first reply put the socket into `outputs` twice, hence IndexError, and the later
message was answered first; a UTF-8 character that two recv() divide could not be decoded
(the reply is made of bytes); sendall() on a full socket held up everybody; an end of input
discarded the replies still due; no bound on what is kept for a client that does not read.

SIGUSR1 prints the size of the tables on stderr: "state: clients=N queued=BYTES".
"""

from __future__ import annotations

import socket
import sys
from collections import deque

from _common import (
    MESSAGE_SIZE,
    UNSENT_LIMIT,
    Listener,
    log,
    run_server,
    send_some,
    server_parser,
)

from tidegate import select

GREETING = b"ok"
SUFFIX = b"response"

#: Seconds after which select() returns even if nothing happened.
TIMEOUT = 1

#: Messages waiting for their reply from which on nothing more is read from their client.
MESSAGE_LIMIT = UNSENT_LIMIT // MESSAGE_SIZE


class ReadWriteServer:
    """Stores messages when clients are readable, replies when they are writable."""

    def __init__(self, server: Listener) -> None:
        self.server = server
        self.inputs: list[socket.socket] = [server]
        self.outputs: list[socket.socket] = []
        # What was read from each client and not answered yet: the reading side fills it,
        # the writing side empties it.
        self.message: dict[socket.socket, deque[bytes]] = {}
        # The reply (at first the greeting) that is being sent to each client.
        self.unsent: dict[socket.socket, bytearray] = {}
        self.addresses: dict[socket.socket, str] = {}
        # Clients that will send nothing more, but get the replies that are due.
        self.finished: set[socket.socket] = set()

    def run(self) -> None:
        """Serve for ever."""
        while True:
            rlist, wlist, _ = select.select(self.inputs, self.outputs, [], TIMEOUT)
            log.info("%d inputs, %d outputs", len(self.inputs), len(self.outputs))
            for r in rlist:
                if r is self.server:
                    self.accept()
                else:
                    self.read(r)
            for w in wlist:
                if w in self.message:  # not dropped a moment ago
                    self.write(w)

    def accept(self) -> None:
        """Take a new client into the tables."""
        accepted = self.server.accept_client()
        if accepted is None:
            return
        conn, address = accepted
        log.info("new connection from %s", address)
        self.inputs.append(conn)
        self.outputs.append(conn)
        self.message[conn] = deque()
        self.unsent[conn] = bytearray(GREETING)
        self.addresses[conn] = address

    def read(self, r: socket.socket) -> None:
        """Store what a readable client sent."""
        try:
            data = r.recv(MESSAGE_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self.drop(r, str(error))
            return
        if data:
            log.info("received %r from %s", data, self.addresses[r])
            self.message[r].append(data)
            if r not in self.outputs:
                self.outputs.append(r)
        else:
            self.finished.add(r)
        if r in self.finished and r not in self.outputs:
            self.drop(r, "disconnected")
        elif r in self.finished or len(self.message[r]) >= MESSAGE_LIMIT:
            self.inputs.remove(r)

    def write(self, w: socket.socket) -> None:
        """Send a writable client its reply, or what is left of one."""
        unsent = self.unsent[w]
        if not unsent:
            unsent += self.message[w].popleft() + SUFFIX
        try:
            send_some(w, unsent)
        except OSError as error:
            self.drop(w, str(error))
            return
        waiting = len(self.message[w])
        if not unsent and not waiting:
            self.outputs.remove(w)
        if w in self.finished:
            if w not in self.outputs:
                self.drop(w, "all replies sent")
        elif w not in self.inputs and waiting < MESSAGE_LIMIT:
            self.inputs.append(w)

    def drop(self, s: socket.socket, why: str) -> None:
        """Remove a client from every table and close it."""
        log.info("closing %s: %s", self.addresses[s], why)
        for sockets in (self.inputs, self.outputs):
            if s in sockets:
                sockets.remove(s)
        del self.message[s]
        del self.unsent[s]
        del self.addresses[s]
        self.finished.discard(s)
        s.close()

    def clients(self) -> set[socket.socket]:
        """Collect the clients that any table holds."""
        known = {*self.inputs, *self.outputs, *self.finished}
        return (known | {*self.message, *self.unsent, *self.addresses}) - {self.server}

    def state(self) -> tuple[int, int]:
        """Count the sockets in the tables, the listener aside, and the bytes not sent yet."""
        waiting = sum(len(data) for queue in self.message.values() for data in queue)
        return len(self.clients()), waiting + sum(map(len, self.unsent.values()))

    def close(self) -> None:
        """Close every client."""
        for s in self.clients():
            s.close()


def main() -> int:
    """Run the server; returns the exit status."""
    args = server_parser(__doc__, host="127.0.0.1", port=9000).parse_args()
    return run_server(args, ReadWriteServer)


if __name__ == "__main__":
    sys.exit(main())
