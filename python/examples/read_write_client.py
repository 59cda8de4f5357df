"""Interactive client of select_read_write_server.py. "q", or the end of input, ends it.

From the first document, its complete example. Mended: one recv() was taken for the whole
reply, which may come in parts (and a part may end within a UTF-8 character); one send()
was taken to send everything; the end of the input was an EOFError.

A line of more than 1024 bytes is sent as several messages, each with its own reply.
"""

from __future__ import annotations

import socket
import sys

from _common import ask, client_parser, messages_of, receive_exactly, run_client

GREETING = b"ok"
SUFFIX = b"response"


def converse(sc: socket.socket) -> None:
    """Print the greeting, then the reply to each line that is typed."""
    print(receive_exactly(sc, len(GREETING)).decode())
    while True:
        line = input(">>>:")
        if line == "q":
            return
        for message in messages_of(line):
            print(ask(sc, message, len(message) + len(SUFFIX)))


def main() -> int:
    """Run the client; returns the exit status."""
    args = client_parser(__doc__, host="127.0.0.1", port=9000).parse_args()
    return run_client(args, converse)


if __name__ == "__main__":
    sys.exit(main())
