"""What the clients share: bytes and lines from a socket, memory of a process, programs that talk on a pipe."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from typing import Callable, Iterator, List, Sequence

from examples import LIMIT, Failure, Server

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent


@contextlib.contextmanager
def serving(program: pathlib.Path, wrapper: List[str], env: dict, *arguments: str,
            how: signal.Signals = signal.SIGTERM) -> Iterator[Server]:
    """A server that is ended by a signal, whatever happens, and must then end well."""
    server = Server(program, wrapper, env, arguments=arguments or ("0",))
    try:
        yield server
    except BaseException:
        server.process.kill()
        said, _ = server.process.communicate()
        print(said.decode("utf-8", "replace")[-2000:])
        raise
    server.said = server.end(how)


def expect(condition: object, what: object) -> None:
    if not condition:
        raise Failure(str(what))


def receive(client: socket.socket, size: int) -> bytes:
    """Exactly so many bytes."""
    received = bytearray()
    while len(received) < size:
        piece = client.recv(min(size - len(received), 1 << 20))
        if not piece:
            raise Failure(f"the end after {len(received)} bytes of {size}: {bytes(received[-80:])!r}")
        received += piece
    return bytes(received)


def receive_all(client: socket.socket) -> bytes:
    """Everything up to the end."""
    received = bytearray()
    while True:
        piece = client.recv(1 << 20)
        if not piece:
            return bytes(received)
        received += piece


def is_reset(client: socket.socket) -> bool:
    """Whether the connection is reset, and not ended; what came before does not matter."""
    try:
        while client.recv(1 << 20):
            pass
    except ConnectionResetError:
        return True
    return False


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def until(condition: Callable[[], object], what: Callable[[], object]) -> None:
    """Waits for something that must come to be."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        expect(time.monotonic() < deadline, what())
        time.sleep(0.01)


def memory(pid: int) -> int:
    """Bytes of a process that are its own: resident and not mapped from files."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) * 1024


def all_at_once(count: int, work: Callable[[int], None]) -> None:
    """Runs work(0 .. count-1) in threads; the first failure is raised."""
    failures: List[BaseException] = []

    def one(number: int) -> None:
        try:
            work(number)
        except (Failure, AssertionError, OSError) as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * LIMIT)
        expect(not thread.is_alive(), "a client did not come to an end")
    if failures:
        raise Failure(f"{len(failures)} of {count}: {failures[0]!r}")


def talk(command: Sequence[object], said: bytes, env: dict) -> bytes:
    """What a program writes that is given some input, and must end well."""
    done = subprocess.run([str(part) for part in command], input=said, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=env, timeout=LIMIT, check=False)
    expect(done.returncode == 0, f"{command[0]}: exit {done.returncode}: {done.stdout[-500:]!r}")
    return done.stdout


def have(tool: str) -> bool:
    """Whether a tool is there; it is said by name where not, and the run goes on without."""
    found = shutil.which(tool) is not None
    if not found:
        print(f"SKIP example clients with {tool}: {tool} is not installed")
    return found


def descriptors_settle(server: Server, before: int) -> None:
    def what_there_is() -> str:
        names = []
        for entry in pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed in this moment
                names.append(os.readlink(entry))
        return f"{len(names)} descriptors, {before} before: {names}"

    until(lambda: server.descriptors() <= before, what_there_is)


def sockets(server: Server) -> int:
    """How many sockets a server has: its listener's, and those of its connections."""
    place = pathlib.Path(f"/proc/{server.process.pid}/fd")
    count = 0
    for entry in place.iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            count += os.readlink(entry).startswith("socket:")
    return count


def connections_settle(server: Server) -> None:
    """Until no connection is left."""
    until(lambda: sockets(server) == 1, lambda: f"{sockets(server) - 1} connections are left")
