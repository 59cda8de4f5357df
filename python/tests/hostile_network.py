"""Runs a sample on a network that takes little: hostile_network.py MODE SEED SCRIPT ARGUMENTS...

On loopback the kernel takes a small message whole or not at all, and readiness is never
wrong; elsewhere neither is promised. So socket.send() and recv() are replaced here:

short: send() takes a few bytes, at times none; recv() at times finds nothing
stuck: send() never takes anything, although the socket is writable
"""

from __future__ import annotations

import errno
import os
import random
import runpy
import socket
import sys
from typing import Any


def would_block() -> BlockingIOError:
    return BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def install(mode: str, rng: random.Random) -> None:
    plain_send = socket.socket.send
    plain_recv = socket.socket.recv

    def short_send(self: socket.socket, data: Any, flags: int = 0) -> int:
        if rng.random() < 0.2:
            raise would_block()
        return plain_send(self, memoryview(data)[: rng.randint(1, 200)], flags)

    def stuck_send(_self: socket.socket, _data: Any, _flags: int = 0) -> int:
        raise would_block()

    def recv(self: socket.socket, size: int, flags: int = 0) -> bytes:
        if rng.random() < 0.2:
            raise would_block()
        return plain_recv(self, size, flags)

    replacements: dict[str, Any] = {"short": short_send, "stuck": stuck_send}
    setattr(socket.socket, "send", replacements[mode])  # noqa: B010 (mypy refuses the assignment)
    if mode == "short":
        setattr(socket.socket, "recv", recv)  # noqa: B010


def main() -> None:
    mode, seed, script = sys.argv[1:4]
    install(mode, random.Random(int(seed)))
    sys.argv[:4] = [script]
    sys.path[0] = os.path.dirname(script)
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
