"""The TCP proxy between clients and a backend that are both here, so that both directions can be verified."""

from __future__ import annotations

import contextlib
import hashlib
import pathlib
import random
import re
import socket
import threading
from typing import Callable, Iterator, List

from examples import LIMIT, Server

from .common import (all_at_once, descriptors_settle, expect, is_reset, memory, receive, receive_all, reset,
                     serving, until)

#: What the proxy may grow by for one pair: the marks of both, and room to breathe.
GROWTH = 8 << 20


class Backend:
    """A server in threads of this process: answer(connection) for each."""

    def __init__(self, answer: Callable[[socket.socket], None]) -> None:
        self.answer = answer
        self.failures: List[BaseException] = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                connection.settimeout(LIMIT)
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        try:
            self.answer(connection)
        except Exception as error:  # told by the test, in its own thread
            self.failures.append(error)
        finally:
            connection.close()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@contextlib.contextmanager
def between(program: pathlib.Path, wrapper: List[str], env: dict, answer: Callable[[socket.socket], None],
            *times: str) -> Iterator[Server]:
    """A proxy before a backend."""
    backend = Backend(answer)
    try:
        with serving(program, wrapper, env, "0", "127.0.0.1", str(backend.port), *times) as server:
            yield server
    finally:
        backend.close()
    expect(not backend.failures, f"the backend: {backend.failures}")


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT)


def counts(server: Server) -> List[int]:
    """Clients, ended well, broke, bytes up, bytes down: what it says at the end."""
    return [int(number) for number in re.findall(r"\d+", server.said.strip().splitlines()[-1])]


def stream(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def both_ways(connection: socket.socket, sends: bytes) -> bytes:
    """Sends and receives at the same time; what was received up to the end."""
    received: List[bytes] = []
    reader = threading.Thread(target=lambda: received.append(receive_all(connection)), daemon=True)
    reader.start()
    connection.sendall(sends)
    connection.shutdown(socket.SHUT_WR)
    reader.join(LIMIT)
    expect(received, "no end came")
    return received[0]


def fifty_clients(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Each sends its own bytes while it receives others; all of both arrive, and are counted."""
    size, clients = (20_000, 8) if wrapper else (400_000, 50)

    def answer(connection: socket.socket) -> None:
        seed = int.from_bytes(receive(connection, 4), "big")
        up = both_ways(connection, stream(seed + 1000, size))
        assert hashlib.sha256(up).digest() == hashlib.sha256(stream(seed, size)).digest(), f"{seed}: changed"

    with between(program, wrapper, env, answer) as server:
        before = server.descriptors()

        def one(seed: int) -> None:
            with connect(server) as client:
                client.sendall(seed.to_bytes(4, "big"))
                expect(both_ways(client, stream(seed, size)) == stream(seed + 1000, size), f"{seed}: changed")

        all_at_once(clients, one)
        descriptors_settle(server, before + 2)  # the loop keeps the pipe through which it moves large pieces
    expect(counts(server) == [clients, clients, 0, clients * (size + 4), clients * size], server.said)


def half_closes(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """The end of one direction is passed on, and the other goes on; either side may be first."""
    def answer(connection: socket.socket) -> None:
        if receive(connection, 1) == b"c":  # the client ends first: it hears us after that
            assert receive_all(connection) == b"lient"
            connection.sendall(b"after your end")
        else:
            connection.sendall(b"before your end")
            connection.shutdown(socket.SHUT_WR)
            assert receive_all(connection) == b"after your end"

    with between(program, wrapper, env, answer) as server:
        before = server.descriptors()
        with connect(server) as client:
            client.sendall(b"client")
            client.shutdown(socket.SHUT_WR)
            expect(receive_all(client) == b"after your end", "cut off")
        with connect(server) as client:
            client.sendall(b"b")
            expect(receive_all(client) == b"before your end", "cut off")
            client.sendall(b"after your end")
            client.shutdown(socket.SHUT_WR)
            expect(client.recv(1) == b"", "more")
        descriptors_settle(server, before)
    expect(counts(server)[:3] == [2, 2, 0], server.said)


def breaks(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """A side that breaks resets the other: a part is not taken for the whole."""
    reached: List[bool] = []

    def answer(connection: socket.socket) -> None:
        if receive(connection, 1) == b"b":
            connection.sendall(b"the first half")
            reset(connection)
        else:
            reached.append(is_reset(connection))

    with between(program, wrapper, env, answer) as server:
        before = server.descriptors()
        with connect(server) as client:
            client.sendall(b"b")
            expect(is_reset(client), "the backend broke, and the client saw an end")
        client = connect(server)
        client.sendall(b"c")
        until(lambda: server.descriptors() >= before + 2, lambda: "not connected")
        reset(client)
        until(lambda: reached, lambda: "the backend saw nothing")
        expect(reached == [True], "the client broke, and the backend saw an end")
        descriptors_settle(server, before)
    expect(counts(server)[:3] == [2, 0, 2], server.said)


def dead_backend(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Nobody listens there: clients are reset, and the proxy goes on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with serving(program, wrapper, env, "0", "127.0.0.1", str(port)) as server:
        before = server.descriptors()
        for _ in range(5):
            with contextlib.suppress(ConnectionResetError), connect(server) as client:  # so soon, it may be, that
                expect(is_reset(client), "an end, as if there were a backend")  # connecting itself is told so
        descriptors_settle(server, before)
    expect(counts(server) == [5, 0, 5, 0, 0], server.said)


def silence(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Nothing comes or goes for the idle time: both sides are reset."""
    reached: List[bool] = []

    def answer(connection: socket.socket) -> None:
        connection.sendall(receive(connection, 5))
        reached.append(is_reset(connection))

    with between(program, wrapper, env, answer, "0.3") as server:
        with connect(server) as client:
            client.sendall(b"hello")
            expect(receive(client, 5) == b"hello", "no answer")
            expect(is_reset(client), "the client saw an end")
        until(lambda: reached, lambda: "the backend saw nothing")
        expect(reached == [True], "the backend saw an end")


def backend_that_does_not_accept(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Its queue is full, so that connecting takes for ever: the connect time ends it."""
    with socket.socket() as listener, contextlib.ExitStack() as held:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # what the queue has room for, and then some
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        port = listener.getsockname()[1]
        with serving(program, wrapper, env, "0", "127.0.0.1", str(port), "60", "0.3") as server:
            with connect(server) as client:
                client.sendall(b"hello")
                expect(is_reset(client), "an end, as if there were a backend")
    expect(counts(server)[:3] == [1, 0, 1], server.said)


def one_who_does_not_read(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """The backend sends without end, the client takes nothing: the proxy holds only so much."""
    def answer(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(bytes(1 << 20))
                taken[0] += 1

    taken = [0]
    with between(program, wrapper, env, answer) as server:
        at_first = memory(server.process.pid)
        client = connect(server)
        still, seen = 0, -1
        while still < 20:  # until the backend is stuck
            still, seen = (still + 1, seen) if seen == taken[0] else (0, taken[0])
            threading.Event().wait(0.01)
        growth = memory(server.process.pid) - at_first
        expect(growth < GROWTH, f"it grew by {growth} bytes for {taken[0]} MiB")
        expect(taken[0] < 100, f"it took {taken[0]} MiB")
        received, goal = 0, taken[0] << 20
        while received < goal:  # and all of it is there once the client does read
            received += len(receive(client, 1 << 20))
        reset(client)


def upload_before_download(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Both send more than all buffers hold, and one reads only when it has sent everything: the directions of a relay
    do not wait for each other."""
    size = 24 << 20

    def answer(connection: socket.socket) -> None:
        assert len(both_ways(connection, bytes(size))) == size

    with between(program, wrapper, env, answer) as server, connect(server) as client:
        client.sendall(bytes(size))
        client.shutdown(socket.SHUT_WR)
        expect(len(receive_all(client)) == size, "cut off")


DRIVERS = [fifty_clients, half_closes, breaks, dead_backend, silence, backend_that_does_not_accept,
           one_who_does_not_read, upload_before_download]
NATIVE_ONLY = [one_who_does_not_read, upload_before_download]
