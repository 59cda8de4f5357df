"""What the samples share: arguments, the listening socket, signals, the clients' plumbing.

The loops, which the samples are about, are in the samples themselves.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Protocol

#: Bytes asked of one recv(), as in the documents. What one recv() returns is one message.
MESSAGE_SIZE = 1024

#: Bytes of unsent replies from which on a server stops reading from that client.
#: The kernel's buffers absorb bursts; this only has to be a few messages large.
UNSENT_LIMIT = 64 * 1024

#: The documents' listen(5) makes a burst of clients wait for their SYN to be repeated.
BACKLOG = 128

#: Seconds to rest when a connection can be neither accepted nor refused.
SHORTAGE_PAUSE = 0.05

#: accept() failed for want of something that accepting another client will not bring.
SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

#: accept() failed for one connection alone: it is gone, or a firewall took it.
#: Linux hands a new connection's pending network error to accept(), hence the list.
CONNECTION_GONE = frozenset(
    {
        errno.EAGAIN,
        errno.ECONNABORTED,
        errno.EPERM,
        errno.EPROTO,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENOPROTOOPT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EOPNOTSUPP,
        errno.ETIMEDOUT,
    }
)

log = logging.getLogger("sample")


class Listener(socket.socket):
    """A non-blocking listening IPv4 socket.

    It keeps one descriptor in reserve. When the process has no other left, a waiting
    connection can still be taken and closed; otherwise it would stay at the head of the
    queue, the socket would stay readable, and the loop would spin.
    """

    def __init__(self, host: str, port: int) -> None:
        """Listen on `host` and `port` (0: any free one); OSError if that is not possible."""
        super().__init__(socket.AF_INET, socket.SOCK_STREAM)
        self._reserve: int | None = None
        try:
            self._reserve = os.open(os.devnull, os.O_RDONLY)
            self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.bind((host, port))
            self.listen(BACKLOG)
            self.setblocking(False)
        except BaseException:
            self.close()
            raise

    def accept_client(self) -> tuple[socket.socket, str] | None:
        """Accept a client: its socket, non-blocking, and "address:port"; or None if none came.

        None is no reason to end: the client may have left before it was accepted, or
        was refused because descriptors ran out. OSError only for a broken listener.
        """
        try:
            connection, (host, port) = self.accept()
        except OSError as error:
            if error.errno in SHORTAGES:
                self._refuse_one()
            elif error.errno not in CONNECTION_GONE:
                raise
            return None
        connection.setblocking(False)
        return connection, f"{host}:{port}"

    def close(self) -> None:
        """Stop listening; a second call does nothing."""
        super().close()
        self._release_reserve()

    def _refuse_one(self) -> None:
        self._release_reserve()
        try:
            self.accept()[0].close()
        except OSError:
            time.sleep(SHORTAGE_PAUSE)
        with contextlib.suppress(OSError):
            self._reserve = os.open(os.devnull, os.O_RDONLY)

    def _release_reserve(self) -> None:
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None


@dataclass(eq=False)
class Client:
    """What a server remembers of a client, besides its socket."""

    #: Noted when it was accepted: a socket whose peer is gone cannot tell any more.
    address: str
    #: Replies, or what short sends left of them.
    unsent: bytearray = field(default_factory=bytearray)
    #: The client has shut down its sending side; replies may still be due to it.
    finished: bool = False

    @property
    def may_send(self) -> bool:
        """Whether the server should read from it now."""
        return not self.finished and len(self.unsent) < UNSENT_LIMIT


def send_some(connection: socket.socket, unsent: bytearray) -> bool:
    """Send what the kernel takes now, keep the rest in `unsent`; False if it took nothing."""
    if not unsent:
        return False
    try:
        sent = connection.send(unsent)
    except BlockingIOError:
        return False
    del unsent[:sent]
    return True


class Server(Protocol):
    """What run_server() needs of a sample."""

    def run(self) -> None:
        """Serve for ever."""

    def state(self) -> tuple[int, int]:
        """Sockets in any of the tables (the listener aside), and bytes of unsent replies."""

    def close(self) -> None:
        """Close every client."""


def run_server(args: argparse.Namespace, make: Callable[[Listener], Server]) -> int:
    """Listen, say so, serve until SIGINT or SIGTERM; the exit status of the program."""
    logging.basicConfig(level=logging.INFO if args.log else logging.WARNING, format="%(message)s")
    try:
        listener = Listener(args.host, args.port)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        complain(f"cannot listen on {args.host}:{args.port}: {reason}")
        return 1
    with listener:
        server = make(listener)
        try:
            _handle_signals(server)
            host, port = listener.getsockname()
            print(f"listening on {host}:{port}", flush=True)
            server.run()
        except KeyboardInterrupt:
            log.info("stopped")
        finally:
            server.close()
    return 0


def _handle_signals(server: Server) -> None:
    """SIGINT and SIGTERM end the server; SIGUSR1 makes it print the size of its tables."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        # Once is enough: a second signal must not interrupt the closing.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    def print_state(_number: int, _frame: FrameType | None) -> None:
        clients, queued = server.state()
        # Not print(): this may have interrupted one, and the stream is not re-entrant.
        with contextlib.suppress(OSError):
            os.write(2, f"state: clients={clients} queued={queued}\n".encode())

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, print_state)


def server_parser(description: str | None, host: str, port: int) -> argparse.ArgumentParser:
    """Arguments that every server takes; `host` and `port` are the document's."""
    parser = _parser(description, host, port, "port to listen on, 0 for any free one")
    parser.add_argument("--log", action="store_true", help="tell on stderr what happens")
    return parser


def client_parser(description: str | None, host: str, port: int) -> argparse.ArgumentParser:
    """Arguments that every client takes; `host` and `port` are the document's."""
    return _parser(description, host, port, "port of the server")


def _parser(description: str | None, host: str, port: int, port_help: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default=host, help="address (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=port, help=f"{port_help} (default: %(default)s)")
    return parser


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{number} is not between 0 and 65535")
    return number


def complain(message: str) -> None:
    """Say on stderr, in one line that begins with the program's name, what went wrong."""
    print(f"{Path(sys.argv[0]).name}: {message}", file=sys.stderr)


def run_client(args: argparse.Namespace, converse: Callable[[socket.socket], None]) -> int:
    """Connect and converse; the exit status of the program. Ctrl-C ends it like end of input."""
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            # What is typed reaches the server byte for byte, whatever the locale.
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        with socket.create_connection((args.host, args.port)) as connection:
            converse(connection)
    except (KeyboardInterrupt, EOFError):
        print()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        complain(f"{args.host}:{args.port}: {reason}")
        return 1
    return 0


def messages_of(text: str) -> Iterator[bytes]:
    """Encode `text` as messages of at most MESSAGE_SIZE bytes, no character divided.

    The servers answer what one recv() returned, so a longer line is several messages.
    """
    message = bytearray()
    for character in text:
        encoded = character.encode("utf-8", "surrogateescape")
        if len(message) + len(encoded) > MESSAGE_SIZE:
            yield bytes(message)
            message.clear()
        message += encoded
    if message:
        yield bytes(message)


def ask(connection: socket.socket, message: bytes, reply_size: int) -> str:
    """Send a message and return its reply, decoded once all `reply_size` bytes are there."""
    connection.sendall(message)
    return receive_exactly(connection, reply_size).decode("utf-8", "surrogateescape")


def receive_exactly(connection: socket.socket, size: int) -> bytes:
    """Receive `size` bytes; ConnectionError if the server closes before."""
    received = bytearray()
    while len(received) < size:
        data = connection.recv(size - len(received))
        if not data:
            raise ConnectionError("the server closed the connection")
        received += data
    return bytes(received)
