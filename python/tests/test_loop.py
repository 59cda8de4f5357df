"""tidegate.Loop: callbacks, threads, errors, ends."""

from __future__ import annotations

import contextvars
import gc
import logging
import re
import threading
from concurrent.futures import CancelledError, InvalidStateError, ThreadPoolExecutor
from typing import Any, Callable

import helpers
import pytest

import tidegate
from tidegate import Loop


def test_versions_agree() -> None:
    assert tidegate.__version__ == tidegate.library_version()
    assert tidegate.backend_name() in ("epoll", "kqueue", "iocp")


def test_every_public_name_is_documented() -> None:
    for name in tidegate.__all__:
        thing = getattr(tidegate, name)
        assert name == "__version__" or thing.__doc__, name
        if isinstance(thing, type) and thing.__module__ == "tidegate":
            for attribute in dir(thing):
                if not attribute.startswith("_") and attribute not in dir(OSError):
                    assert getattr(thing, attribute).__doc__ is not None, f"{name}.{attribute}"


def test_run_ends_at_once_when_there_is_nothing_to_do() -> None:
    with Loop() as loop:
        assert loop.run() is False


def test_callbacks_run_in_the_order_of_their_scheduling_with_their_arguments() -> None:
    ran: list[object] = []
    with Loop() as loop:
        for number in range(5):
            loop.call_soon(lambda *args: ran.append(args), number, "x")
        assert loop.run() is False
    assert ran == [(number, "x") for number in range(5)]


def test_h25_callbacks_that_schedule_themselves_do_not_starve_descriptors() -> None:
    # Mutation seen to fail: `_turn` running callbacks until none is left instead of a snapshot.
    ran = []
    with Loop() as loop, helpers.sockets() as (a, b):
        b.send(b"x")

        def again() -> None:
            ran.append("soon")
            loop.call_soon(again)

        def readable() -> None:
            ran.append("readable")
            loop.stop()

        loop.call_soon(again)
        loop.call_soon(again)
        loop.add_reader(a, readable)
        assert loop.run() is True
    assert ran == ["soon", "soon", "readable"]


def test_context_variables() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []

    def look() -> None:
        seen.append(variable.get())

    with Loop() as loop, helpers.sockets() as (a, b):
        other = contextvars.copy_context()
        other.run(variable.set, "other")
        variable.set("here")
        loop.call_soon(look)
        loop.call_soon(look, context=other)
        loop.call_later(0, look, context=other)
        loop.call_at(0, look)
        loop.call_soon_threadsafe(look, context=other)
        loop.add_writer(a, lambda: (look(), loop.remove_writer(a)))
        variable.set("later")
        loop.run()
    assert sorted(seen) == ["here"] * 3 + ["other"] * 3


def test_stop_ends_the_turn_and_a_stop_before_run_counts() -> None:
    ran: list[int] = []
    with Loop() as loop:
        loop.call_soon(loop.stop)
        loop.call_soon(ran.append, 1)
        loop.call_soon(lambda: loop.call_soon(ran.append, 2))
        assert loop.run() is True
        assert ran == [1]
        assert loop.run() is False
        assert ran == [1, 2]
        loop.stop()
        loop.call_later(1000, ran.append, 3)
        loop.call_soon(ran.append, 4)
        assert loop.run() is True
        assert ran == [1, 2, 4]


def test_threads_call_soon() -> None:
    ran: list[int] = []
    with Loop() as loop:
        loop.hold()
        ready = threading.Barrier(5)

        def post() -> None:
            ready.wait()
            for number in range(1000):
                loop.call_soon_threadsafe(ran.append, number)
            loop.call_soon_threadsafe(ended)

        def ended() -> None:
            ends.append(1)
            if len(ends) == 4:
                loop.unhold()

        ends: list[int] = []
        threads = [threading.Thread(target=post) for _ in range(4)]
        for thread in threads:
            thread.start()
        ready.wait()
        assert loop.run() is False
        for thread in threads:
            thread.join()
    assert sorted(ran) == sorted(list(range(1000)) * 4)


def test_a_waiting_loop_is_woken_by_another_thread() -> None:
    with Loop() as loop:
        loop.hold()
        before = helpers.waits()

        def post() -> None:
            helpers.until(lambda: helpers.waits() > before, "the loop waits")
            loop.call_soon_threadsafe(loop.unhold)

        with helpers.in_background(post):
            assert loop.run() is False
        before = helpers.waits()

        def stop() -> None:
            helpers.until(lambda: helpers.waits() > before, "the loop waits")
            loop.stop()

        loop.call_later(1000, print)
        with helpers.in_background(stop):
            assert loop.run() is True


def test_unhold_without_hold() -> None:
    with Loop() as loop, pytest.raises(ValueError, match="not held"):
        loop.unhold()


def test_work_in_an_executor() -> None:
    with Loop() as loop, ThreadPoolExecutor(2) as executor:
        threads: list[int] = []

        def done(future: tidegate.Future[Any]) -> None:
            threads.append(threading.get_ident())

        def fail() -> None:
            raise ZeroDivisionError

        futures = [loop.run_in_executor(executor, pow, 2, n) for n in range(10)]
        futures.append(loop.run_in_executor(None, fail))
        for future in futures:
            future.add_done_callback(done)
            future.add_done_callback(print)
            assert future.remove_done_callback(print) == 1
        with pytest.raises(InvalidStateError):
            futures[0].result()
        assert not futures[0].done()
        assert loop.run() is False
        assert [future.result() for future in futures[:-1]] == [2**n for n in range(10)]
        with pytest.raises(ZeroDivisionError):
            futures[-1].result()
        assert isinstance(futures[-1].exception(), ZeroDivisionError)
        futures[0].add_done_callback(done)
        loop.run()
        assert threads == [threading.get_ident()] * 12


def test_cancelled_work() -> None:
    with Loop() as loop, ThreadPoolExecutor(1) as executor:
        release = threading.Event()
        first = loop.run_in_executor(executor, release.wait)
        second = loop.run_in_executor(executor, print, "never")
        assert second.cancel() and not second.cancelled()
        loop.call_soon(release.set)
        loop.run()
        assert first.result() is True
        assert second.cancelled()
        with pytest.raises(CancelledError):
            second.result()


def test_the_exception_of_forgotten_work_is_reported() -> None:
    seen: list[dict[str, Any]] = []

    def fail() -> None:
        raise ZeroDivisionError

    with Loop() as loop:
        loop.set_exception_handler(lambda _, context: seen.append(context))
        loop.run_in_executor(None, fail)
        loop.run()
        gc.collect()
    assert isinstance(seen[0]["exception"], ZeroDivisionError)


def test_exceptions_go_to_the_handler_and_the_loop_goes_on() -> None:
    seen: list[tuple[object, dict[str, Any]]] = []
    ran: list[int] = []

    def fail() -> None:
        raise ZeroDivisionError("on purpose")

    with Loop() as loop, helpers.sockets() as (a, _):
        assert loop.get_exception_handler() is None
        loop.set_exception_handler(lambda *args: seen.append(args))
        handle = loop.call_soon(fail)
        loop.call_later(0, fail)
        loop.add_writer(a, lambda: (loop.remove_writer(a), fail()))
        loop.call_later(0.001, ran.append, 1)
        assert loop.run() is False
    assert ran == [1]
    assert [found[0] for found in seen] == [loop] * 3
    assert all(isinstance(found[1]["exception"], ZeroDivisionError) for found in seen)
    assert seen[0][1]["handle"] is handle and "fail" in seen[0][1]["message"]


def test_without_a_handler_exceptions_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("on purpose")

    with Loop() as loop, caplog.at_level(logging.ERROR, "tidegate"):
        loop.call_soon(fail)
        loop.run()
        loop.set_exception_handler(fail)
        loop.call_soon(fail)
        loop.run()
        with pytest.raises(TypeError):
            loop.set_exception_handler(1)  # type: ignore[arg-type]
    assert len(caplog.records) == 3
    assert all(record.exc_info and record.exc_info[0] is ZeroDivisionError for record in caplog.records)


@pytest.mark.parametrize("leaves", [KeyboardInterrupt, SystemExit, GeneratorExit, BaseException])
def test_other_exceptions_leave_run_and_nothing_is_lost(leaves: type[BaseException]) -> None:
    ran: list[str] = []

    def leave(name: str) -> None:
        ran.append(name)
        raise leaves

    with Loop() as loop, helpers.sockets() as (a, b):
        loop.call_soon(leave, "soon")
        loop.call_soon(ran.append, "after")
        loop.add_writer(a, lambda: (loop.remove_writer(a), leave("a")))
        loop.add_writer(b, lambda: (loop.remove_writer(b), leave("b")))
        for expected in (["soon"], ["after"], []):
            with pytest.raises(leaves):
                loop.run()
            assert ran[: len(expected)] == expected
            del ran[: len(expected)]
            assert not loop.is_running()
        assert sorted(ran) == ["a", "b"], "both records of one batch, one in each run"
        assert loop.run() is False


def test_a_record_is_consumed_before_its_callback_begins() -> None:
    # Mutation seen to fail: `_consume` that does not move the cursor: the first is presented again and again.
    ran: list[int] = []

    def leave(number: int) -> None:
        ran.append(number)
        raise KeyboardInterrupt

    with Loop() as loop, helpers.sockets() as pair:
        for number, end in enumerate(pair):
            loop.add_writer(end, leave, number)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                loop.run()
    assert sorted(ran) == [0, 1]


MISUSE: list[Callable[[Loop], object]] = [
    lambda loop: loop.call_soon(print),
    lambda loop: loop.call_later(0, print),
    lambda loop: loop.call_at(0, print),
    lambda loop: loop.add_reader(0, print),
    lambda loop: loop.remove_reader(0),
    lambda loop: loop.add_writer(0, print),
    lambda loop: loop.remove_writer(0),
    lambda loop: loop.add_signal_handler(10, print),
    lambda loop: loop.remove_signal_handler(10),
    lambda loop: loop.run_in_executor(None, print),
    lambda loop: loop.hold(),
    lambda loop: loop.unhold(),
    lambda loop: loop.run(),
    lambda loop: loop.run_until(0),
    lambda loop: loop.__enter__(),
]
ANY_THREAD: list[Callable[[Loop], object]] = [
    lambda loop: loop.call_soon_threadsafe(print),
    lambda loop: loop.stop(),
]


def test_a_closed_loop_refuses_everything() -> None:
    loop = Loop()
    assert not loop.is_closed()
    loop.close()
    loop.close()
    assert loop.is_closed() and repr(loop) == "<Loop closed>"
    for call in MISUSE + ANY_THREAD:
        with pytest.raises(tidegate.StaleError, match=r"TG_ESTALE.*Loop\.\w+\(\): the loop is closed") as caught:
            call(loop)
        assert isinstance(caught.value, (OSError, RuntimeError)) and caught.value.code == -4003
    assert loop.time() > 0


def test_another_thread_is_refused() -> None:
    with Loop() as loop:

        def misuse() -> None:
            for call in [*MISUSE, Loop.close]:
                with pytest.raises(tidegate.WrongThreadError, match="TG_EWRONGTHREAD"):
                    call(loop)
            for call in ANY_THREAD:
                call(loop)

        with helpers.in_background(misuse):
            pass
        assert loop.run() is False


def test_a_running_loop_can_neither_run_nor_be_closed() -> None:
    caught: list[BaseException] = []
    with Loop() as loop:

        def misuse() -> None:
            assert loop.is_running()
            for call in (loop.run, loop.close):
                try:
                    call()
                except tidegate.ReentrantError as error:
                    caught.append(error)

        loop.call_soon(misuse)
        loop.run()
        assert not loop.is_running()
    assert len(caught) == 2


def test_two_loops_one_inside_the_other() -> None:
    ran: list[int] = []
    with Loop() as outer, Loop() as inner:
        inner.call_later(0.001, ran.append, 1)
        outer.call_soon(inner.run)
        outer.call_soon(ran.append, 2)
        outer.run()
    assert ran == [1, 2]


@pytest.mark.parametrize("thing", [None, 1, "x"])
def test_only_callables(thing: Any) -> None:
    with Loop() as loop:
        for call in (
            lambda: loop.call_soon(thing),
            lambda: loop.call_later(0, thing),
            lambda: loop.call_soon_threadsafe(thing),
            lambda: loop.add_reader(0, thing),
            lambda: loop.add_signal_handler(10, thing),
        ):
            with pytest.raises(TypeError, match="callable"):
                call()
        assert loop.run() is False


def test_an_unclosed_loop_says_where_it_was_made() -> None:
    def forget() -> None:
        loop = Loop()
        loop.call_later(1000, loop.stop)

    with pytest.warns(ResourceWarning, match=rf"unclosed <Loop idle>, made at .*{re.escape(__file__)}:\d+"):
        forget()
        gc.collect()


def test_h17_a_loop_that_another_thread_collects_is_freed_by_its_own() -> None:
    # Mutation seen to fail: __del__ freeing at once (TG_EWRONGTHREAD, and the loop stays for ever).
    before = helpers.live()

    def forget() -> None:
        loop = Loop()
        loop.call_later(1000, loop.stop)

    gc.collect()
    gc.disable()
    try:
        with pytest.warns(ResourceWarning, match="unclosed"):
            forget()
            with helpers.in_background(gc.collect):
                pass
    finally:
        gc.enable()
    Loop().close()
    assert helpers.live() == before


def test_futures_of_unfinished_work_are_cancelled_by_close() -> None:
    # mutation: close() only forgets them.
    go_on = threading.Event()
    loop = Loop()
    future = loop.run_in_executor(None, go_on.wait)
    loop.close()
    go_on.set()
    assert future.done() and future.cancelled()
    with pytest.raises(CancelledError):
        future.result()
