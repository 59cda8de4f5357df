"""Samples started as subprocesses, and clients of every temper that talk to them."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import queue
import random
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
HOSTILE_NETWORK = Path(__file__).resolve().parent / "hostile_network.py"

#: Seconds a client or a poll may take before it is a failure; ample, never a measure.
PATIENCE = 20.0

#: One recv() of the samples: what a lock-step message must not exceed.
MESSAGE_SIZE = 1024

#: What a sample may hold unsent for one client: its limit, one message and a suffix or two.
QUEUED_AT_MOST = 80 * 1024


@dataclass(frozen=True)
class Sample:
    """What a server of python/examples/ is expected to do."""

    script: str
    host: str
    port: int
    greeting: bytes = b""
    upper: bool = False
    suffix: bytes = b""

    def reply(self, message: bytes) -> bytes:
        """The reply to data that one recv() of the server returned."""
        return (message.upper() if self.upper else message) + self.suffix

    def payload(self, rng: random.Random, size: int) -> bytes:
        """Random bytes; if there is a suffix, none whose reply contains a byte of it."""
        if not self.suffix:
            return rng.randbytes(size)
        alphabet = bytes(byte for byte in range(256) if not set(self.suffix) & set(self.reply(bytes([byte]))[:1]))
        return bytes(rng.choices(alphabet, k=size))

    def check_stream(self, sent: bytes, received: bytes) -> None:
        """Assert that `received` (without the greeting) is the whole reply to `sent`.

        Where a suffix follows each recv(), where the borders lie is the server's and the
        kernel's affair; that each part has 1 to MESSAGE_SIZE bytes is not.
        """
        if not self.suffix:
            expected = self.reply(sent)
            assert received == expected, differing(received, expected)
            return
        parts = received.split(self.suffix)
        assert parts.pop() == b"", "the reply does not end with the suffix"
        assert not sent or parts, "no suffix at all"
        assert all(1 <= len(part) <= MESSAGE_SIZE for part in parts), [len(part) for part in parts]
        expected = sent.upper() if self.upper else sent
        assert b"".join(parts) == expected, differing(b"".join(parts), expected)


def differing(received: bytes, expected: bytes) -> str:
    """Where two long byte strings part, for a failure that can be read."""
    length = min(len(received), len(expected))
    at = next((i for i in range(length) if received[i] != expected[i]), length)
    return (
        f"{len(received)} bytes instead of {len(expected)}, differing from byte {at}: "
        f"{received[at : at + 40]!r} instead of {expected[at : at + 40]!r}"
    )


def environment() -> dict[str, str]:
    """An environment in which a subprocess imports the tidegate that is imported here."""
    spec = importlib.util.find_spec("tidegate")
    assert spec is not None and spec.submodule_search_locations, "tidegate is not importable"
    root = str(Path(next(iter(spec.submodule_search_locations))).parent)
    paths = [root, os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def command(script: str, *arguments: str, network: tuple[str, int] | None = None) -> list[str]:
    """The command line of a sample; sockets that it leaves to the collector are reported.

    `network` is a mode of hostile_network.py and a seed.
    """
    runner = [str(HOSTILE_NETWORK), network[0], str(network[1])] if network else []
    return [sys.executable, "-W", "always::ResourceWarning", *runner, str(EXAMPLES / script), *arguments]


def without_interrupted_close(said: list[str]) -> list[str]:
    """What a server has said, but for what Python says when the signal that ends the server came in the middle of
    socket.close(): the socket is "closed" then, and its descriptor is closed by the interpreter at the end."""
    for start, line in enumerate(said):
        if "ResourceWarning: unclosed <socket.socket [closed]" in line and said[start + 2 :]:
            return said[:start] + without_interrupted_close(said[start + 3 :])
    return said


class Running:
    """A sample server in a subprocess, listening; a context manager that ends it cleanly."""

    STATE = re.compile(r"state: clients=(\d+) queued=(\d+)$")

    def __init__(self, sample: Sample, *arguments: str, network: tuple[str, int] | None = None) -> None:
        self.sample = sample
        self.states: queue.Queue[tuple[int, int]] = queue.Queue()
        self.lines: queue.Queue[str] = queue.Queue()
        self.process: subprocess.Popen[str] = subprocess.Popen(
            command(sample.script, "--port", "0", *arguments, network=network),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        self.reader = threading.Thread(target=self._read_stderr, daemon=True)
        self.reader.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()  # the test's watchdog bounds this
        match = re.fullmatch(r"listening on (127\.0\.0\.1):(\d+)\n", line)
        if match is None:
            self.process.kill()
            self.process.wait()
            self.reader.join(PATIENCE)
            raise AssertionError(f"{line!r} instead of a listening line; stderr: {list(self.lines.queue)}")
        self.address = (match[1], int(match[2]))

    def _read_stderr(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            match = self.STATE.match(line)
            if match:
                self.states.put((int(match[1]), int(match[2])))
            else:
                self.lines.put(line.rstrip("\n"))

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        try:
            status = self.stop(signal.SIGTERM) if kind is None else None
        finally:
            self.process.kill()
            self.process.wait()
            self.reader.join(PATIENCE)
            for stream in (self.process.stdout, self.process.stderr):
                if stream is not None:
                    stream.close()
        said = list(self.lines.queue)
        if kind is None:
            assert status == 0, (status, said)
            assert without_interrupted_close(said) == [], said
        elif said:
            print(f"stderr of {self.sample.script}:", *said, sep="\n  ")

    def stop(self, number: int) -> int:
        """End the server by a signal; its exit status."""
        self.process.send_signal(number)
        return self.wait(lambda: self.process.send_signal(number))

    def wait(self, again: Callable[[], None]) -> int:
        """Wait for the end. A signal just before the wait begins may go unnoticed: repeat it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                assert time.monotonic() < deadline, "the server did not end"
                again()

    def state(self) -> tuple[int, int]:
        """(clients, queued) from the server's tables, as of now."""
        while not self.states.empty():
            self.states.get_nowait()
        deadline = time.monotonic() + PATIENCE
        while True:
            assert self.process.poll() is None, ("the server ended", list(self.lines.queue))
            self.process.send_signal(signal.SIGUSR1)
            with contextlib.suppress(queue.Empty):
                return self.states.get(timeout=0.5)
            assert time.monotonic() < deadline, "no state line"

    def until(self, condition: Callable[[], bool], what: Callable[[], object]) -> None:
        """Wait, for PATIENCE at most, until a condition holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, what()
            time.sleep(0.01)

    def until_empty(self) -> None:
        """Wait until the tables are empty."""
        self.until(lambda: self.state() == (0, 0), lambda: f"left over: {self.state()}")

    def descriptors(self) -> list[str]:
        """What the server's descriptors refer to, sorted, without the numbers of inodes."""
        directory = Path(f"/proc/{self.process.pid}/fd")
        kinds = []
        for entry in directory.iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                kinds.append(re.sub(r"\d+", "N", os.readlink(entry)))
        return sorted(kinds)

    def limit_descriptors(self, count: int) -> None:
        """Let the server have no descriptor numbered `count` or above from now on."""
        resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (count, count))

    def baseline(self) -> list[str]:
        """Descriptors of the server once it has served, and seen off, a first client."""
        serve_one(self)
        self.until_empty()
        return self.descriptors()

    def check_clean(self, baseline: list[str]) -> None:
        """Assert that the server answers and that nothing of its former clients is left."""
        serve_one(self)
        self.until_empty()
        self.until(
            lambda: self.descriptors() == baseline, lambda: f"descriptors {self.descriptors()}, before {baseline}"
        )

    def connect(self, receive_buffer: int = 0) -> socket.socket:
        """A client's socket, connected; `receive_buffer` bytes small, if given."""
        connection = socket.socket()
        try:
            if receive_buffer:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            connection.settimeout(PATIENCE)
            connection.connect(self.address)
        except BaseException:
            connection.close()
            raise
        return connection


def receive(connection: socket.socket, size: int) -> bytes:
    """Exactly `size` bytes."""
    received = bytearray()
    while len(received) < size:
        data = connection.recv(size - len(received))
        assert data, f"the server closed after {bytes(received)!r}, {size} bytes were due"
        received += data
    return bytes(received)


def receive_to_end(connection: socket.socket, at_once: int = 65536) -> bytes:
    """Everything until the server closes, `at_once` bytes at a time at most."""
    received = bytearray()
    while True:
        data = connection.recv(at_once)
        if not data:
            return bytes(received)
        received += data


def greet(server: Running, connection: socket.socket) -> None:
    """Receive the greeting, if the sample has one."""
    assert receive(connection, len(server.sample.greeting)) == server.sample.greeting


def ask(server: Running, connection: socket.socket, message: bytes) -> None:
    """Send one message and assert its exact reply."""
    connection.sendall(message)
    expected = server.sample.reply(message)
    received = receive(connection, len(expected))
    assert received == expected, differing(received, expected)


def serve_one(server: Running) -> None:
    """One new client, one message, its reply, and the server's close after ours."""
    with server.connect() as connection:
        greet(server, connection)
        ask(server, connection, b"Hello \xc3\xa9")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


def reset(connection: socket.socket) -> None:
    """Close with a reset (RST) instead of an orderly end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def lock_step(server: Running, rng: random.Random) -> None:
    """Messages of up to MESSAGE_SIZE bytes, each answered before the next; an orderly end."""
    with server.connect() as connection:
        greet(server, connection)
        for _ in range(rng.randint(3, 30)):
            ask(server, connection, rng.randbytes(rng.randint(1, MESSAGE_SIZE)))


def streaming(server: Running, rng: random.Random) -> None:
    """Random chunks sent and replies read as both become possible; half-closes at the end."""
    data = server.sample.payload(rng, rng.randint(10_000, 200_000))
    chunk = 1
    sent = 0
    received = bytearray()
    with server.connect() as connection:
        connection.setblocking(False)
        deadline = time.monotonic() + PATIENCE
        while True:
            assert time.monotonic() < deadline, f"sent {sent} of {len(data)}, received {len(received)}"
            writers = [connection] if sent < len(data) else []
            readable, writable, _ = select.select([connection], writers, [], 1)
            if writable:
                sent += connection.send(data[sent : sent + chunk])
                chunk = rng.randint(1, 5000)
                if sent == len(data):
                    connection.shutdown(socket.SHUT_WR)
            if readable:
                part = connection.recv(rng.randint(1, 5000))
                if not part:
                    break
                received += part
    check_all(server, data, bytes(received))


def dribbling(server: Running, rng: random.Random) -> None:
    """A few bytes at a time, with rests, replies read as slowly; half-closes at the end."""
    data = server.sample.payload(rng, 200)
    with server.connect(receive_buffer=4096) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent = 0
        while sent < len(data):
            sent += connection.send(data[sent : sent + rng.randint(1, 5)])
            time.sleep(rng.uniform(0, 0.003))  # being slow is what this client is for
        connection.shutdown(socket.SHUT_WR)
        received = receive_to_end(connection, at_once=7)
    check_all(server, data, received)


def half_closing(server: Running, rng: random.Random) -> None:
    """All of the request, the half-close, and only then the replies."""
    data = server.sample.payload(rng, rng.randint(1, 40_000))
    with server.connect() as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = receive_to_end(connection, at_once=rng.randint(100, 5000))
    check_all(server, data, received)


def check_all(server: Running, sent: bytes, received: bytes) -> None:
    """Assert greeting and replies, received up to the server's close."""
    greeting = server.sample.greeting
    assert received[: len(greeting)] == greeting
    server.sample.check_stream(sent, received[len(greeting) :])


def resetting_at_once(server: Running, rng: random.Random) -> None:
    """A request, and a reset before its reply can have been read."""
    connection = server.connect()
    connection.sendall(rng.randbytes(rng.randint(1, 20_000)))
    reset(connection)


def resetting_after_a_byte(server: Running, rng: random.Random) -> None:
    """A reset with a part of the reply read."""
    connection = server.connect(receive_buffer=4096)
    connection.sendall(rng.randbytes(rng.randint(100, 20_000)))
    receive(connection, 1)
    reset(connection)


def resetting_backed_up(server: Running, rng: random.Random) -> None:
    """A reset when the server holds replies that this client does not take."""
    connection = server.connect(receive_buffer=4096)
    fill(connection, rng.randbytes(64 * 1024))
    reset(connection)


TEMPERS: list[Callable[[Running, random.Random], None]] = [
    lock_step,
    streaming,
    dribbling,
    half_closing,
    resetting_at_once,
    resetting_after_a_byte,
    resetting_backed_up,
]


def fill(connection: socket.socket, block: bytes) -> int:
    """Send without ever reading, until nothing more is taken; how many bytes were.

    Bounded by far more than all buffers of the kernel together: a server that goes on
    reading takes it all.
    """
    most = fill_limit()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
    connection.setblocking(False)
    sent = 0
    writable = select.poll()
    writable.register(connection, select.POLLOUT)
    try:
        # A server that is merely late ends this early; that makes the test weaker, never wrong.
        while sent < most and writable.poll(500):
            with contextlib.suppress(BlockingIOError):
                offset = sent % len(block)
                sent += connection.send(block[offset:])
    finally:
        connection.settimeout(PATIENCE)
    return sent


def fill_limit() -> int:
    """More bytes than the kernel can hold between two loopback sockets, by a factor."""
    largest = 0
    for name in ("tcp_rmem", "tcp_wmem"):
        largest += int(Path(f"/proc/sys/net/ipv4/{name}").read_text().split()[2])
    return 2 * largest + 4 * 1024 * 1024
