"""tidegate.selectors against the standard library's."""

from __future__ import annotations

import asyncio
import gc
import os
import select as stdlib_select
import selectors as stdlib
import signal
import sys
from pathlib import Path
from typing import Any, Callable

import helpers
import pytest
from helpers import Zoo, outcome, waits

from tidegate import selectors as ours

KINDS = ["SelectSelector", "PollSelector", "DefaultSelector"]
if sys.platform == "linux":
    KINDS.append("EpollSelector")
READ, WRITE = stdlib.EVENT_READ, stdlib.EVENT_WRITE

every_kind = pytest.mark.parametrize("kind", KINDS)


def test_shared_names_are_the_standard_librarys_own() -> None:
    for name in ("EVENT_READ", "EVENT_WRITE", "SelectorKey", "BaseSelector"):
        assert getattr(ours, name) is getattr(stdlib, name)
    for name in KINDS:
        assert issubclass(getattr(ours, name), stdlib.BaseSelector)


@every_kind
@pytest.mark.parametrize("events", [READ, WRITE, READ | WRITE])
def test_the_same_descriptors_are_ready(zoo: Zoo, kind: str, events: int) -> None:
    found = []
    for module in (ours, stdlib):
        with getattr(module, kind)() as selector:
            for name, fd in zoo.fds.items():
                # Some kinds refuse regular files, and then both must.
                found.append((name, outcome(selector.register, fd, events, name)))
            found.append(("ready", sorted(selector.select(0))))
    half = len(found) // 2
    assert found[:half] == found[half:]


CALLS: list[Callable[[Any, int], object]] = [
    lambda s, fd: s.register(fd, 0),
    lambda s, fd: s.register(fd, 4),
    lambda s, fd: s.register(-1, READ),
    lambda s, fd: s.register("x", READ),
    lambda s, fd: s.register(None, READ),
    lambda s, fd: s.register(1.5, READ),
    lambda s, fd: s.register(fd, READ),
    lambda s, fd: s.register(fd, READ, data=[1]),
    lambda s, fd: (s.register(fd, READ), s.register(fd, WRITE)),
    lambda s, fd: s.unregister(fd),
    lambda s, fd: s.unregister(-1),
    lambda s, fd: (s.register(fd, READ), s.unregister(fd)),
    lambda s, fd: s.modify(fd, READ),
    lambda s, fd: (s.register(fd, READ), s.modify(fd, READ | WRITE)),
    lambda s, fd: (s.register(fd, READ, 1), s.modify(fd, READ, 2), s.get_key(fd)),
    lambda s, fd: (s.register(fd, READ, 1), s.modify(fd, WRITE, 2), s.select()),
    lambda s, fd: s.get_key(fd),
    lambda s, fd: s.get_key(-1),
    lambda s, fd: (s.register(fd, READ), s.get_key(fd)),
    lambda s, fd: (s.register(fd, READ), len(s.get_map()), list(s.get_map()), dict(s.get_map())),
    lambda s, fd: s.get_map()[fd],
    lambda s, fd: s.get_map().get(fd),
    lambda s, fd: fd in s.get_map(),
    lambda s, fd: (s.close(), s.close()),
    lambda s, fd: (s.close(), s.get_map()),
    lambda s, fd: (s.close(), s.get_key(fd)),
    lambda s, fd: s.select(0),
    lambda s, fd: s.select(-1),
    lambda s, fd: s.select(0.001),
    lambda s, fd: s.select("x"),
    lambda s, fd: s.fileno() > 0,
]


@every_kind
@pytest.mark.parametrize("index", range(len(CALLS)))
def test_calls_end_as_the_standard_librarys(kind: str, index: int) -> None:
    found = []
    with helpers.pipe() as (_, w):
        for module in (ours, stdlib):
            with getattr(module, kind)() as selector:
                found.append(outcome(CALLS[index], selector, w))
    assert found[0] == found[1]


@every_kind
def test_unregister_after_the_object_was_closed(kind: str) -> None:
    with getattr(ours, kind)() as selector, helpers.sockets() as (a, b):
        key = selector.register(a, READ, "data")
        a.close()
        assert selector.unregister(a) == key
        assert len(selector.get_map()) == 0


@every_kind
def test_a_registration_that_fails_leaves_nothing(kind: str) -> None:
    with getattr(ours, kind)() as selector:
        made = outcome(selector.register, 100_000, READ)
        if made.error:
            assert len(selector.get_map()) == 0
            assert selector.select(0) == []


@pytest.mark.skipif(sys.platform != "linux", reason="epoll is Linux's")
def test_h39_the_epoll_selector_refuses_regular_files_and_the_others_have_them_ready(tmp_path: Path) -> None:
    # Mutation seen to fail: `register` without the removal of the key after a failure.
    with open(tmp_path / "file", "w+b") as file:
        with ours.EpollSelector() as selector:
            with pytest.raises(PermissionError):
                selector.register(file, READ)
            with pytest.raises(KeyError):
                selector.get_key(file)
        for kind in ("SelectSelector", "PollSelector"):
            with getattr(ours, kind)() as selector:
                key = selector.register(file, READ | WRITE)
                assert selector.select() == [(key, READ | WRITE)]


def test_a_change_that_fails_unregisters(monkeypatch: pytest.MonkeyPatch) -> None:
    with ours.PollSelector() as selector, helpers.pipe() as (_, w):
        selector.register(w, WRITE)

        def fail(*args: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(selector, "_change", fail)
        with pytest.raises(ZeroDivisionError):
            selector.modify(w, READ)
        assert len(selector.get_map()) == 0


@every_kind
def test_select_goes_on_after_a_signal_and_ends_when_its_handler_raises(kind: str) -> None:
    ran = []

    def handler(*_: object) -> None:
        ran.append(1)
        if len(ran) > 3:
            raise InterruptedError if len(ran) == 4 else ZeroDivisionError

    previous = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    try:
        with getattr(ours, kind)() as selector:
            # As in the standard library: InterruptedError is an empty result, anything else leaves.
            assert selector.select(45) == []
            assert len(ran) >= 4
            with pytest.raises(ZeroDivisionError):
                selector.select(45)
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@every_kind
def test_more_than_1024_descriptors(kind: str) -> None:
    with helpers.many_descriptors(2700), helpers.pipe() as (_, w), getattr(ours, kind)() as selector:
        numbers = list(range(1030, 2230))
        for number in numbers:
            os.dup2(w, number)
        try:
            for number in numbers:
                selector.register(number, WRITE)
            assert sorted(key.fd for key, events in selector.select() if events == WRITE) == numbers
        finally:
            for number in numbers:
                selector.unregister(number)
                os.close(number)


def test_a_forgotten_selector_is_collected() -> None:
    before = helpers.live()
    selector = ours.DefaultSelector()
    assert helpers.live() != before
    del selector
    gc.collect()
    assert helpers.live() == before


async def _echo_through_streams() -> bytes:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"through asyncio" * 10_000)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        await asyncio.sleep(0.001)
    return answer


@every_kind
def test_asyncio_runs_on_it(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("the standard library was asked")

    for name in ("select", "poll", "epoll"):
        monkeypatch.setattr(stdlib_select, name, refuse)
    before = waits()
    loop = asyncio.SelectorEventLoop(getattr(ours, kind)())
    try:
        assert loop.run_until_complete(_echo_through_streams()) == b"THROUGH ASYNCIO" * 10_000
    finally:
        loop.close()
    assert waits() > before


@every_kind
def test_asyncio_keeps_its_signal_handlers_on_it(kind: str) -> None:
    loop = asyncio.SelectorEventLoop(getattr(ours, kind)())
    ran: list[str] = []

    async def main() -> None:
        arrived = asyncio.Event()

        def handler() -> None:
            ran.append("handler")
            arrived.set()

        loop.add_signal_handler(signal.SIGUSR1, handler)
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.wait_for(arrived.wait(), 40)
        assert loop.remove_signal_handler(signal.SIGUSR1)

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
    assert ran == ["handler"]
