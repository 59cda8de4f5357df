"""Foreign clients of the UDP echo example: Python's sockets, and `nc -u` where it is installed."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
from typing import List

from examples import LIMIT, Failure, Server

CLIENTS = 10
EACH = 50


def exchange(client: socket.socket, port: int, data: bytes) -> None:
    """One datagram there and back; sent again when it was lost, as datagrams may be."""
    deadline = time.monotonic() + LIMIT
    client.settimeout(0.5)
    while time.monotonic() < deadline:
        client.sendto(data, ("127.0.0.1", port))
        try:
            back, sender = client.recvfrom(70000)
        except socket.timeout:
            continue
        if back == data and sender == ("127.0.0.1", port):
            return
    raise Failure(f"{len(data)} bytes did not come back")


def serve_many(program: pathlib.Path, wrapper: List[str], env: dict, how: signal.Signals) -> None:
    """Many clients at once, every size, clients that are gone before the answer comes, and then one more."""
    server = Server(program, wrapper, env)
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(CLIENTS)]
    try:
        for number in range(EACH):
            for client in clients:
                client.settimeout(LIMIT)
                client.sendto(b"%d" % number, ("127.0.0.1", server.port))
            for client in clients:
                if client.recv(100) != b"%d" % number:
                    raise Failure("the answers are out of order")
        for length in (0, 1, 1472, 1473, 9000, 65507):
            exchange(clients[0], server.port, os.urandom(length))
        for _ in range(20):  # what comes back reaches nobody
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
                gone.sendto(b"nobody will be there", ("127.0.0.1", server.port))
        exchange(clients[1], server.port, b"still there")
    finally:
        server.end(how)
        for client in clients:
            client.close()


def serve_netcat(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """A client that others have written."""
    netcat = shutil.which("nc")
    if netcat is None:
        print("SKIP nc -u against the UDP echo: nc is not installed", flush=True)
        return
    server = Server(program, wrapper, env)
    client = subprocess.Popen([netcat, "-u", "127.0.0.1", str(server.port)],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert client.stdin is not None and client.stdout is not None
        for word in (b"hello\n", b"tide\n"):
            client.stdin.write(word)
            client.stdin.flush()
            if client.stdout.readline() != word:
                raise Failure("nc did not get its line back")
    finally:
        client.kill()
        client.communicate(timeout=LIMIT)
        server.end(signal.SIGINT)
