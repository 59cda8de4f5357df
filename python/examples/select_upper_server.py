"""Upper-case server on select(): each message is answered at once, in upper case.

From the second document, its example of multiplexed I/O. Mended: a missing parenthesis; the
rest of a short send() was lost, and a full socket raised BlockingIOError out of the loop
(what cannot be sent at once now waits until select() reports the client writable); an end
of input discarded the replies still due; no bound on what is kept for a client that does
not read. ConnectionResetError, which the document handles, is one of several errors that mean
that the client is gone.

SIGUSR1 prints the size of the tables on stderr: "state: clients=N queued=BYTES".
"""

from __future__ import annotations

import socket
import sys

from _common import MESSAGE_SIZE, Client, Listener, log, run_server, send_some, server_parser

from tidegate import select


class UpperServer:
    """Answers every message in upper case."""

    def __init__(self, s: Listener) -> None:
        self.s = s
        self.clients: dict[socket.socket, Client] = {}

    def run(self) -> None:
        """Serve for ever."""
        while True:
            read_l = [self.s, *(c for c, client in self.clients.items() if client.may_send)]
            write_l = [c for c, client in self.clients.items() if client.unsent]
            r_l, w_l, _ = select.select(read_l, write_l, [])
            log.info("%d readable, %d writable", len(r_l), len(w_l))
            for ready_obj in r_l:
                if ready_obj is self.s:
                    self.accept()
                else:
                    self.answer(ready_obj)
            for ready_obj in w_l:
                if ready_obj in self.clients:  # not dropped a moment ago
                    self.send(ready_obj)

    def accept(self) -> None:
        """Take a new client into the tables."""
        accepted = self.s.accept_client()
        if accepted is None:
            return
        conn, address = accepted
        log.info("new connection from %s", address)
        self.clients[conn] = Client(address)

    def answer(self, conn: socket.socket) -> None:
        """Receive a message and send what can be sent of its reply."""
        client = self.clients[conn]
        try:
            data = conn.recv(MESSAGE_SIZE)
        except BlockingIOError:
            return
        except OSError as error:  # ConnectionResetError, above all
            self.drop(conn, str(error))
            return
        log.info("received %r from %s", data, client.address)
        client.unsent += data.upper()
        client.finished = not data
        self.send(conn)

    def send(self, conn: socket.socket) -> None:
        """Send a client what the kernel takes of its replies."""
        client = self.clients[conn]
        try:
            send_some(conn, client.unsent)
        except OSError as error:
            self.drop(conn, str(error))
            return
        if client.finished and not client.unsent:
            self.drop(conn, "disconnected")

    def drop(self, conn: socket.socket, why: str) -> None:
        """Forget a client and close it."""
        log.info("closing %s: %s", self.clients[conn].address, why)
        del self.clients[conn]
        conn.close()

    def state(self) -> tuple[int, int]:
        """Count the sockets in the tables, the listener aside, and the bytes not sent yet."""
        return len(self.clients), sum(len(client.unsent) for client in self.clients.values())

    def close(self) -> None:
        """Close every client."""
        for conn in self.clients:
            conn.close()


def main() -> int:
    """Run the server; returns the exit status."""
    args = server_parser(__doc__, host="127.0.0.1", port=8081).parse_args()
    return run_server(args, UpperServer)


if __name__ == "__main__":
    sys.exit(main())
