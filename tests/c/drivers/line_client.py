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


@contextlib.contextmanager
def running(command: List[str], env: dict, **streams: int) -> Iterator[subprocess.Popen]:
    """A client that must end by itself and well; after a failure it is killed."""
    process = subprocess.Popen(command, env=env, **streams)
    try:
        yield process
        process.communicate(timeout=LIMIT)
    finally:
        process.kill()
        process.communicate()
    expect(process.returncode == 0, f"exit {process.returncode}")


def read_until(terminal: int, text: bytes) -> None:
    """Reads what is shown on a terminal until that is there."""
    shown = b""
    while text not in shown:
        expect(select.select([terminal], [], [], LIMIT)[0], f"{text!r} is not in {shown!r}")
        shown += os.read(terminal, 4096)


def on_a_terminal(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Lines as they are typed, the answers between them, Ctrl-D at the end; the terminal blocks as before."""
    with answering(shout) as port:
        ours, theirs = pty.openpty()
        with running([*wrapper, str(program), "127.0.0.1", str(port)], env, stdin=theirs, stdout=theirs, stderr=theirs):
            for line in (b"hello", b"again"):
                os.write(ours, line + b"\n")
                read_until(ours, line.upper() + b"\r\n")
            os.write(ours, b"\x04")
        expect(not fcntl.fcntl(theirs, fcntl.F_GETFL) & os.O_NONBLOCK, "the terminal does not block any more")
        os.close(ours)
        os.close(theirs)


def half_on_a_terminal(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Input from a terminal and output to a pipe, and the other way round: it ends when the server has."""
    command = [*wrapper, str(program), "127.0.0.1"]
    ours, theirs = pty.openpty()
    with answering(shout) as port, running([*command, str(port)], env, stdin=theirs, stdout=subprocess.PIPE) as process:
        os.write(ours, b"hello\n\x04")
        said, _ = process.communicate(timeout=LIMIT)
        expect(said == b"HELLO\n", said)
    with answering(shout) as port, running([*command, str(port)], env, stdin=subprocess.PIPE, stdout=theirs) as process:
        os.write(ours, b"for the next program\n")
        process.communicate(b"hello\n", timeout=LIMIT)
    expect(select.select([theirs], [], [], 0)[0] and os.read(theirs, 100) == b"for the next program\n",
           "it took what it was not to read")
    read_until(ours, b"HELLO\r\n")
    os.close(ours)
    os.close(theirs)


def fails(command: List[str], env: dict, word: bytes, output: int = subprocess.DEVNULL) -> None:
    done = subprocess.run(command, input=b"x\n" * 100, stdout=output, stderr=subprocess.PIPE, env=env,
                          timeout=LIMIT, check=False)
    expect(done.returncode == 1 and word in done.stderr, f"exit {done.returncode}: {done.stderr!r}")


def broken_servers(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    fails([*wrapper, str(program), "127.0.0.1", str(port)], env, b"the connection: Connection refused")

    def answer(connection: socket.socket) -> None:
        connection.recv(1)
        reset(connection)

    with answering(answer) as port:
        fails([*wrapper, str(program), "127.0.0.1", str(port)], env, b"the connection: Connection reset")


def broken_outputs(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Outputs that take nothing, and servers that end before or after that is noticed. (mutation: whoever is told first
    is named)"""
    def ends(connection: socket.socket) -> None:
        connection.sendall(receive_all(connection))

    command = [*wrapper, str(program), "127.0.0.1"]
    for answer in (shout, ends):
        with answering(answer) as port, open("/dev/full", "wb") as full:
            fails([*command, str(port)], env, b"standard output: No space left", full.fileno())
        with answering(answer) as port:
            reads, writes = os.pipe()
            os.close(reads)
            fails([*command, str(port)], env, b"standard output: Broken pipe", writes)
            os.close(writes)


DRIVERS = [on_pipes, on_a_file, server_ends_first, on_a_terminal, half_on_a_terminal, broken_servers, broken_outputs]
