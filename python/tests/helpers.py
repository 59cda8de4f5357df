"""What several test files need."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select as stdlib_select
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, NamedTuple

import tidegate
from tidegate import _abi, _ffi

#: The folder that the package under test was imported from.
PACKAGE_PARENT = Path(tidegate.__file__).resolve().parents[1]
#: Seconds for a program that a test starts.
PATIENCE = 40.0


def stats() -> _abi.tg_process_stats:
    """The library's own counts for this process."""
    found = _abi.tg_process_stats(size=ctypes.sizeof(_abi.tg_process_stats))
    _ffi.check(_ffi.get_process_stats(ctypes.byref(found)))
    return found


def waits() -> int:
    """How often the library has waited in this process."""
    return int(stats().waits)


def live() -> tuple[int, int]:
    """Loops and pollers that exist."""
    found = stats()
    return int(found.live_loops), int(found.live_pollers)


class Outcome(NamedTuple):
    """How a call ended, in what two implementations must agree on."""

    result: Any
    error: str
    errno: Any


def outcome(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Outcome:
    """The result of a call, or its exception's class and errno."""
    try:
        return Outcome(call(*args, **kwargs), "", None)
    except Exception as error:
        # Only the class and the number: words differ between versions of the standard library.
        return Outcome(None, type(error).__name__, getattr(error, "errno", None))


def environment(**more: str) -> dict[str, str]:
    """For a child process that is to use this package and this library."""
    found = dict(os.environ, TIDEGATE_LIBRARY=str(_ffi._PATH), PYTHONDONTWRITEBYTECODE="1", **more)
    here = str(Path(__file__).resolve().parent)
    found["PYTHONPATH"] = os.pathsep.join([str(PACKAGE_PARENT), here])
    return found


def run_python(code: str, *args: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    """Runs a small program in a new interpreter; its output is part of a failing assertion."""
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(code), *args],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        **kwargs,
    )


def expect_output(code: str, expected: str, *args: str, **kwargs: Any) -> None:
    """Runs a small program that must print `expected` and end well."""
    done = run_python(code, *args, **kwargs)
    assert (done.stdout, done.returncode) == (expected, 0), done.stderr


def until(condition: Callable[[], bool], what: str) -> None:
    """Looks again and again until something holds that another thread or process brings about."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not in {PATIENCE} s: {what}"
        time.sleep(0.001)


# x86-64 and aarch64 numbers of the system calls in which the library waits.
_WAITING_CALLS = {"7", "271", "281", "232", "441", "73", "22"}


def is_waiting(thread: int) -> bool:
    """Whether a thread of this process is inside a system call that waits for descriptors."""
    with open(f"/proc/self/task/{thread}/syscall") as file:
        return file.read().split()[0] in _WAITING_CALLS


@contextlib.contextmanager
def in_background(work: Callable[[], object]) -> Iterator[threading.Thread]:
    """Runs `work` in a thread, which must have ended when the block does; its exception is raised."""
    failures: list[BaseException] = []

    def body() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the thread did not end"
    if failures:
        raise failures[0]


@contextlib.contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """(read end, write end), closed at the end unless the test has closed them."""
    ends = os.pipe()
    # Known by what they are, so that a number which was closed and used again is left alone.
    known = [os.fstat(end) for end in ends]
    try:
        yield ends
    finally:
        for end, then in zip(ends, known):
            with contextlib.suppress(OSError):
                now = os.fstat(end)
                if (now.st_dev, now.st_ino) == (then.st_dev, then.st_ino):
                    os.close(end)


@contextlib.contextmanager
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connected pair."""
    first, second = socket.socketpair()
    with first, second:
        yield first, second


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """A connected pair over the loopback interface, which has urgent bytes and resets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
    return client, accepted


@contextlib.contextmanager
def many_descriptors(count: int) -> Iterator[None]:
    """Lets the process have that many descriptors; skips the test where that is not allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        import pytest  # which the other interpreters of test_accept.py need not have

        pytest.skip(f"needs {count} descriptors, the hard limit is {hard}")
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Zoo:
    """Descriptors in every state that matters, for comparing implementations."""

    def __init__(self, stack: contextlib.ExitStack, file: Path) -> None:
        idle = stack.enter_context(pipe())
        filled = stack.enter_context(pipe())
        os.write(filled[1], b"x")
        ended = stack.enter_context(pipe())
        os.close(ended[1])
        broken = stack.enter_context(pipe())
        os.close(broken[0])
        full = stack.enter_context(pipe())
        os.set_blocking(full[1], False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(full[1], bytes(65536))
        pair = stack.enter_context(sockets())
        client, urgent = (stack.enter_context(end) for end in tcp_pair())
        client.send(b"!", socket.MSG_OOB)
        reader = stack.enter_context(open(file, "w+b"))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        half, closed = (stack.enter_context(end) for end in tcp_pair())
        closed.shutdown(socket.SHUT_WR)
        self.fds = {
            "idle pipe, read end": idle[0],
            "idle pipe, write end": idle[1],
            "pipe with data": filled[0],
            "pipe whose writer is gone": ended[0],
            "pipe whose reader is gone": broken[1],
            "full pipe": full[1],
            "socket": pair[0].fileno(),
            "socket with an urgent byte": urgent.fileno(),
            "regular file": reader.fileno(),
            "listening socket": listener.fileno(),
            "half-closed connection": half.fileno(),
        }
        # The urgent byte travels through the loopback interface like any other.
        look = stdlib_select.poll()
        look.register(urgent, stdlib_select.POLLPRI)
        assert look.poll(1000 * PATIENCE)
