"""Every byte that comes back equals what was sent, whatever the peers do meanwhile.

    python3 -m product.integrity [SECONDS CONNECTIONS [SEED]]    (in tests/)

The suite runs 8 seconds with 300 connections; with TIDEGATE_TEST_LOAD=full, and by hand, 60 seconds with 2,000.

Connections send pieces of 1 byte to 1 MiB, pipelined, rest at random, read at random, end their direction and read on,
or reset in the middle. What comes back is hashed against what was sent. At last the server must have no handle, buffer
or descriptor left.
"""

import errno
import hashlib
import os
import pathlib
import random
import resource
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from . import c_program

SHORT, FULL = (8, 300), (60, 2000)
# What one connection may send in its life: a few large pieces, or many small ones.
MOST_BYTES = 3 << 20
HARD = struct.pack("ii", 1, 0)


class Peer:
    """One client: what it still has to send, and what it has seen."""

    def __init__(self, address, chance, random_bytes):
        self.chance = chance
        self.bytes = random_bytes
        self.sent, self.received = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)
        self.sent_count = self.received_count = 0
        self.ended = self.half_closed = False
        self.total = int(2 ** chance.uniform(0, 21.5))
        self.resets_at = chance.randrange(self.total + 1) if chance.random() < 0.15 else None
        self.rests_until = 0.0
        self.pending = memoryview(b"")
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.connecting = self.socket.connect_ex(address) == errno.EINPROGRESS

    def next_piece(self):
        size = min(int(2 ** self.chance.uniform(0, 20)), self.total - self.sent_count)
        start = self.chance.randrange(len(self.bytes) - size + 1)
        return memoryview(self.bytes)[start : start + size]

    def write(self):
        """Sends a piece, or what is left of it; then perhaps rests."""
        if not self.pending and self.sent_count < self.total:
            self.pending = self.next_piece()
        if self.pending:
            count = self.socket.send(self.pending)
            self.sent.update(self.pending[:count])
            self.sent_count += count
            self.pending = self.pending[count:]
        elif not self.half_closed:
            self.socket.shutdown(socket.SHUT_WR)
            self.half_closed = True
        if self.chance.random() < 0.03:
            self.rests_until = time.monotonic() + self.chance.uniform(0, 0.2)

    def read(self):
        piece = self.socket.recv(int(2 ** self.chance.uniform(0, 18)))
        if not piece:
            self.ended = True
        self.received.update(piece)
        self.received_count += len(piece)

    def wants(self, now):
        """What to wait for; 0 while it rests."""
        if self.rests_until > now:
            return 0
        reads = selectors.EVENT_READ
        return reads if self.half_closed else reads | selectors.EVENT_WRITE

    def resets(self):
        return self.resets_at is not None and self.sent_count >= self.resets_at

    def is_whole(self):
        return self.received_count == self.total and self.sent.digest() == self.received.digest()


class Crowd:
    """As many peers as there shall be at a time, until the time is over and all have ended."""

    def __init__(self, address, connections, seconds, seed):
        self.address, self.connections = address, connections
        self.chance = random.Random(seed)
        self.bytes = self.chance.randbytes(MOST_BYTES)
        self.ends_at = time.monotonic() + seconds
        self.selector = selectors.DefaultSelector()
        self.resting = []
        self.open = self.whole = self.was_reset = self.moved = 0
        self.broken = []

    def add(self):
        peer = Peer(self.address, random.Random(self.chance.random()), self.bytes)
        self.open += 1
        self.selector.register(peer.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, peer)

    def remove(self, peer, registered=True):
        if registered:
            self.selector.unregister(peer.socket)
        peer.socket.close()
        self.open -= 1
        self.moved += peer.received_count

    def step(self, key, events):
        peer = key.data
        try:
            if events & selectors.EVENT_READ:
                peer.read()
            if events & selectors.EVENT_WRITE and not peer.ended:
                peer.write()
        except BlockingIOError:
            pass
        except OSError as error:
            self.broken.append(f"{error} after {peer.sent_count} of {peer.total} bytes sent")
            return self.remove(peer)
        if peer.resets():
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, HARD)
            self.was_reset += 1
            return self.remove(peer)
        if peer.ended:
            if peer.is_whole():
                self.whole += 1
            else:
                self.broken.append(f"{peer.received_count} of {peer.total} bytes came back, or others")
            return self.remove(peer)
        return self.rewait(key, peer)

    def rewait(self, key, peer):
        wanted = peer.wants(time.monotonic())
        if wanted == 0:
            self.selector.unregister(peer.socket)
            self.resting.append(peer)
        elif wanted != key.events:
            self.selector.modify(peer.socket, wanted, peer)

    def wake(self):
        now = time.monotonic()
        for peer in [peer for peer in self.resting if peer.rests_until <= now]:
            self.resting.remove(peer)
            self.selector.register(peer.socket, peer.wants(now), peer)

    def run(self, patience=60):
        """Until all have ended; patience seconds after the end of new ones those that are left are broken."""
        while True:
            now = time.monotonic()
            while now < self.ends_at and self.open < self.connections:
                self.add()
            if self.open == 0:
                return
            if now > self.ends_at + patience:
                self.broken.append(f"{self.open} connections hang")
                return
            for key, events in self.selector.select(0.02):
                self.step(key, events)
            self.wake()


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def settle(pid, count, seconds=10):
    """The server closes what has ended in turns of its own."""
    ends_at = time.monotonic() + seconds
    while descriptors(pid) > count and time.monotonic() < ends_at:
        time.sleep(0.01)
    return descriptors(pid)


def exchange(suite, program, seconds, connections, seed):
    server = subprocess.Popen([str(program)], stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline().split()[1])
        before = descriptors(server.pid)
        crowd = Crowd(("127.0.0.1", port), connections, seconds, seed)
        crowd.run()
        # The pipe of relays, and what is kept for reuse, may stay.
        left = settle(server.pid, before + 2)
        server.send_signal(signal.SIGTERM)
        output, _ = server.communicate(timeout=60)
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()
    said = {name: int(value) for name, value in (line.split() for line in output.splitlines())}
    suite.note(f"seed {seed}: {crowd.whole} whole, {crowd.was_reset} reset by us, {crowd.moved >> 20} MiB back, {said}")
    suite.check("every-byte-came-back", not crowd.broken, "\n".join(crowd.broken[:20]))
    suite.check("some-came-back", crowd.whole > connections / 2, str(crowd.whole))
    suite.check("the-server-ended-well", server.returncode == 0, str(server.returncode))
    suite.check("no-descriptor-left", left <= before + 2, f"{left} after, {before} before")
    suite.check("no-handle-left", said.get("handles-left") == 0, str(said))
    suite.check("every-connection-ended", said.get("opened") == said.get("closed"), str(said))
    suite.check("every-buffer-came-back", said.get("lent") == said.get("returned") != 0, str(said))
    suite.check("some-were-relayed", said.get("relays", 0) > 0, str(said))


def run(suite, seconds=None, connections=None, seed=None):
    if seconds is None:
        seconds, connections = FULL if os.environ.get("TIDEGATE_TEST_LOAD") == "full" else SHORT
    seed = random.randrange(1 << 32) if seed is None else seed
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    # One descriptor a connection, here and in the server.
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        with tempfile.TemporaryDirectory() as directory:
            program = c_program.build(suite, pathlib.Path(directory), "integrity")
            if program is not None:
                exchange(suite, program, seconds, connections, seed)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (usual, most))


if __name__ == "__main__":
    from .harness import Suite

    NUMBERS = [int(number) for number in sys.argv[1:]]
    BY_HAND = Suite("integrity")
    run(BY_HAND, *(NUMBERS or FULL))
    sys.exit(1 if BY_HAND.failures else 0)
