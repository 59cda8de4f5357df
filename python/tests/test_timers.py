"""tidegate.Loop: timers, and what handles tell."""

from __future__ import annotations

import contextvars
import gc
import math
import random
import time
import weakref

import helpers
import pytest

from tidegate import Loop, _ffi, _timers


def test_h24_a_zero_timer_that_arms_itself_does_not_starve_descriptors() -> None:
    # Mutation seen to fail: `_turn` taking and running due timers until none is due.
    ran = []
    with Loop() as loop, helpers.sockets() as (a, b):
        b.send(b"x")

        def again() -> None:
            ran.append("timer")
            loop.call_later(0, again)

        def readable() -> None:
            ran.append("readable")
            loop.stop()

        loop.call_later(0, again)
        loop.add_reader(a, readable)
        loop.run()
    assert "readable" in ran and len(ran) < 5


def test_timers_run_in_the_order_of_time_and_of_arming_and_never_early() -> None:
    rng = random.Random(20)
    ran: list[tuple[float, int]] = []
    early: list[float] = []
    with Loop() as loop:
        now = loop.time()
        times = [now + rng.choice([0, 1, 2, 3, 4]) / 100 + rng.random() * 1e-4 for _ in range(500)]
        times += times[:100]

        def due(when: float, number: int) -> None:
            ran.append((when, number))
            if loop.time() < when:
                early.append(when)

        for number, when in enumerate(times):
            loop.call_at(when, due, when, number)
        assert loop.run() is False
    assert ran == sorted(ran) and len(ran) == 600
    assert not early


def test_call_later_counts_from_now_not_from_the_beginning_of_the_turn() -> None:
    with Loop() as loop:
        seen: list[float] = []

        def work() -> None:
            time.sleep(0.02)
            begin = loop.time()
            loop.call_later(0.01, lambda: seen.append(loop.time() - begin))

        loop.call_soon(work)
        loop.run()
    assert seen[0] >= 0.01


def test_odd_delays() -> None:
    ran = []
    with Loop() as loop:
        far = [loop.call_later(math.inf, ran.append, "never"), loop.call_later(1e30, ran.append, "never")]
        loop.call_later(-5, ran.append, "past")
        loop.call_later(10**12, loop.stop)
        loop.call_at(-math.inf, ran.append, "long past")
        loop.call_later(True, ran.append, "a bool is a second").cancel()
        loop.run_until(loop.time() + 0.005)
        assert ran == ["long past", "past"]
        assert all(handle.when() > loop.time() + 1e9 for handle in far)
        for bad in (math.nan, None, "1"):
            with pytest.raises((ValueError, TypeError)):
                loop.call_later(bad, ran.append)  # type: ignore[arg-type]
            with pytest.raises((ValueError, TypeError)):
                loop.call_at(bad, ran.append)  # type: ignore[arg-type]


def test_h55_a_clock_that_stands_still_and_times_that_no_float_can_tell_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Mutation seen to fail: `take_due` with `<` for `<=`; `to_seconds` by the division alone (a time
    # that was just read is then up to a bit in the future).
    ran: list[object] = []
    with Loop() as loop:
        now = 10**15 + 12_345
        monkeypatch.setattr(_ffi, "now_ns", lambda: now)
        for step in range(200):
            now += step
            handle = loop.call_at(loop.time(), ran.append, "equal")
            loop.call_later(0, ran.append, "zero")
            loop.run_until(0)
            assert sorted(map(str, ran)) == ["equal", "zero"]
            assert loop.time() >= handle.when()
            ran.clear()


def test_h55_seconds_and_nanoseconds_agree_to_the_last_bit() -> None:
    # Mutation seen to fail: `to_ns` by a product of floats; `to_seconds` by the division alone.
    rng = random.Random(55)
    for _ in range(20_000):
        when = rng.choice([rng.random(), rng.random() * 1e6, rng.randrange(10**9) + rng.random() * 1e-6])
        due = _timers.to_ns(when)
        numerator, denominator = when.as_integer_ratio()
        assert 0 <= due * denominator - numerator * 10**9 < denominator, "the first nanosecond not before"
        assert _timers.to_seconds(due) >= when
        assert _timers.to_ns(_timers.to_seconds(due)) <= due


def test_handles_cancel() -> None:
    ran: list[int] = []
    with Loop() as loop:
        soon = loop.call_soon(ran.append, 1)
        later = loop.call_later(0.001, ran.append, 2)
        kept = loop.call_later(0.002, ran.append, 3)
        loop.call_soon(later.cancel)
        soon.cancel()
        assert soon.cancelled() and not later.cancelled()
        assert loop.run() is False
        assert later.cancelled() and not kept.cancelled()
    assert ran == [3]


def test_a_cancelled_handle_lets_go_of_its_arguments() -> None:
    class Large:
        pass

    with Loop() as loop:
        large = Large()
        gone = weakref.ref(large)
        handle = loop.call_later(1000, print, large)
        del large
        assert gone() is not None
        handle.cancel()
        gc.collect()
        assert gone() is None


def test_cancelled_timers_do_not_pile_up() -> None:
    with Loop() as loop:
        keep = loop.call_later(1000, print)
        for _ in range(10_000):
            loop.call_later(500, print).cancel()
        assert len(loop._timers._heap) < 500
        assert len(loop._timers) == 1
        keep.cancel()
        assert loop.run() is False


def test_h16_every_getter_works_on_handles_that_have_fired_or_whose_loop_is_closed() -> None:
    # Mutation seen to fail: TimerHandle.cancel() that always tells the queue, which then counts one
    # cancelled timer too many (len < 0, and run() never ends or ends too soon).
    with Loop() as loop:
        soon = loop.call_soon(lambda: None)
        timer = loop.call_later(0, lambda: None)
        pending = loop.call_later(1000, lambda: None)
        future = loop.run_in_executor(None, lambda: 1)
        when = timer.when()
        loop.call_later(0.001, pending.cancel)
        loop.run()
        for handle in (soon, timer):
            for _ in range(2):
                assert handle.cancelled() is False
                assert "Handle" in repr(handle)
                assert isinstance(handle.get_context(), contextvars.Context)
        assert timer.when() == when
        for _ in range(2):
            soon.cancel()
            timer.cancel()
            pending.cancel()
        assert len(loop._timers) == 0
        survivor = loop.call_later(1000, lambda: None)
    assert survivor.when() > 0 and not survivor.cancelled()
    survivor.cancel()
    assert survivor.cancelled() and timer.cancelled() and timer.when() == when
    assert future.result() == 1 and not future.cancel() and future.done() and "done" in repr(future)


def test_run_until_a_time() -> None:
    with Loop() as loop:
        loop.call_later(1000, print)
        when = loop.time() + 0.01
        assert loop.run_until(when) is True
        assert loop.time() >= when


def test_an_idle_loop_waits_once() -> None:
    with Loop() as loop:
        loop.call_later(0.02, loop.stop)
        before = helpers.waits()
        loop.run()
        # One turn for the timer; a second one where the kernel's clock ended the first a little early.
        assert helpers.waits() - before <= 2
