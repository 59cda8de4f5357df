"""`tidegate.Loop`: callbacks for descriptors, timers, signals and other threads."""

from __future__ import annotations

import concurrent.futures
import contextvars
import signal
import sys
import threading
import warnings
from threading import get_ident
from types import FrameType, TracebackType
from typing import Any, Callable, TypeVar

from . import _abi, _ffi
from ._descriptors import FileDescriptorLike, to_fd
from ._errors import TidegateError, make_error
from ._future import Future
from ._handles import Handle, TimerHandle
from ._process import PROCESS
from ._runner import Runner, free_orphans, leave_orphan
from ._timers import to_ns, to_seconds
from ._wakeup import original_sigint

_T = TypeVar("_T")


def _caller() -> str:
    """file:line of the code outside of this package that is running."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("tidegate."):
        frame = frame.f_back
    return "unknown" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


class Loop(Runner):
    """Waits for descriptors, timers, signals and other threads, and runs the callback of each.

    In asyncio's vocabulary, without coroutines. A loop belongs to the thread that made it: every
    method must be called there, except `call_soon_threadsafe`, `stop`, `time`, `is_running` and
    `is_closed`; from elsewhere they raise `WrongThreadError`. Times are seconds, as floats, on the
    clock of `time()`. A callback that raises an Exception is reported to the exception handler
    (see `set_exception_handler`) and the loop goes on; any other BaseException leaves `run()`.

    Close a loop, or use it in a ``with`` statement. In a child made by fork(), the parent's loops
    can only be closed; everything else raises `ForkedError`.
    """

    def __init__(self) -> None:
        self._origin = _caller()
        self._executor: concurrent.futures.ThreadPoolExecutor | None = None
        super().__init__()

    # Scheduling --------------------------------------------------------------------------------

    def call_soon(
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Handle:
        """Runs ``callback(*args)`` in the next turn, after what was scheduled so before.

        What a callback schedules runs in the turn after, so descriptors get their share.
        """
        self._check("call_soon")
        handle = Handle(callback, args, context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Handle:
        """As `call_soon`, from any thread or signal handler; a waiting loop wakes up.

        It does not keep a loop running that has nothing else to do: see `hold`.
        """
        self._check_anywhere("call_soon_threadsafe")
        handle = Handle(callback, args, context)
        self._ready.append(handle)
        self._batch.wake()
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> TimerHandle:
        """Runs ``callback(*args)`` in ``delay`` seconds from now; never earlier."""
        self._check("call_later")
        # The present, not the turn's reading: after long work a timer must not be due at once.
        deadline = int(_ffi.now_ns()) + to_ns(delay)
        return self._add_timer(deadline, to_seconds(deadline), callback, args, context)

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> TimerHandle:
        """Runs ``callback(*args)`` at ``when`` on the clock of `time()`; never earlier.

        Timers run in the order of their times, equal ones in the order of their scheduling.
        """
        self._check("call_at")
        return self._add_timer(to_ns(when), when, callback, args, context)

    def _add_timer(
        self,
        deadline_ns: int,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
    ) -> TimerHandle:
        """Schedules a timer handle."""
        handle = TimerHandle(when, callback, args, context, self._timers)
        self._timers.add(deadline_ns, handle)
        return handle

    def time(self) -> float:
        """Now, in seconds on the loop's monotonic clock; any thread."""
        return to_seconds(int(_ffi.now_ns()))

    # Descriptors -------------------------------------------------------------------------------

    def add_reader(self, fd: FileDescriptorLike, callback: Callable[..., object], *args: Any) -> None:
        """Runs ``callback(*args)`` whenever ``fd`` is readable, at its end, or in error.

        It replaces an earlier reader of the same descriptor. Regular files are always ready. Remove
        it before the descriptor is closed.
        """
        self._check("add_reader")
        self._watch(self._readers, to_fd(fd), _abi.TG_READ, Handle(callback, args, None))

    def remove_reader(self, fd: FileDescriptorLike) -> bool:
        """Stops watching ``fd`` for reading; whether it was watched."""
        self._check("remove_reader")
        return self._unwatch(self._readers, to_fd(fd))

    def add_writer(self, fd: FileDescriptorLike, callback: Callable[..., object], *args: Any) -> None:
        """Runs ``callback(*args)`` whenever ``fd`` is writable or in error; see `add_reader`."""
        self._check("add_writer")
        self._watch(self._writers, to_fd(fd), _abi.TG_WRITE, Handle(callback, args, None))

    def remove_writer(self, fd: FileDescriptorLike) -> bool:
        """Stops watching ``fd`` for writing; whether it was watched."""
        self._check("remove_writer")
        return self._unwatch(self._writers, to_fd(fd))

    def _watch(self, table: dict[int, int], fd: int, interest: int, handle: Handle) -> None:
        """Opens a watcher and closes the one it replaces.

        Reading and writing have a watcher each, opened anew each time: opening is what tells the
        library that a number which was closed and used again means another file now.
        """
        watcher = self._batch.watch(fd, interest)
        replaced = table.get(fd)
        self._targets[watcher] = (fd, handle)
        table[fd] = watcher
        if replaced is not None:
            self._targets.pop(replaced, None)
            self._batch.unwatch(replaced)

    # Signals -----------------------------------------------------------------------------------

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: Any) -> None:
        """Runs ``callback(*args)`` on the loop when signal ``sig`` arrives; main thread only.

        It becomes the Python-level handler of the signal until `remove_signal_handler` or `close`,
        which put the previous one back. A signal that arrives while the loop is not running is kept
        for the next run. Repeated signals may be seen as one.
        """
        self._check("add_signal_handler")
        if threading.current_thread() is not threading.main_thread():
            raise make_error(_abi.TG_EWRONGTHREAD, f"Loop.add_signal_handler({sig!r}): not in the main thread")
        if not isinstance(sig, int):
            raise TypeError(f"sig must be an int, not {sig!r}")
        if sig not in signal.valid_signals():
            raise ValueError(f"invalid signal number {sig}")
        handle = Handle(callback, args, None)
        known = self._signals.get(sig)
        previous = original_sigint(signal.getsignal(sig)) if known is None else known[1]
        self._signals[sig] = (handle, previous)  # type: ignore[assignment]
        try:
            signal.signal(sig, self._on_signal)
            signal.siginterrupt(sig, False)
        except OSError as error:
            del self._signals[sig]
            raise make_error(_abi.TG_EINVAL, f"Loop.add_signal_handler({sig}): it cannot be caught ({error})") from None

    def remove_signal_handler(self, sig: int) -> bool:
        """Takes the handler of ``sig`` back; whether there was one."""
        self._check("remove_signal_handler")
        return self._release_signal(sig)

    def _release_signal(self, sig: int) -> bool:
        """Puts the previous handler back, unless somebody else has set another one since."""
        entry = self._signals.pop(sig, None)
        if entry is None:
            return False
        if signal.getsignal(sig) == self._on_signal:
            previous = signal.SIG_DFL if entry[1] is None else entry[1]
            if sig == signal.SIGINT and previous is signal.default_int_handler and self._running:
                self._wakeup.take_sigint()
            else:
                signal.signal(sig, previous)
        return True

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        """The Python-level handler: the callback waits for its turn like any other."""
        entry = self._signals.get(signum)
        if entry is None:
            return
        if self._generation == PROCESS.generation:
            self._ready.append(entry[0])
            return
        # A forked child has inherited the handler but cannot run the loop: there the signal means
        # what it meant before.
        self._release_signal(signum)
        signal.raise_signal(signum)

    # Other threads -----------------------------------------------------------------------------

    def run_in_executor(
        self,
        executor: concurrent.futures.Executor | None,
        func: Callable[..., _T],
        *args: Any,
    ) -> Future[_T]:
        """Runs ``func(*args)`` in ``executor``; None stands for a thread pool of the loop's own.

        Returns a `tidegate.Future`, whose callbacks run on the loop. A loop with unfinished work
        keeps running.
        """
        self._check("run_in_executor")
        if executor is None:
            if self._executor is None:
                self._executor = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="tidegate")
            executor = self._executor
        work = executor.submit(func, *args)
        future: Future[_T] = Future(self, work)
        self._pending.add(future)
        work.add_done_callback(lambda _: self._work_done(future))
        return future

    def _work_done(self, future: Future[Any]) -> None:
        """In the worker's thread: hands the finished work to the loop, if it is still there."""
        try:
            self.call_soon_threadsafe(self._settle, future)
        except TidegateError:
            pass

    def _settle(self, future: Future[Any]) -> None:
        """In the loop's thread: the work of ``future`` is done."""
        self._pending.discard(future)
        future._settle()

    def hold(self) -> None:
        """Keeps `run` from ending for want of work, until `unhold`: another thread will call."""
        self._check("hold")
        self._holds += 1

    def unhold(self) -> None:
        """Takes one `hold` back; ValueError when there is none."""
        self._check("unhold")
        if not self._holds:
            raise ValueError("Loop.unhold(): the loop is not held")
        self._holds -= 1

    # The end -----------------------------------------------------------------------------------

    def close(self) -> None:
        """Ends the loop: nothing of it will run any more. Watched descriptors stay open.

        It may be called twice, but not while the loop runs. It does not wait for work in executors, whose
        futures are cancelled.
        """
        if self._closed:
            return
        forked = self._generation != PROCESS.generation
        if not forked:
            self._check("close")
            if self._running:
                raise make_error(_abi.TG_EREENTRANT, "Loop.close(): the loop is running")
        for sig in list(self._signals):
            self._release_signal(sig)
        self._closed = True
        if self._executor is not None and not forked:
            self._executor.shutdown(wait=False)
        self._drop()
        code = self._batch.free()
        self._wakeup.close()
        free_orphans()
        if code < 0:
            raise _ffi.error(code)

    def _drop(self) -> None:
        """Lets go of every callback."""
        self._ready.clear()
        self._timers.clear()
        self._targets.clear()
        self._readers.clear()
        self._writers.clear()
        for future in self._pending:
            future._abandon()
        self._pending.clear()

    def is_closed(self) -> bool:
        """True after close(); any thread."""
        return self._closed

    def __enter__(self) -> Loop:
        self._check("__enter__")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if self._closed:
            return
        warnings.warn(f"unclosed {self!r}, made at {self._origin}", ResourceWarning, source=self, stacklevel=1)
        self._closed = True
        if self._executor is not None:
            self._executor.shutdown(wait=False)
        if get_ident() == self._thread or self._generation != PROCESS.generation:
            self._batch.free()
            self._wakeup.close()
        else:
            leave_orphan(self._batch, self._wakeup, self._thread)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "running" if self._running else "idle"
        return f"<{type(self).__name__} {state}>"
