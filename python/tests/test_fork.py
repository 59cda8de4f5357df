"""What a forked child may do with its parent's objects: close them, and nothing else."""

from __future__ import annotations

import os
import sys
import textwrap

import helpers
import pytest

if not hasattr(os, "fork"):
    pytest.skip("no fork here", allow_module_level=True)

# In a program of its own: pytest has threads, and forking beside threads earns a warning since 3.12.
HEAD = """
import os, signal, sys, warnings
import helpers, tidegate
from tidegate import select, selectors

def in_child(work):
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        assert os.waitpid(pid, 0)[1] == 0, "the child failed"
        return
    try:
        work()
        sys.stdout.flush()
        os._exit(0)
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(1)
"""


def expect(code: str, expected: str) -> None:
    helpers.expect_output(HEAD + textwrap.dedent(code), expected)


def test_every_call_on_an_inherited_loop_is_refused_except_close() -> None:
    expect(
        """
        from test_loop import MISUSE, ANY_THREAD
        loop = tidegate.Loop()
        r, w = os.pipe()
        loop.add_reader(r, lambda: (print(os.read(r, 10)), loop.remove_reader(r)))
        def child():
            for call in MISUSE + ANY_THREAD:
                try:
                    call(loop)
                except tidegate.ForkedError as error:
                    assert error.name == "TG_EFORKED", error
                else:
                    raise AssertionError(call)
            loop.close()
            loop.close()
            with tidegate.Loop() as mine:
                mine.call_later(0.001, print, "a loop of the child's own")
                mine.run()
        in_child(child)
        os.write(w, b"there")
        loop.run()
        loop.close()
        """,
        "a loop of the child's own\nb'there'\n",
    )


def test_h57_the_child_takes_nothing_from_the_parents_registrations() -> None:
    # Mutation seen to fail: close() in the child that closes its watchers first.
    expect(
        """
        loop = tidegate.Loop()
        pairs = [os.pipe() for _ in range(5)]
        seen = []
        for r, w in pairs:
            loop.add_reader(r, lambda r=r: (seen.append(os.read(r, 1)), loop.remove_reader(r)))
        loop.run_until(loop.time())
        in_child(loop.close)
        for r, w in pairs:
            os.write(w, b"x")
        loop.run()
        loop.close()
        print(len(seen))
        """,
        "5\n",
    )


def test_a_fork_in_a_callback_ends_the_childs_run_and_not_the_parents() -> None:
    # Mutation seen to fail: the fork hook without `_attention`: the child goes on with the batch.
    expect(
        """
        import contextlib
        with contextlib.ExitStack() as stack:
            loop = stack.enter_context(tidegate.Loop())
            pairs = [stack.enter_context(helpers.sockets()) for _ in range(6)]
            pids = []
            ran = []
            def writable(number):
                ran.append(number)
                loop.remove_writer(pairs[number][0])
                if not pids:
                    pids.append(os.fork())
            for number in range(6):
                loop.add_writer(pairs[number][0], writable, number)
            parent = os.getpid()
            try:
                loop.run()
            except tidegate.ForkedError:
                assert os.getpid() != parent
                assert signal.set_wakeup_fd(-1) == -1, "the parent's wakeup descriptor is not used"
                assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
                os._exit(42 if len(ran) == 1 else 1)
            print(len(ran), os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]))
        """,
        "6 42\n",
    )


def test_a_signal_handler_of_the_loop_is_the_previous_one_again_in_a_child() -> None:
    expect(
        """
        loop = tidegate.Loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: (print("parent"), loop.stop()))
        pid = os.fork()
        if not pid:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
            os._exit(1)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
        loop.run()
        loop.close()
        """,
        "True\nparent\n",
    )


def test_signals_of_a_child_made_while_the_loop_runs_stay_in_the_child() -> None:
    # Mutation seen to fail: `after_fork_in_child` without set_wakeup_fd: the byte of the child's signal
    # reaches the parent's socket.
    expect(
        """
        got = []
        with tidegate.Loop() as loop:
            drain = loop._wakeup.drain
            def work():
                signal.signal(signal.SIGUSR1, lambda *_: None)
                os.kill(os.getpid(), signal.SIGUSR1)
            def fork():
                in_child(work)
                reader = loop._wakeup._reader
                try:
                    got.append(reader.recv(10))
                except BlockingIOError:
                    print("nothing came")
            loop.call_soon(fork)
            loop.run()
        print(got)
        """,
        "nothing came\n[]\n",
    )


def test_an_inherited_epoll_object_can_be_closed_and_the_parents_stays() -> None:
    expect(
        """
        made = select.epoll()
        r, w = os.pipe()
        made.register(w, select.EPOLLOUT)
        def child():
            try:
                made.poll(0)
            except tidegate.ForkedError:
                print("refused")
            made.close()
            assert made.closed
            with select.epoll() as mine:
                mine.register(w, select.EPOLLOUT)
                assert mine.poll() == [(w, select.EPOLLOUT)]
            assert select.select([], [w], []) == ([], [w], [])
        in_child(child)
        assert made.poll() == [(w, select.EPOLLOUT)]
        made.close()
        """,
        "refused\n",
    )


def test_what_a_child_forgets_is_closed_there_without_harm_to_the_parent() -> None:
    expect(
        """
        import gc
        loop = tidegate.Loop()
        selector = selectors.DefaultSelector()
        r, w = os.pipe()
        loop.add_writer(w, lambda: (print("written"), loop.remove_writer(w)))
        selector.register(w, selectors.EVENT_WRITE)
        def child():
            global loop, selector
            warnings.simplefilter("ignore")
            del loop, selector
            gc.collect()
            assert helpers.live() == (0, 0), helpers.live()
        in_child(child)
        loop.run()
        assert len(selector.select()) == 1
        loop.close()
        selector.close()
        """,
        "written\n",
    )


def test_multiprocessing_by_fork_works_beside_a_loop() -> None:
    if sys.platform == "darwin":
        pytest.skip("forking is not safe with the system's libraries here")
    expect(
        """
        import multiprocessing
        with tidegate.Loop() as loop:
            loop.call_soon(print, "loop")
            with multiprocessing.get_context("fork").Pool(2) as pool:
                print(pool.map(abs, [-1, -2, -3]))
            loop.run()
        """,
        "[1, 2, 3]\nloop\n",
    )
