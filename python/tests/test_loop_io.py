"""tidegate.Loop: readers and writers."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import pty
import random
import select as stdlib_select
import socket
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import helpers
import pytest

from tidegate import Loop, TidegateError


def test_a_reader_and_a_writer_of_one_descriptor() -> None:
    ran: list[str] = []
    with Loop() as loop, helpers.sockets() as (a, b):

        def readable() -> None:
            ran.append(a.recv(10).decode())
            assert loop.remove_reader(a) is True

        def writable(text: str) -> None:
            ran.append(text)
            assert loop.remove_writer(a.fileno()) is True
            b.send(b"data")

        loop.add_reader(a, readable)
        loop.add_writer(a, writable, "writable")
        assert loop.run() is False
        assert loop.remove_reader(a) is False and loop.remove_writer(a) is False
    assert ran == ["writable", "data"]


def test_a_new_reader_replaces_the_old_one() -> None:
    ran: list[str] = []
    with Loop() as loop, helpers.sockets() as (a, b):
        b.send(b"x")
        loop.add_reader(a, ran.append, "old")
        loop.add_reader(a, lambda: (ran.append("new"), loop.remove_reader(a)))
        loop.run()
        before = helpers.waits()
        loop.call_later(0.02, loop.stop)
        loop.run()
        assert helpers.waits() - before <= 2, "no watcher is left, which would end every wait"
    assert ran == ["new"]


def test_a_reader_is_called_at_the_end_and_in_error() -> None:
    ran: list[object] = []
    with Loop() as loop:
        with helpers.pipe() as (r, w):
            os.close(w)
            loop.add_reader(r, lambda: (ran.append(os.read(r, 1)), loop.remove_reader(r)))
            loop.run()
        with helpers.pipe() as (r, w):
            os.close(r)
            loop.add_writer(w, lambda: (ran.append("broken"), loop.remove_writer(w)))
            loop.run()
    assert ran == [b"", "broken"]


def test_a_refused_connection_calls_the_writer() -> None:
    seen: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    with Loop() as loop, socket.socket() as client:
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            client.connect(address)

        def done() -> None:
            seen.append(client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
            loop.remove_writer(client)

        loop.add_writer(client, done)
        loop.run()
    assert seen == [errno.ECONNREFUSED]


def test_h04_a_callback_that_removes_the_others_of_its_batch() -> None:
    # Mutation seen to fail: `_unwatch` that leaves the watcher in `_targets`.
    ran: list[int] = []
    with Loop() as loop, contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(helpers.sockets()) for _ in range(10)]

        def first(number: int) -> None:
            ran.append(number)
            for a, _ in pairs:
                loop.remove_writer(a)

        for number, (a, _) in enumerate(pairs):
            loop.add_writer(a, first, number)
        loop.run()
    assert len(ran) == 1


def test_h05_a_number_that_is_closed_and_used_again_within_a_batch() -> None:
    # Mutation seen to fail: `_consume` looking callbacks up by descriptor instead of by watcher.
    ran: list[str] = []
    with Loop() as loop, contextlib.ExitStack() as stack:
        one, two = (stack.enter_context(helpers.sockets()) for _ in range(2))
        fds = {}

        def take_over(mine: socket.socket, other: socket.socket) -> None:
            number = other.fileno()
            loop.remove_writer(mine)
            loop.remove_writer(other)
            other.close()
            fds["r"], fds["w"] = os.pipe()
            assert number in fds.values()
            # It is not ready: whatever runs it has an event of the old socket.
            loop.add_reader(fds["r"], ran.append, "stale")
            os.dup2(fds["r"], number)
            loop.add_reader(number, ran.append, "stale")
            loop.call_later(0.01, loop.stop)

        loop.add_writer(one[0], take_over, one[0], two[0])
        loop.add_writer(two[0], take_over, two[0], one[0])
        loop.run()
        assert ran == []
        for fd in {*fds.values()}:
            os.close(fd)


def test_h07_a_descriptor_that_is_closed_while_watched_and_its_number_used_again() -> None:
    # Mutation seen to fail: `_watch` that keeps the old watcher and only exchanges the callback.
    ran: list[str] = []
    reports: list[dict[str, Any]] = []
    with Loop() as loop, helpers.sockets() as (a, b):
        loop.set_exception_handler(lambda _, context: reports.append(context))
        with helpers.sockets() as (c, d):
            number = c.fileno()
            loop.add_reader(c, ran.append, "old reader")
            loop.add_writer(c, loop.remove_writer, c)
            loop.run_until(loop.time())
        # Closed without remove_reader. Now the number belongs to somebody else, who has data.
        assert os.dup2(a.fileno(), number) == number
        b.send(b"x")
        loop.add_reader(number, lambda: (ran.append("new"), loop.remove_reader(number)))
        loop.run()
        os.close(number)
    assert ran == ["new"]


def test_h07_the_other_watcher_of_a_closed_descriptor_is_reported_and_dropped() -> None:
    # Mutation seen to fail: `_consume` that ignores the record's status and calls the callback.
    ran: list[str] = []
    reports: list[dict[str, Any]] = []
    with Loop() as loop, helpers.sockets() as (a, b):
        loop.set_exception_handler(lambda _, context: reports.append(context))
        with helpers.sockets() as (c, _):
            number = c.fileno()
            loop.add_reader(c, ran.append, "old reader")
            loop.run_until(loop.time())
        os.dup2(a.fileno(), number)
        loop.add_writer(number, lambda: (ran.append("writer"), loop.remove_writer(number)))
        assert loop.run() is False, "nothing keeps the loop running"
        os.close(number)
    assert ran == ["writer"]
    (report,) = reports
    assert isinstance(report["exception"], TidegateError) and report["exception"].errno == errno.EBADF
    assert str(number) in report["message"]


@pytest.mark.parametrize("removed", [True, False])
def test_h17_a_late_collector_touches_nobody_who_has_the_number_now(removed: bool) -> None:
    # Mutation seen to fail: __del__ that closes the descriptors it knows, and remove_reader that does.
    with helpers.sockets() as (a, _):
        loop = Loop()
        number = a.fileno()
        loop.add_reader(a, print)
        loop.run_until(0)
        if removed:
            loop.remove_reader(a)
        a.close()
        with helpers.sockets() as (c, d):
            assert number in (c.fileno(), d.fileno()), "the number is used again"
            with pytest.warns(ResourceWarning, match="unclosed"):
                del loop
                gc.collect()
            d.send(b"x")
            c.send(b"y")
            assert (c.recv(1), d.recv(1)) == (b"x", b"y")


def test_h39_a_regular_file_is_always_ready(tmp_path: Path) -> None:
    # Mutation seen to fail: `Batch.watch` with TG_EDGE, which tells of a file once.
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * 100)
    chunks: list[bytes] = []
    with Loop() as loop, open(path, "rb") as file:

        def readable() -> None:
            chunk = os.read(file.fileno(), 64)
            chunks.append(chunk)
            if not chunk:
                loop.remove_reader(file)

        loop.add_reader(file, readable)
        assert loop.run() is False
    assert b"".join(chunks) == path.read_bytes()


def test_h39_standard_input_from_a_regular_file(tmp_path: Path) -> None:
    # Mutation seen to fail: as above. This is `python prog < file`, which asyncio refuses.
    path = tmp_path / "input"
    path.write_text("one\ntwo\n")
    code = """
        import os, sys, tidegate
        from tidegate import select, selectors
        with tidegate.Loop() as loop:
            def readable():
                data = os.read(0, 5)
                sys.stdout.write(data.decode())
                if not data:
                    loop.remove_reader(sys.stdin)
            loop.add_reader(sys.stdin, readable)
            loop.run()
        assert select.select([sys.stdin], [], []) == ([sys.stdin], [], [])
        with selectors.SelectSelector() as selector:
            selector.register(sys.stdin, selectors.EVENT_READ)
            assert len(selector.select()) == 1
    """
    with open(path) as file:
        helpers.expect_output(code, "one\ntwo\n", stdin=file)


@pytest.mark.parametrize("bad", [-1, -5, None, "0", object(), 1.5])
def test_what_is_no_descriptor(bad: Any) -> None:
    with Loop() as loop:
        for call in (loop.add_reader, loop.add_writer):
            with pytest.raises(ValueError, match="Invalid file"):
                call(bad, print)
        for remove in (loop.remove_reader, loop.remove_writer):
            with pytest.raises(ValueError, match="Invalid file"):
                remove(bad)


def test_a_descriptor_that_is_not_open_names_the_call_and_the_number() -> None:
    with Loop() as loop:
        with pytest.raises(TidegateError, match=r"tg_io_open.*98765") as caught:
            loop.add_reader(98765, print)
        assert caught.value.errno == errno.EBADF
        assert loop.run() is False


def test_a_tty() -> None:
    seen: list[bytes] = []
    master, slave = pty.openpty()
    try:
        with Loop() as loop:
            loop.add_reader(slave, lambda: (seen.append(os.read(slave, 100)), loop.remove_reader(slave)))
            loop.add_writer(master, lambda: (os.write(master, b"line\n"), loop.remove_writer(master)))
            loop.run()
    finally:
        os.close(master)
        os.close(slave)
    assert seen == [b"line\n"]


def test_more_descriptors_than_a_batch_has_records() -> None:
    with helpers.many_descriptors(5000), Loop() as loop, helpers.pipe() as (_, w):
        numbers = list(range(1100, 3600))
        seen = []

        def writable(number: int) -> None:
            seen.append(number)
            loop.remove_writer(number)

        for number in numbers:
            os.dup2(w, number)
            loop.add_writer(number, writable, number)
        assert loop.run() is False
        for number in numbers:
            os.close(number)
    assert sorted(seen) == numbers


@pytest.mark.parametrize("seed", range(5))
def test_a_model_of_readers_and_writers(seed: int) -> None:
    """Random additions and removals: exactly those that are registered and ready are called."""
    rng = random.Random(seed)
    with Loop() as loop, contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(helpers.sockets()) for _ in range(8)]
        for _a, b in pairs[::2]:
            b.send(b"x")
        registered: set[tuple[str, int]] = set()
        called: set[tuple[str, int]] = set()
        for _ in range(200):
            number = rng.randrange(8)
            fd, kind = pairs[number][0].fileno(), rng.choice(["reader", "writer"])
            if rng.random() < 0.5:
                getattr(loop, f"add_{kind}")(fd, called.add, (kind, number))
                registered.add((kind, number))
            else:
                found = getattr(loop, f"remove_{kind}")(fd)
                assert found is ((kind, number) in registered)
                registered.discard((kind, number))
            called.clear()
            loop.run_until(0)
            assert called == {item for item in registered if item[0] == "writer" or item[1] % 2 == 0}


def test_it_is_our_library_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("the standard library was asked")

    for name in ("select", "poll", "epoll"):
        monkeypatch.setattr(stdlib_select, name, refuse)
    before = helpers.waits()
    with Loop() as loop, helpers.sockets() as (a, _):
        loop.add_writer(a, loop.remove_writer, a)
        loop.run()
    assert helpers.waits() > before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts descriptors in /proc")
def test_nothing_is_left_of_a_closed_loop() -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with Loop() as loop, helpers.sockets() as (a, _):
            loop.add_writer(a, loop.stop)
            loop.call_later(0, list)
            loop.run()
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("extra", [2**31, 2**32, 2**64])
def test_a_descriptor_that_is_no_c_int_is_refused(extra: int) -> None:
    # mutation: to_fd lets any int through, and ctypes cuts it to another descriptor's number.
    reader, writer = os.pipe()
    try:
        with Loop() as loop:
            with pytest.raises(OverflowError, match=str(extra + reader)):
                loop.add_reader(extra + reader, print)
            with pytest.raises(OverflowError):
                loop.add_writer(extra + writer, print)
            assert not loop.remove_reader(reader)
    finally:
        os.close(reader)
        os.close(writer)


def test_h17_loops_of_ended_threads_do_not_use_up_the_process() -> None:
    # mutation: leave_orphan waits for the thread that made the loop.
    loops: list[Loop] = []
    thread = threading.Thread(target=lambda: loops.append(Loop()))
    thread.start()
    thread.join()
    before = helpers.live()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        loops.clear()
        gc.collect()
    assert helpers.live() != before, "it was freed here, since its own thread has ended"
