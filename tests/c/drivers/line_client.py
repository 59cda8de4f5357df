"""The interactive client: on pipes, on a file, on a terminal, and on servers that are not there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import pty
import select
import socket
import subprocess
import tempfile
import threading
from typing import Iterator, List

from examples import LIMIT

from .common import expect, receive_all, reset, talk


@contextlib.contextmanager
def answering(answer) -> Iterator[int]:
    """A server for one connection, in a thread: answer(connection). Its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve() -> None:
            listener.settimeout(LIMIT)
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                connection.settimeout(LIMIT)
                answer(connection)
                connection.close()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(LIMIT)


def shout(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data.upper())


def on_pipes(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    said = b"".join(b"line %d\n" % number for number in range(100_000))
    with answering(shout) as port:
        expect(talk([*wrapper, program, "127.0.0.1", port], said, env) == said.upper(), "changed on its way")


def on_a_file(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """A regular file as input and another one as output."""
    said = os.urandom(300_000)
    with tempfile.TemporaryDirectory() as place, answering(lambda it: it.sendall(receive_all(it))) as port:
        source, target = pathlib.Path(place, "in"), pathlib.Path(place, "out")
        source.write_bytes(said)
        with source.open("rb") as reads, target.open("wb") as writes:
            subprocess.run([*wrapper, str(program), "127.0.0.1", str(port)], stdin=reads, stdout=writes, env=env,
                           timeout=LIMIT, check=True)
        expect(target.read_bytes() == said, "changed on its way")


def server_ends_first(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Everything that the server said is there, and ours still goes to it until we end."""
    heard: List[bytes] = []

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"all that I have to say")
        connection.shutdown(socket.SHUT_WR)
        heard.append(receive_all(connection))

    with answering(answer) as port:
        expect(talk([*wrapper, program, "127.0.0.1", port], b"and I", env) == b"all that I have to say", "cut off")
    expect(heard == [b"and I"], heard)


def on_a_terminal(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Lines as they are typed, the answers between them, Ctrl-D at the end; the terminal blocks as before."""
    with answering(shout) as port:
        ours, theirs = pty.openpty()
        with subprocess.Popen([*wrapper, str(program), "127.0.0.1", str(port)], stdin=theirs, stdout=theirs,
                              stderr=theirs, env=env) as process:
            shown = b""
            for line in (b"hello", b"again"):
                os.write(ours, line + b"\n")
                while line.upper() + b"\r\n" not in shown:
                    expect(select.select([ours], [], [], LIMIT)[0], f"no answer: {shown!r}")
                    shown += os.read(ours, 4096)
            os.write(ours, b"\x04")
            expect(process.wait(LIMIT) == 0, f"exit {process.returncode}: {shown!r}")
        expect(not fcntl.fcntl(theirs, fcntl.F_GETFL) & os.O_NONBLOCK, "the terminal does not block any more")
        os.close(ours)
        os.close(theirs)


def fails(command: List[str], env: dict, word: bytes) -> None:
    done = subprocess.run(command, input=b"x\n" * 100, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env,
                          timeout=LIMIT, check=False)
    expect(done.returncode == 1 and word in done.stdout, f"exit {done.returncode}: {done.stdout!r}")


def broken_servers(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    fails([*wrapper, str(program), "127.0.0.1", str(port)], env, b"refused")

    def answer(connection: socket.socket) -> None:
        connection.recv(1)
        reset(connection)

    with answering(answer) as port:
        fails([*wrapper, str(program), "127.0.0.1", str(port)], env, b"eset")


DRIVERS = [on_pipes, on_a_file, server_ends_first, on_a_terminal, broken_servers]
