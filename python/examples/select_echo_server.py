"""Echo server on select(), with message queues and inputs, outputs and exceptional lists.

From the first document, its section on Python's select. Mended: Python 2 syntax; KeyError
when a client leaves while a reply to it is due; the rest of a short send() was lost; the
address logged on closing was that of the last client accepted; getpeername() on a socket
whose peer is gone; an end of input discarded the replies still due to a client that
half-closes; no bound on what a client that does not read makes the server keep.

SIGUSR1 prints the size of the tables on stderr: "state: clients=N queued=BYTES".
"""

from __future__ import annotations

import socket
import sys
from collections import deque

from _common import MESSAGE_SIZE, UNSENT_LIMIT, Listener, log, run_server, server_parser

from tidegate import select

#: Messages in a client's queue from which on nothing more is read from it.
QUEUE_LIMIT = UNSENT_LIMIT // MESSAGE_SIZE


class EchoServer:
    """Sends every message back, as soon as its client's socket is writable."""

    def __init__(self, server: Listener) -> None:
        self.server = server
        # Sockets from which we expect to read, and to which we expect to write.
        self.inputs: list[socket.socket] = [server]
        self.outputs: list[socket.socket] = []
        # What is to be sent to each client, the oldest message first.
        self.message_queues: dict[socket.socket, deque[bytes]] = {}
        self.addresses: dict[socket.socket, str] = {}
        # Clients that will send nothing more, but get the replies that are due.
        self.finished: set[socket.socket] = set()

    def run(self) -> None:
        """Serve for ever."""
        while True:
            log.info("waiting for the next event")
            readable, writable, exceptional = select.select(self.inputs, self.outputs, self.inputs)
            for s in readable:
                if s is self.server:
                    self.accept()
                else:
                    self.read(s)
            # A client may have been dropped earlier in the same round.
            for s in writable:
                if s in self.message_queues:
                    self.write(s)
            for s in exceptional:
                if s in self.message_queues:
                    # On Linux: urgent data, which means nothing to an echo server.
                    self.drop(s, "exceptional condition")

    def accept(self) -> None:
        """Take a new client into the tables."""
        accepted = self.server.accept_client()
        if accepted is None:
            return
        connection, address = accepted
        log.info("new connection from %s", address)
        self.inputs.append(connection)
        self.message_queues[connection] = deque()
        self.addresses[connection] = address

    def read(self, s: socket.socket) -> None:
        """Queue what a readable client sent."""
        try:
            data = s.recv(MESSAGE_SIZE)
        except BlockingIOError:
            return  # readable a moment ago, not any more
        except OSError as error:
            self.drop(s, str(error))
            return
        if not data:
            self.end_of_input(s)
            return
        log.info("received %r from %s", data, self.addresses[s])
        queue = self.message_queues[s]
        queue.append(data)
        if s not in self.outputs:
            self.outputs.append(s)
        if len(queue) >= QUEUE_LIMIT:
            self.inputs.remove(s)  # until it has read some of its replies

    def end_of_input(self, s: socket.socket) -> None:
        """Close a client that sends no more, or let it have its replies first."""
        if not self.message_queues[s]:
            self.drop(s, "after reading no data")
            return
        self.inputs.remove(s)  # it would be readable for ever
        self.finished.add(s)

    def write(self, s: socket.socket) -> None:
        """Send the oldest message of a writable client's queue."""
        queue = self.message_queues[s]
        message = queue.popleft()
        try:
            sent = s.send(message)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.drop(s, str(error))
            return
        log.info("sent %r to %s", message[:sent], self.addresses[s])
        if sent < len(message):
            queue.appendleft(message[sent:])
        if not queue:
            log.info("output queue for %s is empty", self.addresses[s])
            self.outputs.remove(s)
        if s in self.finished:
            if not queue:
                self.drop(s, "all replies sent")
        elif s not in self.inputs and len(queue) < QUEUE_LIMIT:
            self.inputs.append(s)

    def drop(self, s: socket.socket, why: str) -> None:
        """Remove a client from every table and close it."""
        log.info("closing %s: %s", self.addresses[s], why)
        for sockets in (self.inputs, self.outputs):
            if s in sockets:
                sockets.remove(s)
        del self.message_queues[s]
        del self.addresses[s]
        self.finished.discard(s)
        s.close()

    def clients(self) -> set[socket.socket]:
        """Collect the clients that any table holds."""
        known = {*self.inputs, *self.outputs, *self.finished}
        return (known | {*self.message_queues, *self.addresses}) - {self.server}

    def state(self) -> tuple[int, int]:
        """Count the sockets in the tables, the listener aside, and the bytes not sent yet."""
        queues = self.message_queues.values()
        return len(self.clients()), sum(len(message) for queue in queues for message in queue)

    def close(self) -> None:
        """Close every client."""
        for s in self.clients():
            s.close()


def main() -> int:
    """Run the server; returns the exit status."""
    args = server_parser(__doc__, host="localhost", port=10000).parse_args()
    return run_server(args, EchoServer)


if __name__ == "__main__":
    sys.exit(main())
