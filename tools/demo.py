#!/usr/bin/env python3
"""Start the sample servers on free ports and talk to each as several clients at once.

`make demo` builds what is needed and runs this. Shown for each server: the document and the port that
it comes from, what the clients sent, and what came back. Exits with 1 if anything is not as it should.
"""

import argparse
import ctypes
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
CLIENTS = 5
MESSAGES = 3
PATIENCE = 10  # seconds for a server to start, to answer one message, or to end
LISTENING = re.compile(r"listening on ([\d.]+):(\d+)")

FIRST = 'first document ("I/O multiplexing")'
SECOND = 'second document ("I/O models and multiplexing, day 44")'


class Sample:
    """A server as its document describes it: where it comes from and what it answers."""

    def __init__(self, title, document, port, program, answer, greeting=b""):
        self.title = title
        self.document = document
        self.port = port
        self.program = program
        self.answer = answer
        self.greeting = greeting


def echo(data):
    return data


SAMPLES = [
    Sample("echo server in C, callbacks on the loop", FIRST, 10000, "05_callback_echo", echo),
    Sample("upper-case server in C, on a listener and its connections", SECOND, 8081, "16_upper_echo", bytes.upper),
    Sample("ok and response in C", FIRST, 9000, "17_ok_response", lambda data: data + b"response", greeting=b"ok"),
    Sample("chat server in C", SECOND, 8088, "18_chat_sb", lambda data: data.upper() + b"_SB"),
    Sample("echo server on select, with message queues", FIRST, 10000, "select_echo_server.py", echo),
    Sample("select server, reads and writes separated", FIRST, 9000, "select_read_write_server.py",
           lambda data: data + b"response", greeting=b"ok"),
    Sample("non-blocking polling server, upper-case", SECOND, 8080, "nonblocking_polling_server.py", bytes.upper),
    Sample("select server, upper-case", SECOND, 8081, "select_upper_server.py", bytes.upper),
    Sample("selectors server with registered callbacks", SECOND, 8088, "selectors_chat_server.py",
           lambda data: data.upper() + b"_SB"),
]


class Wrong(Exception):
    """Something was not as it should; the text is for the reader of the demo."""


class Running:
    """A sample that was started, until stop()."""

    def __init__(self, sample, command, env):
        self.sample = sample
        self.errors = tempfile.TemporaryFile(mode="w+")
        self.address = None
        self.started = threading.Event()
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=self.errors, text=True, env=env, cwd=TOP)
        except OSError as error:
            raise SystemExit(f"demo: cannot start {command[0]}: {error.strerror}") from None
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        """Takes the address from the line that says it, and drains the rest."""
        for line in self.process.stdout:
            found = LISTENING.search(line)
            if found and not self.address:
                self.address = (found.group(1), int(found.group(2)))
                self.started.set()
        self.started.set()

    def wait_until_listening(self):
        self.started.wait(PATIENCE)
        if not self.address:
            raise Wrong(f"it did not say where it listens{self.said()}")

    def stop(self):
        """Ends it as a user would, by SIGTERM, and expects it to end well."""
        self.process.terminate()
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Wrong("it did not end on SIGTERM") from None
        if status != 0:
            raise Wrong(f"it ended with status {status}{self.said()}")

    def said(self):
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines()
        return ": " + " | ".join(lines[-3:]) if lines else ""


def receive(connection, count):
    """Exactly count bytes; a stream may bring them in any pieces."""
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            break
        data += piece
    return data


class Client(threading.Thread):
    """One client: connects, waits for the others, then sends its messages and notes the answers."""

    def __init__(self, number, sample, address, together):
        super().__init__(daemon=True)
        self.number = number
        self.sample = sample
        self.address = address
        self.together = together
        self.talk = []  # (sent, received, expected); b"" was sent for a greeting
        self.problem = None

    def run(self):
        try:
            with socket.create_connection(self.address, PATIENCE) as connection:
                self.converse(connection)
        except (OSError, threading.BrokenBarrierError) as error:
            self.problem = f"client {self.number}: {error or type(error).__name__}"
            self.together.abort()

    def converse(self, connection):
        if self.sample.greeting:
            self.note(connection, b"", self.sample.greeting)
        self.together.wait(PATIENCE)
        for turn in range(MESSAGES):
            sent = f"hello {turn + 1} from client {self.number}".encode()
            connection.sendall(sent)
            self.note(connection, sent, self.sample.answer(sent))
        connection.shutdown(socket.SHUT_WR)
        extra = connection.recv(64)
        if extra:
            self.problem = f"client {self.number} got {quoted(extra)} that nothing asked for"

    def note(self, connection, sent, expected):
        self.talk.append((sent, receive(connection, len(expected)), expected))


def converse(running):
    """Talks to a server as several clients that are all connected before the first sends."""
    together = threading.Barrier(CLIENTS)
    clients = [Client(number + 1, running.sample, running.address, together) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(3 * PATIENCE)
    return clients


def quoted(data):
    return '"' + data.decode(errors="replace") + '"'


def show(clients):
    """One line a client for its first message; the rest is counted."""
    for client in clients:
        parts = []
        for sent, received, _ in client.talk[:2 if client.sample.greeting else 1]:
            parts.append(f"sent {quoted(sent)}, got {quoted(received)}" if sent else f"greeted {quoted(received)}")
        print(f"     client {client.number}: {'; '.join(parts) or 'nothing came back'}")


def judge(clients):
    """Raises Wrong for the first answer that is not the expected one; returns how many were right."""
    right = 0
    for client in clients:
        if client.problem:
            raise Wrong(client.problem)
        for sent, received, expected in client.talk:
            if received != expected:
                raise Wrong(f"client {client.number} sent {quoted(sent)} and got {quoted(received)}, "
                            f"not {quoted(expected)}")
            right += bool(sent)
        if len(client.talk) != MESSAGES + bool(client.sample.greeting):
            raise Wrong(f"client {client.number} was not answered in time")
    return right


def present(number, running):
    """Shows one server at work; returns how many of its answers were right."""
    sample = running.sample
    place = "c_examples/" if not sample.program.endswith(".py") else "python/examples/"
    print(f"\n{number}. {sample.title}")
    print(f"     {place}{sample.program}{'' if sample.program.endswith('.py') else '.c'}")
    print(f"     from the {sample.document}, port {sample.port}")
    running.wait_until_listening()
    host, port = running.address
    print(f"     here on {host}:{port}, {CLIENTS} clients at once, {MESSAGES} messages each")
    clients = converse(running)
    show(clients)
    right = judge(clients)
    running.stop()
    print(f"     right: all {right} messages were answered as the document says", flush=True)
    return right


def describe_library(path):
    """The first line: which library this is, as it says of itself."""
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise SystemExit(f"demo: cannot load the library: {error}") from None
    library.tg_version.restype = library.tg_backend_name.restype = ctypes.c_char_p
    version, backend = library.tg_version().decode(), library.tg_backend_name().decode()
    print(f"Tidegate {version}, waiting through {backend}, {os.path.relpath(path, TOP)}")
    print("The servers are the samples of two documents on input and output, here on free ports of this machine.")


def start_all(options):
    env = dict(os.environ, PYTHONPATH=str(TOP / "python"), TIDEGATE_LIBRARY=options.library)
    commands = []
    for sample in SAMPLES:
        if sample.program.endswith(".py"):
            commands.append([sys.executable, str(TOP / "python" / "examples" / sample.program), "--port", "0"])
        else:
            commands.append([os.path.join(options.c_programs, sample.program), "0"])
    return [Running(sample, command, env) for sample, command in zip(SAMPLES, commands)]


def serve_and_show(servers):
    """Shows one server after the other; returns the right answers and the programs that were wrong."""
    right, wrong = 0, []
    try:
        for number, running in enumerate(servers, 1):
            try:
                right += present(number, running)
            except Wrong as problem:
                wrong.append(running.sample.program)
                print(f"     WRONG: {problem}", flush=True)
    finally:
        for running in servers:
            if running.process.poll() is None:
                running.process.kill()
                running.process.wait()
    return right, wrong


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--c-programs", required=True, help="where the built programs of c_examples/ are")
    parser.add_argument("--library", default=os.environ.get("TIDEGATE_LIBRARY") or TOP / "target/dist/libtidegate.so",
                        help="the shared library (default: TIDEGATE_LIBRARY, then target/dist)")
    options = parser.parse_args()
    options.library = os.path.abspath(options.library)
    options.c_programs = os.path.abspath(options.c_programs)
    return options


def main():
    if sys.version_info < (3, 9):  # noqa: UP036 - it runs before anything checked the interpreter
        sys.exit(f"demo: Python 3.9 or newer is needed, this is {sys.version.split()[0]}")
    options = parse()
    describe_library(options.library)
    begun = time.monotonic()
    servers = start_all(options)
    right, wrong = serve_and_show(servers)
    seconds = time.monotonic() - begun
    if wrong:
        print(f"\nWRONG: {len(wrong)} of {len(servers)} servers did not do what they should: {', '.join(wrong)}")
        return 1
    print(f"\nOK: {len(servers)} servers answered {len(servers) * CLIENTS} clients and {right} messages as they should,"
          f" in {seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
