"""tidegate.select.poll against the standard library's."""

from __future__ import annotations

import os
import select as stdlib
import signal
import threading
import time
from pathlib import Path
from typing import Any, Callable

import helpers
import pytest
from helpers import Zoo, outcome, waits

from tidegate import select as ours

MASKS = [
    0,
    stdlib.POLLIN,
    stdlib.POLLOUT,
    stdlib.POLLPRI,
    stdlib.POLLIN | stdlib.POLLOUT,
    stdlib.POLLRDHUP,
    0xFFFF & ~stdlib.POLLNVAL,
]


@pytest.mark.parametrize("mask", MASKS)
def test_the_same_events_of_the_same_descriptors(zoo: Zoo, mask: int) -> None:
    theirs, mine = stdlib.poll(), ours.poll()
    for fd in zoo.fds.values():
        theirs.register(fd, mask)
        mine.register(fd, mask)
    assert mine.poll(0) == theirs.poll(0)


CALLS: list[Callable[[Any], object]] = [
    lambda p: p.register(),
    lambda p: p.register(object()),
    lambda p: p.register(-1),
    lambda p: p.register("0"),
    lambda p: p.register(0, -1),
    lambda p: p.register(0, 0x10000),
    lambda p: p.register(0, 2**64),
    lambda p: p.register(0, "1"),
    lambda p: p.register(0, 1.0),
    lambda p: p.register(0, 1, 2),
    lambda p: p.register(2**40),
    lambda p: p.register(1),
    lambda p: p.register(1, 0),
    lambda p: p.modify(0),
    lambda p: p.modify(0, 1),
    lambda p: p.modify(0, -1),
    lambda p: p.modify(0, 0x10000),
    lambda p: p.unregister(0),
    lambda p: p.unregister(object()),
    lambda p: p.poll("1"),
    lambda p: p.poll(2**31),
    lambda p: p.poll(2**64),
    lambda p: p.poll(-(2**31) - 1),
    lambda p: p.poll(float("nan")),
    lambda p: p.poll(float("inf")),
    lambda p: p.poll(1, 2),
    lambda p: p.poll(0),
    lambda p: p.poll(0.0),
    lambda p: p.poll(0.5),
    lambda p: p.poll(None) if p.register(1) else [],
]


@pytest.mark.parametrize("index", range(len(CALLS)))
def test_calls_end_as_the_standard_librarys(index: int) -> None:
    assert outcome(CALLS[index], ours.poll()) == outcome(CALLS[index], stdlib.poll())


def test_its_class_cannot_be_called() -> None:
    with pytest.raises(TypeError, match=r"cannot create 'tidegate\.select\.Poll' instances"):
        type(ours.poll())()


def test_register_modify_unregister() -> None:
    with helpers.pipe() as (r, w):
        p = ours.poll()
        p.register(w)
        assert p.poll() == [(w, stdlib.POLLOUT)]
        p.modify(w, stdlib.POLLIN)
        assert p.poll(0) == []
        p.register(w, stdlib.POLLOUT)
        p.register(r, stdlib.POLLIN)
        os.write(w, b"x")
        assert p.poll(None) == [(w, stdlib.POLLOUT), (r, stdlib.POLLIN)]
        p.unregister(w)
        assert p.poll() == [(r, stdlib.POLLIN)]
        with pytest.raises(KeyError):
            p.unregister(w)


def test_a_closed_descriptor_is_reported_as_invalid() -> None:
    with helpers.pipe() as (r, w):
        p = ours.poll()
        p.register(r)
        p.register(w, stdlib.POLLIN)
        os.close(r)
        os.close(w)
        assert p.poll() == [(r, stdlib.POLLNVAL), (w, stdlib.POLLNVAL)]


def test_h39_a_regular_file_is_ready(tmp_path: Path) -> None:
    # Mutation seen to fail: `_pollset` without TG_POLL_NATIVE.
    with open(tmp_path / "file", "w+b") as file:
        p = ours.poll()
        mask = stdlib.POLLIN | stdlib.POLLOUT | stdlib.POLLRDNORM | stdlib.POLLWRNORM
        p.register(file, mask)
        assert p.poll() == [(file.fileno(), mask)]


def test_only_one_thread_at_a_time() -> None:
    with helpers.pipe() as (r, w):
        p = ours.poll()
        p.register(r, stdlib.POLLIN)
        before = waits()
        found: list[object] = []
        with helpers.in_background(lambda: found.append(p.poll())):
            helpers.until(lambda: waits() > before, "the other thread waits")
            try:
                # Changes are for the next wait and do not touch the one that is going on.
                p.unregister(r)
                p.register(w, stdlib.POLLOUT)
                with pytest.raises(RuntimeError, match="concurrent poll"):
                    p.poll()
            finally:
                os.write(w, b"x")
        assert found == [[(r, stdlib.POLLIN)]]
        assert p.poll() == [(w, stdlib.POLLOUT)]


def test_it_can_be_used_again_after_a_handler_has_raised() -> None:
    def handler(*_: object) -> None:
        raise ZeroDivisionError

    p = ours.poll()
    previous = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        with pytest.raises(ZeroDivisionError):
            p.poll(45_000)
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert p.poll(0) == []


def test_no_wait_is_shorter_than_asked() -> None:
    for milliseconds in (0.1, 1, 1.5, 10):
        begin = time.monotonic()
        assert ours.poll().poll(milliseconds) == []
        assert (time.monotonic() - begin) * 1000 >= milliseconds


def test_negative_timeouts_wait_for_ever() -> None:
    for timeout in (None, -1, -1.0, -0.1, -1e-100, -1000):
        with helpers.pipe() as (r, w):
            p = ours.poll()
            p.register(r, stdlib.POLLIN)
            before, thread = waits(), threading.get_native_id()

            def write(before: int = before, w: int = w, thread: int = thread) -> None:
                helpers.until(lambda: waits() > before and helpers.is_waiting(thread), "it waits")
                os.write(w, b"x")

            with helpers.in_background(write):
                assert p.poll(timeout) == [(r, stdlib.POLLIN)]


def test_h36_a_signal_handler_runs_and_the_wait_goes_on() -> None:
    # Mutation seen to fail: EINTR taken for the end of the wait.
    ran = []
    previous = signal.signal(signal.SIGALRM, lambda *_: ran.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
    try:
        begin = time.monotonic()
        assert ours.poll().poll(100) == []
        assert time.monotonic() - begin >= 0.1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert len(ran) > 1


def test_more_than_1024_descriptors_and_numbers_above_1024() -> None:
    with helpers.many_descriptors(2700), helpers.pipe() as (r, w):
        numbers = list(range(1030, 2330))
        for number in numbers:
            os.dup2(r, number)
        try:
            p = ours.poll()
            for number in numbers:
                p.register(number, stdlib.POLLIN)
            assert p.poll(0) == []
            os.write(w, b"x")
            assert p.poll() == [(number, stdlib.POLLIN) for number in numbers]
            with pytest.raises(ValueError):
                stdlib.select(numbers, [], [], 0)
        finally:
            for number in numbers:
                os.close(number)


def test_it_is_our_library_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("the standard library was asked")

    for name in ("select", "poll", "epoll"):
        monkeypatch.setattr(stdlib, name, refuse)
    before = waits()
    assert ours.poll().poll(0) == []
    assert waits() == before + 1
