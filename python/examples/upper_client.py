"""Interactive client of the three servers of the second document. The end of input ends it.

It knows how long a reply is: as long as the message, and with the server of port 8088 (or
with --suffix) the suffix besides.

From the second document, which has the same client three times. Mended: one recv() was taken
for the whole reply, which may come in parts (and a part may end within a UTF-8 character);
one send() was taken to send everything; the end of the input was an EOFError.

A line of more than 1024 bytes is sent as several messages, each with its own reply.
"""

from __future__ import annotations

import socket
import sys

from _common import ask, client_parser, messages_of, run_client

#: What the server of that port adds to its replies.
SUFFIXES = {8088: "_SB"}


def converse(c: socket.socket, suffix: str) -> None:
    """Print the reply to each line that is typed."""
    while True:
        for message in messages_of(input(">>: ")):
            print(ask(c, message, len(message) + len(suffix.encode())))


def main() -> int:
    """Run the client; returns the exit status."""
    parser = client_parser(__doc__, host="127.0.0.1", port=8080)
    parser.add_argument("--suffix", help='what the server adds to a reply (default: "_SB" for port 8088)')
    args = parser.parse_args()
    suffix = SUFFIXES.get(args.port, "") if args.suffix is None else args.suffix
    return run_client(args, lambda connection: converse(connection, suffix))


if __name__ == "__main__":
    sys.exit(main())
