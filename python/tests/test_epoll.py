"""tidegate.select.epoll against the standard library's."""

from __future__ import annotations

import errno
import gc
import os
import select as stdlib
import signal
import sys
import time
from pathlib import Path
from typing import Any, Callable

import helpers
import pytest
from helpers import Zoo, outcome, waits

if sys.platform != "linux":
    pytest.skip("epoll is Linux's", allow_module_level=True)

from tidegate import select as ours

BAD_CONSTRUCTIONS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((0,), {}),
    ((-2,), {}),
    ((), {"sizehint": -2}),
    (("foo",), {}),
    ((None,), {}),
    ((1.5,), {}),
    ((1, 2, 3), {}),
    ((2**40,), {}),
    ((), {"flags": 12356}),
    ((), {"flags": 1}),
    ((), {"flags": "1"}),
    ((), {"size": 1}),
]


@pytest.mark.parametrize(("args", "kwargs"), BAD_CONSTRUCTIONS)
def test_bad_constructions(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    expected = outcome(stdlib.epoll, *args, **kwargs)
    assert expected.error
    assert outcome(ours.epoll, *args, **kwargs) == expected


def test_good_constructions() -> None:
    for args in ((), (-1,), (1,), (16, 0), (16, stdlib.EPOLL_CLOEXEC), (True,)):
        ours.epoll(*args).close()
    ours.epoll(sizehint=3, flags=stdlib.EPOLL_CLOEXEC).close()


CALLS: list[Callable[[Any, int], object]] = [
    lambda e, fd: e.register(),
    lambda e, fd: e.register(object()),
    lambda e, fd: e.register(None),
    lambda e, fd: e.register(-1),
    lambda e, fd: e.register(10000),
    lambda e, fd: e.register(2**40),
    lambda e, fd: e.register(fd),
    lambda e, fd: e.register(fd, "1"),
    lambda e, fd: e.register(fd, 1.0),
    lambda e, fd: e.register(fd, -1 & ~stdlib.EPOLLEXCLUSIVE),
    lambda e, fd: e.register(fd, 2**40 | 1),
    lambda e, fd: (e.register(fd), e.register(fd)),
    lambda e, fd: e.register(fd=fd, eventmask=stdlib.EPOLLIN),
    lambda e, fd: e.register(e),
    lambda e, fd: e.modify(fd),
    lambda e, fd: e.modify(fd, 1),
    lambda e, fd: e.modify(-1, 1),
    lambda e, fd: (e.register(fd, stdlib.EPOLLEXCLUSIVE | 1), e.modify(fd, 1)),
    lambda e, fd: e.unregister(fd),
    lambda e, fd: e.unregister(10000),
    lambda e, fd: e.unregister(object()),
    lambda e, fd: (e.register(fd), e.unregister(fd=fd)),
    lambda e, fd: e.poll("1"),
    lambda e, fd: e.poll(2**31),
    lambda e, fd: e.poll(float("nan")),
    lambda e, fd: e.poll(float("inf")),
    lambda e, fd: e.poll(2**70),
    lambda e, fd: e.poll(0, 0),
    lambda e, fd: e.poll(0, -2),
    lambda e, fd: e.poll(0, "1"),
    lambda e, fd: e.poll(0, 1.5),
    lambda e, fd: e.poll(0, 2**40),
    lambda e, fd: e.poll(0),
    lambda e, fd: e.poll(0.0, 1),
    lambda e, fd: e.poll(timeout=0, maxevents=5),
    lambda e, fd: e.poll(0, -1),
    lambda e, fd: e.closed,
    lambda e, fd: e.fileno() > 0,
    lambda e, fd: (e.close(), e.close()),
    lambda e, fd: (e.close(), e.closed),
    lambda e, fd: (e.close(), e.fileno()),
    lambda e, fd: (e.close(), e.register(fd)),
    lambda e, fd: (e.close(), e.register(object())),
    lambda e, fd: (e.close(), e.modify(fd, 1)),
    lambda e, fd: (e.close(), e.unregister(fd)),
    lambda e, fd: (e.close(), e.poll(0)),
    lambda e, fd: (e.close(), e.poll("0")),
    lambda e, fd: (e.close(), e.__enter__()),
    lambda e, fd: e.__exit__(),
]


@pytest.mark.parametrize("index", range(len(CALLS)))
def test_calls_end_as_the_standard_librarys(index: int) -> None:
    with helpers.pipe() as (_, w):
        found = []
        for made in (ours.epoll(), stdlib.epoll()):
            found.append(outcome(CALLS[index], made, w))
            made.close()
    assert found[0] == found[1]


MASKS = [
    0,
    stdlib.EPOLLIN,
    stdlib.EPOLLOUT,
    stdlib.EPOLLPRI,
    stdlib.EPOLLIN | stdlib.EPOLLOUT | stdlib.EPOLLPRI,
    stdlib.EPOLLRDHUP,
    stdlib.EPOLLIN | stdlib.EPOLLET,
    stdlib.EPOLLIN | stdlib.EPOLLOUT | stdlib.EPOLLONESHOT,
    stdlib.EPOLLIN | stdlib.EPOLLEXCLUSIVE,
]


@pytest.mark.parametrize("mask", MASKS)
def test_the_same_events_of_the_same_descriptors(zoo: Zoo, mask: int) -> None:
    # Masks go to the kernel as they are, edge and oneshot included: two waits show it.
    with ours.epoll() as mine, stdlib.epoll() as theirs:
        for name, fd in zoo.fds.items():
            assert outcome(mine.register, fd, mask) == outcome(theirs.register, fd, mask), name
        for _ in range(2):
            assert sorted(mine.poll(0)) == sorted(theirs.poll(0))


def test_h39_a_regular_file_is_refused_as_the_kernel_refuses_it(tmp_path: Path) -> None:
    # Mutation seen to fail: a poller without TG_POLLER_NATIVE, which reports it ready.
    with open(tmp_path / "file", "w+b") as file, ours.epoll() as made:
        with pytest.raises(PermissionError) as caught:
            made.register(file)
        assert caught.value.errno == errno.EPERM


def test_maxevents_bounds_the_list_and_all_take_turns() -> None:
    with helpers.many_descriptors(100), ours.epoll() as made, helpers.pipe() as (_, w):
        numbers = [os.dup(w) for _ in range(20)]
        for number in numbers:
            made.register(number, stdlib.EPOLLOUT)
        seen = set()
        for _ in range(20):
            found = made.poll(0, 3)
            assert 1 <= len(found) <= 3
            seen.update(fd for fd, _ in found)
        assert seen == set(numbers)
        assert len(made.poll()) == 20
        for number in numbers:
            os.close(number)


def test_fromfd_shares_the_kernels_object() -> None:
    with helpers.pipe() as (_, w), ours.epoll() as first:
        second = ours.epoll.fromfd(os.dup(first.fileno()))
        second.register(w, stdlib.EPOLLOUT)
        assert first.poll(0) == second.poll(0) == [(w, stdlib.EPOLLOUT)]
        second.close()
        assert first.poll(0) == [(w, stdlib.EPOLLOUT)]


def test_fromfd_takes_over_one_of_the_standard_librarys() -> None:
    with helpers.pipe() as (_, w), stdlib.epoll() as theirs:
        theirs.register(w, stdlib.EPOLLOUT)
        with ours.epoll.fromfd(os.dup(theirs.fileno())) as mine:
            assert mine.poll(0) == [(w, stdlib.EPOLLOUT)]
        assert theirs.poll(0) == [(w, stdlib.EPOLLOUT)]


def test_close_closes_the_descriptor_and_nothing_else() -> None:
    made = ours.epoll()
    number = made.fileno()
    assert not os.get_inheritable(number)
    made.close()
    with pytest.raises(OSError):
        os.fstat(number)
    with helpers.pipe() as (r, w):
        made.close()
        os.fstat(r), os.fstat(w)


def test_h17_a_collected_object_does_not_close_a_number_that_has_been_used_again() -> None:
    # Mutation seen to fail: a finaliser that closes the descriptor by its number.
    made = ours.epoll()
    number = made.fileno()
    made.close()
    with helpers.pipe() as (r, w):
        assert number in (r, w)
        del made
        gc.collect()
        os.write(w, b"x")
        assert os.read(r, 1) == b"x"


def test_a_forgotten_object_is_closed_by_the_collector() -> None:
    made = ours.epoll()
    number = made.fileno()
    before = helpers.live()
    del made
    gc.collect()
    assert helpers.live()[1] == before[1] - 1
    with pytest.raises(OSError):
        os.fstat(number)


def test_other_threads_register_while_one_waits() -> None:
    with helpers.pipe() as (_, w), ours.epoll() as made:
        before = waits()

        def register() -> None:
            helpers.until(lambda: waits() > before, "it waits")
            made.register(w, stdlib.EPOLLOUT)

        with helpers.in_background(register):
            assert made.poll() == [(w, stdlib.EPOLLOUT)]


def test_several_threads_wait_at_once() -> None:
    with helpers.pipe() as (r, w), ours.epoll() as made:
        made.register(r, stdlib.EPOLLIN)
        before = waits()
        found: list[object] = []
        with helpers.in_background(lambda: found.append(made.poll())):
            with helpers.in_background(lambda: found.append(made.poll())):
                helpers.until(lambda: waits() >= before + 2, "both wait")
                os.write(w, b"x")
        assert found == [[(r, stdlib.EPOLLIN)]] * 2


def test_no_wait_is_shorter_than_asked() -> None:
    with ours.epoll() as made:
        for timeout in (0.0001, 0.0015, 0.01):
            begin = time.monotonic()
            assert made.poll(timeout) == []
            assert time.monotonic() - begin >= timeout


def test_h36_a_signal_handler_runs_and_the_wait_goes_on() -> None:
    # Mutation seen to fail: EINTR taken for the end of the wait.
    ran = []
    previous = signal.signal(signal.SIGALRM, lambda *_: ran.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
    try:
        begin = time.monotonic()
        with ours.epoll() as made:
            assert made.poll(0.1) == []
        assert time.monotonic() - begin >= 0.1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert len(ran) > 1


def test_it_is_our_library_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("the standard library was asked")

    for name in ("select", "poll", "epoll"):
        monkeypatch.setattr(stdlib, name, refuse)
    before = waits()
    with ours.epoll() as made:
        assert made.poll(0) == []
    assert waits() == before + 1
