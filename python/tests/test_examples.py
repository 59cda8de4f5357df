"""The documents' samples (python/examples/), driven as their users would, and worse.

A failing run is repeated with its seed: TIDEGATE_SEED=N pytest python/tests/test_examples.py
Each docstring names changes of the samples under which its test was seen to fail.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import clients
import pytest
from clients import PATIENCE, QUEUED_AT_MOST, Running, Sample

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc and uses POSIX signals")

#: Seconds for one test: below the limit that ends the whole run, above the bounds inside a test.
TIME_LIMIT = 45

#: Clients at once in the crowd; every temper comes up at least three times.
CROWD = 28

ECHO = Sample("select_echo_server.py", "localhost", 10000)
READ_WRITE = Sample("select_read_write_server.py", "127.0.0.1", 9000, greeting=b"ok", suffix=b"response")
POLLING = Sample("nonblocking_polling_server.py", "127.0.0.1", 8080, upper=True)
UPPER = Sample("select_upper_server.py", "127.0.0.1", 8081, upper=True)
CHAT = Sample("selectors_chat_server.py", "127.0.0.1", 8088, upper=True, suffix=b"_SB")
SAMPLES = [ECHO, READ_WRITE, POLLING, UPPER, CHAT]

every_server = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.script[:-3])


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    """End a test that hangs."""

    def expired(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"the test took more than {TIME_LIMIT} s")

    previous = signal.signal(signal.SIGALRM, expired)
    signal.alarm(TIME_LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


@pytest.fixture
def rng() -> random.Random:
    """Seeded randomness; the seed is printed, and can be given."""
    seed = int(os.environ.get("TIDEGATE_SEED") or random.SystemRandom().randrange(2**32))
    print(f"TIDEGATE_SEED={seed}")
    return random.Random(seed)


def run_crowd(server: Running, rng: random.Random) -> None:
    """CROWD clients at once, in random order; the first failure of any of them."""
    tempers = [clients.TEMPERS[i % len(clients.TEMPERS)] for i in range(CROWD)]
    rng.shuffle(tempers)
    start = threading.Barrier(CROWD)

    def one(temper: Callable[[Running, random.Random], None], seed: int) -> None:
        start.wait(PATIENCE)
        temper(server, random.Random(seed))

    with ThreadPoolExecutor(CROWD) as pool:
        running = [(pool.submit(one, temper, rng.randrange(2**32)), temper) for temper in tempers]
        for future, temper in running:
            error = future.exception()
            if error is not None:
                raise AssertionError(f"{temper.__name__}: {error!r}") from error


@every_server
def test_crowd(sample: Sample, rng: random.Random) -> None:
    """Every byte of every reply; then nothing is left. Fails if drop() forgets a
    table or to close, or if the oldest message is not answered first."""
    with Running(sample) as server:
        baseline = server.baseline()
        run_crowd(server, rng)
        server.check_clean(baseline)


@every_server
def test_half_close_gets_every_reply(sample: Sample, rng: random.Random) -> None:
    """Fails if messages are answered out of order, or (echo) if the end of input closes at once."""
    with Running(sample) as server:
        baseline = server.baseline()
        for _ in range(5):
            clients.half_closing(server, rng)
        server.check_clean(baseline)


@every_server
def test_half_close_without_a_request(sample: Sample) -> None:
    """Fails if only clients with replies due are closed at their end of input."""
    with Running(sample) as server:
        baseline = server.baseline()
        with server.connect() as connection:
            connection.shutdown(socket.SHUT_WR)
            clients.check_all(server, b"", clients.receive_to_end(connection))
        server.check_clean(baseline)


@every_server
def test_reset_with_replies_pending(sample: Sample, rng: random.Random) -> None:
    """Fails if an error of recv() or send() ends the server, or leaves the client in a table."""
    with Running(sample) as server, server.connect() as bystander:
        clients.greet(server, bystander)
        for temper in [clients.resetting_at_once, clients.resetting_after_a_byte, clients.resetting_backed_up]:
            for _ in range(3):
                temper(server, rng)
                clients.ask(server, bystander, b"still here?")
        server.until(lambda: server.state() == (1, 0), lambda: f"left over: {server.state()}")


@every_server
def test_slow_reader_is_held_back(sample: Sample, rng: random.Random) -> None:
    """Fails if there is no bound on unsent replies, if sending blocks, or if reading
    does not resume."""
    block = sample.payload(rng, 256 * 1024)
    with Running(sample) as server, server.connect() as bystander:
        clients.greet(server, bystander)
        with server.connect(receive_buffer=4096) as slow:
            sent = clients.fill(slow, block)
            assert sent < clients.fill_limit(), "the server went on reading"
            clients.ask(server, bystander, b"not waiting for the other one")
            known, queued = server.state()
            print(f"{sent} bytes sent, {queued} queued")
            assert known == 2
            assert queued <= QUEUED_AT_MOST
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024 * 1024)
            slow.shutdown(socket.SHUT_WR)
            received = clients.receive_to_end(slow)
        repeated = (block * (sent // len(block) + 1))[:sent]
        clients.check_all(server, repeated, received)
        clients.ask(server, bystander, b"and afterwards")


@every_server
def test_short_sends(sample: Sample, rng: random.Random) -> None:
    """Fails if short sends are ignored, if an unready recv() or send() counts as an error, or
    if a client is closed at its end of input with replies due."""
    with Running(sample, network=("short", rng.randrange(2**32))) as server:
        baseline = server.baseline()
        for temper in [clients.lock_step, clients.half_closing, clients.streaming, clients.half_closing]:
            temper(server, rng)
        server.check_clean(baseline)


@every_server
def test_reset_of_a_client_that_is_writable(sample: Sample) -> None:
    """Readable (by the reset) and writable, with a reply due, in one round. Fails if a client
    dropped when it was read is then written to."""
    with Running(sample, network=("stuck", 0)) as server:
        for _ in range(3):
            connection = server.connect()
            connection.sendall(b"a reply is due")
            server.until(lambda: server.state()[1] >= len(b"a reply is due"), lambda: f"not received: {server.state()}")
            clients.reset(connection)
            server.until_empty()


@every_server
def test_divided_character(sample: Sample) -> None:
    """Fails if the server decodes what one recv() returned."""
    with Running(sample) as server, server.connect() as connection:
        clients.greet(server, connection)
        for message in ["é".encode()[:1], "é".encode()[1:], b"\xff\x00\n", "ßçé".encode()]:
            clients.ask(server, connection, message)


@every_server
def test_log_names_the_client_that_left(sample: Sample) -> None:
    """Fails if the address logged is that of the client accepted last."""
    with Running(sample, "--log") as server:
        with server.connect() as first, server.connect() as second:
            names = ["{}:{}".format(*connection.getsockname()) for connection in (first, second)]
            for connection in (first, second):
                clients.greet(server, connection)
                clients.ask(server, connection, b"x")
            clients.reset(first)
            closing = next_line(server, "closing ")
            assert names[0] in closing and names[1] not in closing
        assert names[1] in next_line(server, "closing ")
        assert server.stop(signal.SIGTERM) == 0
        drain(server)


def next_line(server: Running, beginning: str) -> str:
    while True:
        line = server.lines.get(timeout=PATIENCE)
        if line.startswith(beginning):
            return line


def drain(server: Running) -> None:
    """Take the rest of the log, in which no traceback may be."""
    server.reader.join(PATIENCE)
    said = []
    while not server.lines.empty():
        said.append(server.lines.get_nowait())
    assert not any("Traceback" in line or "Warning" in line for line in said), said


@every_server
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_signal_ends_it_cleanly(sample: Sample, number: int) -> None:
    """With a client connected. Fails if the signal is left to Python or to the system, or if
    close() forgets the clients."""
    with Running(sample) as server, server.connect() as connection:
        clients.greet(server, connection)
        clients.ask(server, connection, b"x")
        assert server.stop(number) == 0
        assert connection.recv(1) == b""


@every_server
def test_port_in_use(sample: Sample) -> None:
    """Fails if the error of bind() or listen() is not caught."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run(sample.script, "--port", port)
    assert done.returncode == 1
    assert done.stdout == ""
    expected = f"{sample.script}: cannot listen on {sample.host}:{port}: {os.strerror(errno.EADDRINUSE)}\n"
    assert done.stderr == expected


@every_server
def test_descriptors_run_out(sample: Sample) -> None:
    """More clients than descriptors: some are refused, the others served, and later again all.
    Fails if the error of accept() ends the server, or leaves a connection unanswered."""
    spare = 6
    with Running(sample) as server:
        baseline = server.baseline()
        server.limit_descriptors(len(baseline) + spare)
        crowd = [server.connect() for _ in range(4 * spare)]
        try:
            served = [connection for connection in crowd if is_served(server, connection)]
            print(f"{len(served)} of {len(crowd)} served")
            assert 1 <= len(served) < len(crowd)
            for connection in served:
                clients.ask(server, connection, b"still served")
        finally:
            for connection in crowd:
                connection.close()
        server.until_empty()
        server.check_clean(baseline)


def is_served(server: Running, connection: socket.socket) -> bool:
    """Whether the server answers rather than closes; a timeout is neither, and an error."""
    try:
        connection.sendall(b"x")
        expected = server.sample.greeting + server.sample.reply(b"x")
        first = connection.recv(1)
        return bool(first) and first + clients.receive(connection, len(expected) - 1) == expected
    except (ConnectionResetError, BrokenPipeError):
        return False


@pytest.mark.parametrize("code", [errno.ECONNABORTED, errno.EAGAIN, errno.EPROTO, errno.EMFILE, errno.ENOMEM])
def test_accept_error_is_passed_over(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors that loopback cannot bring about. Fails for each code that is not in its table."""
    monkeypatch.syspath_prepend(str(clients.EXAMPLES))
    common = pytest.importorskip("_common", reason="the samples' common module is missing")

    def fail(_self: socket.socket) -> object:
        raise OSError(code, os.strerror(code))

    with common.Listener("127.0.0.1", 0) as listener:
        monkeypatch.setattr(socket.socket, "accept", fail)
        assert listener.accept_client() is None
        monkeypatch.undo()
        with socket.create_connection(listener.getsockname(), timeout=PATIENCE):
            accepted = listener.accept_client()
            assert accepted is not None
            accepted[0].close()


def test_exceptional_condition_closes_that_client() -> None:
    """Urgent data is what select() calls exceptional. Fails if the third list is ignored."""
    with Running(ECHO) as server, server.connect() as bystander:
        clients.greet(server, bystander)
        with server.connect() as connection:
            connection.send(b"!", socket.MSG_OOB)
            try:
                assert connection.recv(1) == b""
            except ConnectionResetError:
                pass  # the urgent byte was never read
        clients.ask(server, bystander, b"not me")
        server.until(lambda: server.state() == (1, 0), lambda: f"left over: {server.state()}")


def run(script: str, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """A sample, run to its end."""
    return subprocess.run(
        clients.command(script, *arguments),
        input=typed,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=PATIENCE,
        env=clients.environment(),
    )


LONG = "x" * 1023 + "é" + "y" * 10


@pytest.mark.parametrize("ending", ["q\nignored\n", ""], ids=["q", "end of input"])
def test_read_write_client(ending: str) -> None:
    """Fails if a long line is sent as one message, or if "q" is sent."""
    with Running(READ_WRITE) as server:
        typed = f"one\n\nzwölf €\n{LONG}\n{ending}"
        done = run("read_write_client.py", "--port", str(server.address[1]), typed=typed)
        assert done.stderr == ""
        assert done.returncode == 0
        last = "" if ending else "\n"
        long = f"{LONG[:1023]}response\n{LONG[1023:]}response\n"
        assert done.stdout == f"ok\n>>>:oneresponse\n>>>:>>>:zwölf €response\n>>>:{long}>>>:{last}"
        server.until_empty()


@pytest.mark.parametrize("sample", [POLLING, UPPER, CHAT], ids=lambda sample: sample.script[:-3])
def test_upper_client(sample: Sample) -> None:
    """Fails if the length of the reply does not count the suffix."""
    suffix = sample.suffix.decode()
    with Running(sample) as server:
        arguments = ["--port", str(server.address[1])]
        if suffix:
            arguments += ["--suffix", suffix]
        done = run("upper_client.py", *arguments, typed=f"one\n\nzwölf €\n{LONG}\nq\n")
        assert done.stderr == ""
        assert done.returncode == 0
        long = f"{'X' * 1023}{suffix}\néYYYYYYYYYY{suffix}\n"
        expected = f">>: ONE{suffix}\n>>: >>: ZWöLF €{suffix}\n>>: {long}>>: Q{suffix}\n>>: \n"
        assert done.stdout == expected
        server.until_empty()


INTERACTIVE = pytest.mark.parametrize(
    ("script", "greeting", "suffix"),
    [("read_write_client.py", b"ok", b"response"), ("upper_client.py", b"", b"")],
    ids=["read_write_client", "upper_client"],
)


@INTERACTIVE
def test_client_collects_a_reply_in_parts(script: str, greeting: bytes, suffix: bytes) -> None:
    """A reply that comes byte by byte. Fails if one recv() is taken for the reply."""

    def serve(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        message = "€uro".encode()
        dribble(connection, greeting)
        assert clients.receive(connection, len(message)) == message
        dribble(connection, message + suffix)
        assert connection.recv(1) == b""

    done = run_against(serve, script, "€uro\n")
    assert done.stderr == ""
    assert done.returncode == 0
    assert ("€uro" + suffix.decode() + "\n") in done.stdout


def dribble(connection: socket.socket, data: bytes) -> None:
    """Send byte by byte, with rests, so that the receiver gets parts."""
    for byte in data:
        connection.sendall(bytes([byte]))
        threading.Event().wait(0.005)


@INTERACTIVE
def test_client_of_a_server_that_leaves(script: str, greeting: bytes, suffix: bytes) -> None:
    """Fails if an empty recv() is taken for a reply."""

    def serve(connection: socket.socket) -> None:
        connection.sendall(greeting)
        clients.receive(connection, 3)
        connection.sendall(b"on" + suffix[:1])

    done = run_against(serve, script, "one\n")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"{script}: 127.0.0.1:")
    assert done.stderr.endswith(": the server closed the connection\n")


def run_against(serve: Callable[[socket.socket], None], script: str, typed: str) -> subprocess.CompletedProcess[str]:
    """An interactive client against a server of this process, which takes one connection."""
    with socket.socket() as listener, ThreadPoolExecutor(1) as pool:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(PATIENCE)

        def accept() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(PATIENCE)
                serve(connection)

        served = pool.submit(accept)
        done = run(script, "--port", str(listener.getsockname()[1]), typed=typed)
        served.result(PATIENCE)
        return done


@pytest.mark.parametrize("script", ["read_write_client.py", "upper_client.py"])
def test_client_without_a_server(script: str) -> None:
    """Fails if the error of connect() is not caught."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # bound, so that nobody else listens there
        port = str(unheard.getsockname()[1])
        done = run(script, "--port", port)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"{script}: 127.0.0.1:{port}: {os.strerror(errno.ECONNREFUSED)}\n"


DEFAULTS = [(sample.script, sample.host, sample.port) for sample in SAMPLES] + [
    ("read_write_client.py", "127.0.0.1", 9000),
    ("upper_client.py", "127.0.0.1", 8080),
]


@pytest.mark.parametrize(("script", "host", "port"), DEFAULTS, ids=[default[0][:-3] for default in DEFAULTS])
def test_defaults_are_the_documents(script: str, host: str, port: int) -> None:
    """Fails if a default is changed."""
    done = run(script, "--help")
    assert done.returncode == 0
    text = " ".join(done.stdout.split())
    assert f"(default: {host})" in text
    assert f"(default: {port})" in text


@pytest.mark.parametrize("arguments", [["--port", "65536"], ["--port", "-1"], ["--port", "x"]], ids=lambda a: a[1])
@every_server
def test_bad_port(sample: Sample, arguments: list[str]) -> None:
    """Fails if the range is not checked (bind() raises OverflowError)."""
    done = run(sample.script, *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
