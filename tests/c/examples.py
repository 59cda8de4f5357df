"""Runs the C examples: those that end by themselves, and the echo servers with real clients."""

from __future__ import annotations

import os
import pathlib
import random
import resource
import select
import signal
import socket
import struct
import subprocess
import threading
import time
from typing import Callable, List, Sequence, Tuple

CLIENTS = 24
LIMIT = 60.0
#: Few enough that the clients below run the server out of descriptors.
FEW_DESCRIPTORS = 24


class Failure(Exception):
    """What an example did wrong."""


def check(program: pathlib.Path, wrapper: List[str], env: dict) -> Tuple[int, int, str]:
    """Passed, failed, and what to print."""
    import drivers  # here, since it builds on what is below
    steps: List[Callable[[], None]]
    if program.name in drivers.DRIVERS:
        steps = drivers.steps(program, wrapper, env)
    elif "udp_echo" in program.name:
        import udp_clients
        steps = [
            lambda: udp_clients.serve_many(program, wrapper, env, signal.SIGTERM),
            lambda: udp_clients.serve_netcat(program, wrapper, env),
        ]
    elif "echo" in program.name:
        steps = [
            lambda: serve_many(program, wrapper, env, signal.SIGTERM),
            lambda: end_with_clients(program, wrapper, env, signal.SIGINT),
        ]
        if not wrapper:  # valgrind needs descriptors of its own
            steps.append(lambda: run_out_of_descriptors(program, env))
    else:
        steps = [lambda: run_to_end(program, wrapper, env)]
    steps += [lambda step=step: step(program, wrapper, env) for step in drivers.MORE.get(program.name, [])]
    passed, notes = 0, []
    for step in steps:
        try:
            attempt(step, env)
            passed += 1
        except (Failure, AssertionError, OSError, subprocess.SubprocessError) as error:
            notes.append(f"{program.name}: {error!r}")
    return passed, len(steps) - passed, "\n".join(notes)


def attempt(step: Callable[[], None], env: dict) -> None:
    """One step; again when valgrind itself failed: for some positions of the stack it cannot extend it for a signal.

    Where the stack begins depends on the size of the environment.
    """
    for padding in (500, 1000, 1500, 2000, 2500, 3000, 3500, 0):
        try:
            return step()
        except Failure as error:
            if "Can't extend stack" not in str(error) or not padding:
                raise
            print("valgrind could not deliver a signal, and ended the program: it is run again")
            env["PADDING"] = "x" * padding


def run_to_end(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    done = subprocess.run([*wrapper, str(program)], env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=LIMIT, check=False)
    if done.returncode != 0 or not done.stdout:
        raise Failure(f"exit {done.returncode}: {done.stdout.decode('utf-8', 'replace')}")


class Server:
    """A server on an ephemeral port, ended by a signal."""

    def __init__(self, program: pathlib.Path, wrapper: List[str], env: dict,
                 descriptors: int = 0, arguments: Sequence[str] = ("0",)) -> None:
        def limit() -> None:
            if descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
        self.process = subprocess.Popen([*wrapper, str(program), *arguments], env=env,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        preexec_fn=limit)
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode("utf-8", "replace")
        if not line.startswith("listening on 127.0.0.1:"):
            self.process.kill()
            raise Failure(f"it said: {line}")
        self.port = int(line.rsplit(":", 1)[1])

    def connect(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def cpu_seconds(self) -> float:
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def end(self, how: signal.Signals) -> str:
        """Ends it, and expects it to end well; what it has said."""
        self.process.send_signal(how)
        try:
            output, _ = self.process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failure(f"{how.name} did not end it") from None
        if self.process.returncode != 0:
            raise Failure(f"exit {self.process.returncode}: {output.decode('utf-8', 'replace')}")
        return output.decode("utf-8", "replace")


def echo_all(client: socket.socket, data: bytes, seed: int) -> None:
    """Sends in random pieces, half-closes, and expects every byte back before the end."""
    chance = random.Random(seed)
    received = bytearray()
    client.setblocking(False)
    sent, ended, deadline = 0, False, time.monotonic() + LIMIT
    if not data:
        client.shutdown(socket.SHUT_WR)
    while not ended:
        if time.monotonic() > deadline:
            raise Failure(f"client {seed}: {sent} sent, {len(received)} back, no end")
        readable, writable, _ = select.select([client], [client] if sent < len(data) else [], [], 1)
        if writable:
            piece = data[sent:sent + chance.randint(1, 70000)]
            sent += client.send(piece)
            if sent == len(data):
                client.shutdown(socket.SHUT_WR)
        if readable and chance.random() < 0.7:
            piece = client.recv(chance.randint(1, 70000))
            received += piece
            ended = not piece
    if bytes(received) != data:
        raise Failure(f"client {seed}: {len(received)} bytes back of {len(data)}, or changed")


def flood_without_reading(client: socket.socket, seed: int) -> None:
    """A client that does not read: the server must stop reading it; then everything comes back."""
    client.setblocking(False)
    data = random.Random(seed).randbytes(8_000_000) if hasattr(random.Random, "randbytes") \
        else os.urandom(8_000_000)
    sent = 0
    while sent < len(data):
        _, writable, _ = select.select([], [client], [], 0.5)
        if not writable:
            break  # the buffers on the way are full, and the server reads no more
        sent += client.send(data[sent:sent + 65536])
    received = bytearray()
    client.settimeout(LIMIT)
    if sent == len(data):
        client.shutdown(socket.SHUT_WR)
    while len(received) < sent:
        piece = client.recv(1 << 20)
        if not piece:
            break
        received += piece
    if bytes(received) != data[:sent]:
        raise Failure(f"flood: {len(received)} bytes back of {sent}")


def reset_in_the_middle(client: socket.socket) -> None:
    client.sendall(b"y" * 100_000)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def one_client(server: Server, seed: int, failures: List[str]) -> None:
    chance = random.Random(seed)
    try:
        with server.connect() as client:
            if seed % 8 == 7:
                reset_in_the_middle(client)
            elif seed % 8 == 5:
                flood_without_reading(client, seed)
            else:
                echo_all(client, chance.getrandbits(8 * 200_000).to_bytes(200_000, "big")
                         [:chance.choice([0, 1, 100, 16384, 16385, 200_000])], seed)
    except (OSError, Failure) as error:
        failures.append(f"client {seed}: {error!r}")


def settle(server: Server, descriptors: int) -> None:
    """Until the server has noticed that its clients are gone."""
    deadline = time.monotonic() + LIMIT
    while server.descriptors() > descriptors:
        if time.monotonic() > deadline:
            raise Failure(f"it holds {server.descriptors()} descriptors, {descriptors} before")
        time.sleep(0.01)


def serve_many(program: pathlib.Path, wrapper: List[str], env: dict, how: signal.Signals) -> None:
    server = Server(program, wrapper, env)
    failures: List[str] = []
    try:
        echo_all(server.connect(), b"first", 0)
        before = server.descriptors()
        threads = [threading.Thread(target=one_client, args=(server, seed, failures), daemon=True)
                   for seed in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * LIMIT)
        settle(server, before)
        with server.connect() as client:
            echo_all(client, b"still there", CLIENTS)
    finally:
        server.end(how)
    if failures:
        raise Failure("; ".join(failures))


def end_with_clients(program: pathlib.Path, wrapper: List[str], env: dict,
                     how: signal.Signals) -> None:
    """A signal while connections are open, one of them with a reply pending."""
    server = Server(program, wrapper, env)
    clients = [server.connect() for _ in range(5)]
    try:
        clients[0].sendall(b"a" * 100_000)
        clients[1].sendall(b"hello")
        if clients[1].recv(5) != b"hello":
            raise Failure("no echo")
    finally:
        server.end(how)
        for client in clients:
            client.close()


def run_out_of_descriptors(program: pathlib.Path, env: dict) -> None:
    """More clients than descriptors: the server waits for room without burning the processor."""
    server = Server(program, [], env, FEW_DESCRIPTORS)
    clients: List[socket.socket] = []
    try:
        clients = [server.connect() for _ in range(FEW_DESCRIPTORS + 10)]
        clients[0].sendall(b"x")
        if clients[0].recv(1) != b"x":
            raise Failure("no echo")
        wall, cpu = time.monotonic(), server.cpu_seconds()
        time.sleep(0.5)  # given time to spin
        share = (server.cpu_seconds() - cpu) / (time.monotonic() - wall)
        if share > 0.5:
            raise Failure(f"it used {share:.0%} of a processor while out of descriptors")
        for client in clients[:-1]:
            client.close()
        clients[-1].sendall(b"late")
        clients[-1].settimeout(LIMIT)
        if clients[-1].recv(4) != b"late":
            raise Failure("the last one in the queue was not served")
    finally:
        server.end(signal.SIGTERM)
        for client in clients:
            client.close()


class Watched:
    """An example whose output is read while it runs, and which a signal ends."""

    def __init__(self, command: List[str], env: dict) -> None:
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.output = b""

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:  # something has failed
            self.process.kill()
            self.process.communicate()

    def until(self, text: bytes) -> bytes:
        """Reads until that has been said; what came before."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + LIMIT
        while text not in self.output:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            piece = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not piece:
                self.process.kill()
                self.process.wait()
                raise Failure(f"it did not say {text[:1000]!r}, but {self.output[:1000]!r}")
            self.output += piece
        before, _, self.output = self.output.partition(text)
        return before

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        rest, _ = self.process.communicate(timeout=LIMIT)
        self.output += rest
        if self.process.returncode != 0:
            raise Failure(f"exit {self.process.returncode}: {self.output!r}")
