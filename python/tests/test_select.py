"""tidegate.select.select against the standard library's."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pty
import select as stdlib
import signal
import struct
import sys
import termios
import time
from pathlib import Path

import helpers
import pytest
from helpers import Zoo, outcome, waits

from tidegate import select as ours


class NoFileno:
    pass


class WordFileno:
    def fileno(self) -> str:
        return "fileno"


class RaisingFileno:
    def fileno(self) -> int:
        raise ZeroDivisionError


class NegativeFileno:
    def fileno(self) -> int:
        return -1


BAD_ARGUMENTS = [
    (),
    ([], []),
    ([], [], [], 0, 0),
    (1, 2, 3),
    (None, [], []),
    ([NoFileno()], [], []),
    ([WordFileno()], [], []),
    ([], [RaisingFileno()], []),
    ([], [], [NegativeFileno()]),
    ([-1], [], []),
    ([-5], [], [], 0),
    ([1.0], [], []),
    (["0"], [], []),
    ([None], [], []),
    ([2**40], [], [], 0),
    ([], [], [], "0"),
    ([], [], [], -1),
    ([], [], [], -1e-9),
    ([], [], [], float("nan")),
    ([], [], [], float("inf")),
    ([], [], [], 1e300),
    ([], [], [], 2**70),
    ([], [], [], object()),
]


@pytest.mark.parametrize("args", BAD_ARGUMENTS, ids=repr)
def test_bad_arguments_raise_what_the_standard_library_raises(args: tuple[object, ...]) -> None:
    expected = outcome(stdlib.select, *args)
    assert expected.error, "the standard library accepts this"
    assert outcome(ours.select, *args) == expected


def test_arguments_are_positional_only() -> None:
    with pytest.raises(TypeError):
        ours.select(rlist=[], wlist=[], xlist=[])  # type: ignore[call-arg]


def test_every_constant_of_the_standard_library_is_there() -> None:
    for name in dir(stdlib):
        if name.isupper() or name == "error":
            assert getattr(ours, name) == getattr(stdlib, name), name


@pytest.mark.parametrize("sets", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 1, 1)], ids=str)
def test_the_same_descriptors_are_ready(zoo: Zoo, sets: tuple[int, int, int]) -> None:
    for name, fd in zoo.fds.items():
        args = [[fd] * wanted for wanted in sets]
        assert ours.select(*args, 0) == stdlib.select(*args, 0), name


def test_the_same_descriptors_are_ready_all_at_once(zoo: Zoo) -> None:
    fds = list(zoo.fds.values())
    assert ours.select(fds, fds, fds, 0) == stdlib.select(fds, fds, fds, 0)
    assert ours.select(fds, fds, fds) == stdlib.select(fds, fds, fds)


def test_results_are_the_objects_in_their_order_and_as_often_as_given() -> None:
    with helpers.sockets() as (a, b):
        b.send(b"x")
        readable, writable, exceptional = ours.select([a, a.fileno(), b, a], (b, a), {b}, None)
        assert readable == [a, a.fileno(), a]
        assert writable == [b, a]
        assert exceptional == []


def test_any_iterable_will_do_as_in_the_standard_library() -> None:
    with helpers.sockets() as (a, b):
        assert ours.select(iter([a]), {b: 1}, range(0), 0) == ([], [b], [])


def test_three_new_lists_each_time() -> None:
    found = ours.select([], [], [], 0)
    assert found == ([], [], []) and len({id(part) for part in found}) == 3


def test_a_closed_descriptor_is_ebadf() -> None:
    with helpers.pipe() as (r, w):
        os.close(r)
        for sets in ([r], [], []), ([], [w, r], []), ([], [], [r]):
            assert outcome(ours.select, *sets, 0) == outcome(stdlib.select, *sets, 0)
            with pytest.raises(OSError) as caught:
                ours.select(*sets)
            assert (caught.value.errno, caught.value.strerror) == (errno.EBADF, os.strerror(errno.EBADF))


def test_no_wait_is_shorter_than_asked() -> None:
    for timeout in (0.0001, 0.0015, 0.01, 1e-9):
        begin = time.monotonic()
        assert ours.select([], [], [], timeout) == ([], [], [])
        assert time.monotonic() - begin >= timeout


def test_zero_does_not_wait_and_none_waits_for_another_thread() -> None:
    with helpers.pipe() as (r, w):
        assert ours.select([r], [], [], 0) == ([], [], [])
        before = waits()

        def write_when_waiting() -> None:
            helpers.until(lambda: waits() > before, "the wait has begun")
            os.write(w, b"x")

        with helpers.in_background(write_when_waiting):
            assert ours.select([r], [], []) == ([r], [], [])


def test_it_is_our_library_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("the standard library was asked")

    monkeypatch.setattr(stdlib, "select", refuse)
    monkeypatch.setattr(stdlib, "poll", refuse)
    monkeypatch.setattr(stdlib, "epoll", refuse)
    before = waits()
    with helpers.sockets() as (a, b):
        assert ours.select([a], [b], [], 0) == ([], [b], [])
    assert waits() == before + 1


def test_h27_a_hang_up_that_nobody_asked_for_neither_ends_the_wait_nor_spins() -> None:
    # Mutation seen to fail: `_sift` counting every item with a ready mask (ends the wait), and
    # `_set_aside` leaving the items in (spins).
    with helpers.pipe() as (r, w):
        os.close(w)
        before = waits()
        begin = time.monotonic()
        assert ours.select([], [], [r], 0.2) == ([], [], [])
        assert time.monotonic() - begin >= 0.2
        assert waits() - before <= 25, "a wait of 0.2 s in slices of 20 ms, two waits a slice"


def test_h27_a_descriptor_that_only_hangs_up_can_have_an_exceptional_condition_later() -> None:
    # Mutation seen to fail: `_take_back` that does not put the set-aside items in again.
    master, slave = pty.openpty()
    try:
        fcntl.ioctl(master, termios.TIOCPKT, struct.pack("i", 1))
        name = os.ttyname(slave)
        os.close(slave)  # from now on the master reports a hang-up, and nothing else
        before = waits()
        opened: list[int] = []

        def flush_when_waiting() -> None:
            helpers.until(lambda: waits() > before + 1, "the wait goes on without it")
            opened.append(os.open(name, os.O_RDWR | os.O_NOCTTY))
            termios.tcflush(opened[0], termios.TCIOFLUSH)  # in packet mode: urgent news for the master

        with helpers.in_background(flush_when_waiting):
            assert ours.select([], [], [master]) == ([], [], [master])
        os.close(opened[0])
    finally:
        os.close(master)


def test_h39_regular_files_are_always_ready(tmp_path: Path) -> None:
    # Mutation seen to fail: `_pollset` without TG_POLL_NATIVE.
    with open(tmp_path / "file", "w+b") as file:
        assert ours.select([file], [file], [file], 0) == ([file], [file], [])


def test_more_than_1024_descriptors_at_once() -> None:
    with helpers.many_descriptors(1700), contextlib.ExitStack() as stack:
        pipes = [stack.enter_context(helpers.pipe()) for _ in range(600)]
        readers = [r for r, _ in pipes]
        writers = [w for _, w in pipes]
        assert len(readers) + len(writers) > 1024
        for _, w in pipes[::7]:
            os.write(w, b"x")
        found = ours.select(readers, writers, readers, 0)
        assert found == (readers[::7], writers, [])
        with pytest.raises(ValueError):
            stdlib.select(readers, writers, [], 0)


@pytest.mark.parametrize("number", [1024, 1025, 4000])
def test_descriptors_numbered_above_1024(number: int) -> None:
    with helpers.many_descriptors(4100), helpers.pipe() as (r, w):
        os.dup2(r, number)
        try:
            with pytest.raises(ValueError):
                stdlib.select([number], [], [], 0)
            assert ours.select([number], [], [], 0) == ([], [], [])
            os.write(w, b"x")
            assert ours.select([number], [], []) == ([number], [], [])
        finally:
            os.close(number)


def test_h36_a_signal_handler_runs_and_the_wait_goes_on() -> None:
    # Mutation seen to fail: EINTR returned as an empty result (too early), or the deadline not
    # recomputed (never ends while the timer fires).
    ran = []
    previous = signal.signal(signal.SIGALRM, lambda *_: ran.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
    try:
        begin = time.monotonic()
        assert ours.select([], [], [], 0.1) == ([], [], [])
        assert time.monotonic() - begin >= 0.1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert len(ran) > 1


def test_what_a_signal_handler_raises_ends_the_wait() -> None:
    def handler(*_: object) -> None:
        raise ZeroDivisionError

    previous = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        with pytest.raises(ZeroDivisionError):
            ours.select([], [], [], 45)
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def test_a_list_that_fileno_shortens() -> None:
    items: list[object] = []

    class Shortens:
        def fileno(self) -> int:
            del items[-1]
            return write_end

    with helpers.pipe() as (_, write_end):
        items[:] = [Shortens()] * 10
        assert ours.select([], items, []) == ([], items[:5], [])


def test_a_fileno_of_its_own_kind_of_int() -> None:
    class Number(int):
        pass

    with helpers.pipe() as (_, w):
        assert ours.select([], [Number(w)], [], 0) == ([], [w], [])


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full and friends are Linux's")
def test_devices_as_in_the_standard_library() -> None:
    for name in ("/dev/null", "/dev/zero", "/dev/full", "/dev/urandom"):
        with open(name, "rb") as device:
            sets = ([device], [device], [device])
            assert ours.select(*sets, 0) == stdlib.select(*sets, 0), name
