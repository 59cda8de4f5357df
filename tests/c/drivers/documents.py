"""The documents' servers in C (16 to 18): driven by the clients of the Python samples, whose servers say the same.

python/tests/clients.py has clients of seven tempers: in lock-step, streaming, dribbling, half-closing, and three that
reset. python/examples/ has the documents' own clients.
"""

from __future__ import annotations

import importlib.util
import pathlib
import random
import socket
import sys
from typing import List

from examples import LIMIT, Server

from .common import ROOT, all_at_once, descriptors_settle, expect, have, receive, serving, talk

CLIENTS = 28


def _load() -> object:
    """python/tests/clients.py, under a name that says whose clients they are."""
    path = ROOT / "python" / "tests" / "clients.py"
    spec = importlib.util.spec_from_file_location("sample_clients", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["sample_clients"] = module
    spec.loader.exec_module(module)
    return module


samples = _load()


class Sample(samples.Sample):
    """What a server answers; it reads up to 64 KiB at once, and capitals are those of ASCII."""

    def check_stream(self, sent: bytes, received: bytes) -> None:
        if not self.suffix:
            assert received == self.reply(sent), samples.differing(received, self.reply(sent))
            return
        parts = received.split(self.suffix)
        assert parts.pop() == b"", "the reply does not end with the suffix"
        assert not sent or parts, "no suffix at all"
        assert all(1 <= len(part) <= 65536 for part in parts), [len(part) for part in parts]
        expected = sent.upper() if self.upper else sent
        assert b"".join(parts) == expected, samples.differing(b"".join(parts), expected)


class Connects:
    """What those clients need of a server: what it says, and connections."""

    def __init__(self, server: Server, sample: Sample) -> None:
        self.address = ("127.0.0.1", server.port)
        self.sample = sample

    connect = samples.Running.connect


UPPER_SAMPLE = Sample("16_upper_echo.c", "127.0.0.1", 8081, upper=True)
OK_SAMPLE = Sample("17_ok_response.c", "127.0.0.1", 9000, greeting=b"ok", suffix=b"response")
SB_SAMPLE = Sample("18_chat_sb.c", "127.0.0.1", 8088, upper=True, suffix=b"_SB")


def tempers(sample: Sample, program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Clients of all tempers at once; afterwards nothing of them is left, and the server still answers."""
    with serving(program, wrapper, env) as server:
        connects = Connects(server, sample)
        samples.serve_one(connects)
        before = server.descriptors()

        def one(number: int) -> None:
            samples.TEMPERS[number % len(samples.TEMPERS)](connects, random.Random(number))

        all_at_once(len(samples.TEMPERS) if wrapper else CLIENTS, one)
        descriptors_settle(server, before)
        samples.serve_one(connects)


def open_at_the_end(sample: Sample, program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """A signal while connections are open, one with replies that it does not take."""
    with serving(program, wrapper, env, how=2) as server:
        connects = Connects(server, sample)
        clients = [connects.connect() for _ in range(5)]
        samples.fill(clients[0], b"x" * 65536)
        samples.greet(connects, clients[1])
        samples.ask(connects, clients[1], b"hello")
    for client in clients:
        client.close()


def documents_client(sample: Sample, program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """The document's own client, in Python, and netcat."""
    env = {**env, "PYTHONPATH": str(ROOT / "python"), "PYTHONIOENCODING": "utf-8"}
    with serving(program, wrapper, env) as server:
        script = "read_write_client.py" if sample.greeting else "upper_client.py"
        command = [sys.executable, ROOT / "python" / "examples" / script, "--port", server.port]
        if sample.suffix and not sample.greeting:
            command += ["--suffix", sample.suffix.decode()]
        said = talk(command, b"hello\nsecond line\n", env)
        for line in (b"hello", b"second line"):
            expect(sample.reply(line) in said, said)
        expect(sample.greeting in said, said)
        if have("nc"):
            said = talk(["nc", "-N", "127.0.0.1", server.port], b"by netcat", env)
            expect(said == sample.greeting + sample.reply(b"by netcat"), said)


def _drivers(sample: Sample) -> list:
    def named(check):
        def driver(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
            check(sample, program, wrapper, env)
        return driver
    return [named(check) for check in (tempers, open_at_the_end, documents_client)]


UPPER = _drivers(UPPER_SAMPLE)
OK_RESPONSE = _drivers(OK_SAMPLE)
CHAT_SB = _drivers(SB_SAMPLE)


def few_descriptors(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """More clients than descriptors: the late ones are served when the others have gone."""
    if wrapper:
        return  # valgrind needs descriptors of its own
    server = Server(program, wrapper, env, 24)
    clients: List[socket.socket] = []
    try:
        clients = [socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT) for _ in range(34)]
        clients[0].sendall(b"x")
        expect(receive(clients[0], 1) == b"X", "no echo")
        for client in clients[:-1]:
            client.close()
        clients[-1].sendall(b"late")
        expect(receive(clients[-1], 4) == b"LATE", "the last one in the queue was not served")
    finally:
        server.end(15)
        for client in clients:
            client.close()


UPPER.append(few_descriptors)
