"""Server on selectors, with callbacks as key data: every reply is upper-cased data + "_SB".

From the second document, its example of the selectors module. Mended: the rest of a short
send() was lost, and a full socket passed for a client that is gone, as did any mistake in the
callback (`except Exception`); an end of input discarded the replies still due; no bound on
what is kept for a client that does not read; accepted sockets stayed blocking.

SIGUSR1 prints the size of the tables on stderr: "state: clients=N queued=BYTES".
"""

from __future__ import annotations

import socket
import sys

from _common import MESSAGE_SIZE, Client, Listener, log, run_server, send_some, server_parser

from tidegate import selectors

SUFFIX = b"_SB"


class ChatServer:
    """Answers every message in upper case, with the suffix."""

    def __init__(self, server_fileobj: Listener) -> None:
        self.server = server_fileobj
        self.clients: dict[socket.socket, Client] = {}
        self.sel = selectors.DefaultSelector()
        self.sel.register(server_fileobj, selectors.EVENT_READ, self.accept)

    def run(self) -> None:
        """Serve for ever."""
        while True:
            for sel_obj, mask in self.sel.select():
                callback = sel_obj.data
                callback(sel_obj.fileobj, mask)

    def accept(self, _server: Listener, _mask: int) -> None:
        """Take a new client: the callback of the listening socket."""
        accepted = self.server.accept_client()
        if accepted is None:
            return
        conn, address = accepted
        log.info("new connection from %s", address)
        self.clients[conn] = Client(address)
        self.sel.register(conn, selectors.EVENT_READ, self.serve)

    def serve(self, conn: socket.socket, mask: int) -> None:
        """Receive and send: the callback of every client."""
        client = self.clients[conn]
        try:
            if mask & selectors.EVENT_READ:
                self.read(conn, client)
            send_some(conn, client.unsent)
        except OSError as error:
            self.drop(conn, str(error))
            return
        self.wait_for_more(conn, client)

    def read(self, conn: socket.socket, client: Client) -> None:
        """Receive a message and make its reply."""
        try:
            data = conn.recv(MESSAGE_SIZE)
        except BlockingIOError:
            return
        log.info("received %r from %s", data, client.address)
        if data:
            client.unsent += data.upper() + SUFFIX
        else:
            client.finished = True

    def wait_for_more(self, conn: socket.socket, client: Client) -> None:
        """Register for what the client is to do next; close it if there is nothing."""
        events = 0
        if client.may_send:
            events |= selectors.EVENT_READ
        if client.unsent:
            events |= selectors.EVENT_WRITE
        if not events:
            self.drop(conn, "disconnected")
        elif events != self.sel.get_key(conn).events:
            self.sel.modify(conn, events, self.serve)

    def drop(self, conn: socket.socket, why: str) -> None:
        """Forget a client and close it."""
        log.info("closing %s: %s", self.clients[conn].address, why)
        self.sel.unregister(conn)
        del self.clients[conn]
        conn.close()

    def state(self) -> tuple[int, int]:
        """Count the sockets in the tables, the listener aside, and the bytes not sent yet."""
        registered = {key.fileobj for key in self.sel.get_map().values()}
        known = (registered | {*self.clients}) - {self.server}
        return len(known), sum(len(client.unsent) for client in self.clients.values())

    def close(self) -> None:
        """Close every client."""
        for conn in self.clients:
            conn.close()
        self.sel.close()


def main() -> int:
    """Run the server; returns the exit status."""
    args = server_parser(__doc__, host="127.0.0.1", port=8088).parse_args()
    return run_server(args, ChatServer)


if __name__ == "__main__":
    sys.exit(main())
