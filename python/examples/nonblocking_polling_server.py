"""Upper-case server without any readiness call: it asks every socket, again and again.

From the second document, its example of non-blocking I/O, which is there to show the price:
processor time while nothing happens, or a delay if there is a pause between the rounds. Mended:
the rest of a short send() was lost, and an unready send() passed for an unready recv(); only
ConnectionResetError was expected; a client was removed twice when it failed twice in one
round; an end of input discarded the replies still due; no bound on what is kept for a
client that does not read; the pause that the text mentions was missing (--pause).

SIGUSR1 prints the size of the tables on stderr: "state: clients=N queued=BYTES".
"""

from __future__ import annotations

import argparse
import socket
import sys
import time

from _common import MESSAGE_SIZE, Client, Listener, log, run_server, send_some, server_parser


class PollingServer:
    """Answers every message in upper case."""

    def __init__(self, s: Listener, pause: float) -> None:
        self.s = s
        self.pause = pause
        self.conn_l: dict[socket.socket, Client] = {}

    def run(self) -> None:
        """Serve for ever."""
        while True:
            busy = self.accept()
            for conn in list(self.conn_l):  # a copy: clients leave meanwhile
                if self.attend_to(conn):
                    busy = True
            if not busy:
                time.sleep(self.pause)

    def accept(self) -> bool:
        """Take a new client into the table; whether there was one."""
        accepted = self.s.accept_client()
        if accepted is None:
            return False
        conn, address = accepted
        log.info("new connection from %s", address)
        self.conn_l[conn] = Client(address)
        return True

    def attend_to(self, conn: socket.socket) -> bool:
        """Try to receive, try to send; whether there was anything to do."""
        client = self.conn_l[conn]
        try:
            received = client.may_send and self.receive(conn, client)
            sent = send_some(conn, client.unsent)
        except OSError as error:  # ConnectionResetError, BrokenPipeError, ...
            self.drop(conn, str(error))
            return True
        if client.finished and not client.unsent:
            self.drop(conn, "disconnected")
        return received or sent

    def receive(self, conn: socket.socket, client: Client) -> bool:
        """Try to receive a message and make its reply; whether anything came."""
        try:
            data = conn.recv(MESSAGE_SIZE)
        except BlockingIOError:
            return False
        log.info("received %r from %s", data, client.address)
        if data:
            client.unsent += data.upper()
        else:
            client.finished = True
        return True

    def drop(self, conn: socket.socket, why: str) -> None:
        """Forget a client and close it."""
        log.info("closing %s: %s", self.conn_l[conn].address, why)
        del self.conn_l[conn]
        conn.close()

    def state(self) -> tuple[int, int]:
        """Count the sockets in the tables, the listener aside, and the bytes not sent yet."""
        return len(self.conn_l), sum(len(client.unsent) for client in self.conn_l.values())

    def close(self) -> None:
        """Close every client."""
        for conn in self.conn_l:
            conn.close()


def pause_seconds(text: str) -> float:
    """Convert the argument of --pause."""
    seconds = float(text)
    if not 0 <= seconds <= 60:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 60")
    return seconds


def main() -> int:
    """Run the server; returns the exit status."""
    parser = server_parser(__doc__, host="127.0.0.1", port=8080)
    parser.add_argument(
        "--pause",
        type=pause_seconds,
        default=0.01,
        metavar="SECONDS",
        help="rest after a round in which nothing happened, 0 to 60 (default: %(default)s)",
    )
    args = parser.parse_args()
    return run_server(args, lambda listener: PollingServer(listener, args.pause))


if __name__ == "__main__":
    sys.exit(main())
