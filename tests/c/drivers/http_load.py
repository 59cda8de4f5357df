"""The HTTP server under load: large files, clients that do not read, and wrk with 200 connections."""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
import resource
import socket
import subprocess
from typing import List

from examples import LIMIT

from .common import all_at_once, descriptors_settle, expect, have, memory, reset, until
from .http import PAGE, Reader, get, raw, site

LARGE = 50 << 20
#: What the server may grow by for those that ask and do not read.
GROWTH = 4 << 20
#: How long wrk runs.
SECONDS = 10 if os.environ.get("TIDEGATE_TEST_LOAD") == "full" else 3
CONNECTIONS = 200


def large_file(root: pathlib.Path) -> str:
    """Makes a file of 50 MiB; its SHA-256."""
    content = os.urandom(1 << 20)
    digest = hashlib.sha256()
    with (root / "large").open("wb") as file:
        for number in range(LARGE >> 20):
            block = number.to_bytes(8, "big") + content[8:]
            file.write(block)
            digest.update(block)
    return digest.hexdigest()


def large_files(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """50 MiB arrive unchanged, for several at once and twice on one connection, and take no memory."""
    with site(program, wrapper, env) as (server, root):
        expected = large_file(root)
        before, at_first = server.descriptors(), memory(server.process.pid)

        def one(_number: int) -> None:
            with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT) as client:
                client.sendall(get("/large") * 2 + get("/"))
                reader = Reader(client)
                for _ in range(2):
                    expect(hashlib.sha256(reader.answer()[2]).hexdigest() == expected, "changed on its way")
                expect(reader.answer()[2] == PAGE, "the request behind the large ones")

        all_at_once(4, one)
        growth = memory(server.process.pid) - at_first
        expect(growth < GROWTH, f"it grew by {growth} bytes")
        if have("curl"):
            url = f"http://127.0.0.1:{server.port}/large"
            with subprocess.Popen(["curl", "-sS", "--noproxy", "*", url], stdout=subprocess.PIPE) as curl:
                assert curl.stdout is not None
                digest = hashlib.sha256()
                while piece := curl.stdout.read(1 << 20):
                    digest.update(piece)
            expect(digest.hexdigest() == expected and curl.returncode == 0, "changed on its way to curl")
        descriptors_settle(server, before)


def one_that_does_not_read(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Clients that ask for a large file hundreds of times and read nothing: one open file each, no memory, and the
    others are served. Later they get what they have asked for."""
    with site(program, wrapper, env) as (server, root):
        expected = large_file(root)
        before, at_first = server.descriptors(), memory(server.process.pid)
        slow = [socket.socket() for _ in range(10)]
        for client in slow:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(LIMIT)
            client.connect(("127.0.0.1", server.port))
            client.sendall(get("/large") * 300)
        until(lambda: server.descriptors() >= before + 2 * len(slow), lambda: "not all are being answered")
        for _ in range(50):
            expect(raw(server, get("/sub/")).endswith(b"below"), "the others are not served")
        expect(server.descriptors() <= before + 2 * len(slow) + 1, f"{server.descriptors()} descriptors")
        growth = memory(server.process.pid) - at_first
        expect(growth < GROWTH, f"it grew by {growth} bytes")
        reader = Reader(slow[0])
        expect(hashlib.sha256(reader.answer()[2]).hexdigest() == expected, "changed on its way")
        for client in slow:
            reset(client)
        reader.file.close()
        descriptors_settle(server, before)


def endless_request(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """A body without end takes no memory."""
    with site(program, wrapper, env) as (server, _):
        at_first = memory(server.process.pid)
        with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT) as client:
            client.sendall(get("/", f"Content-Length: {100 << 20}"))
            for _ in range(100):
                client.sendall(bytes(1 << 20))
            expect(Reader(client).answer()[2] == PAGE, "no answer behind the body")
        growth = memory(server.process.pid) - at_first
        expect(growth < GROWTH, f"it grew by {growth} bytes")


def with_wrk(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """wrk with 200 connections: not a single error of a socket, nor an answer that is no success."""
    if not have("wrk"):
        return
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    expect(most[0] > CONNECTIONS + 50, f"{most[0]} descriptors are too few for this")
    with site(program, wrapper, env) as (server, _):
        before = server.descriptors()
        done = subprocess.run(["wrk", "-t", "2", "-c", str(CONNECTIONS), "-d", f"{SECONDS}s", "--latency",
                               f"http://127.0.0.1:{server.port}/index.html"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=SECONDS + LIMIT, check=False)
        said = done.stdout.decode()
        requests = re.search(r"(\d+) requests in ", said)
        # wrk has a line for each kind of error only if there is one.
        errors = re.search(r"Socket errors:.*|Non-2xx.*|unable to.*", said)
        expect(done.returncode == 0 and requests and int(requests[1]) > 0 and not errors, said)
        descriptors_settle(server, before)
        expect(raw(server, get("/sub/")).endswith(b"below"), "ill after the load")
        print(f"wrk, {CONNECTIONS} connections for {SECONDS} s: {requests[1]} requests, no error")


DRIVERS = [large_files, one_that_does_not_read, endless_request, with_wrk]
