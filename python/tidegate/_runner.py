"""The inside of a loop: its state, its turns, and what a turn does with callbacks that fail."""

from __future__ import annotations

import logging
from collections import deque
from threading import get_ident
from types import FrameType
from typing import Any, Callable, Optional, Union

from . import _abi, _ffi
from ._batch import RECORD, RECORD_COUNT, RECORD_CURSOR, Batch
from ._errors import make_error
from ._future import Future
from ._handles import Handle
from ._process import PROCESS
from ._timers import TimerQueue, to_ns
from ._wakeup import Wakeup

_LOGGER = logging.getLogger("tidegate")
SignalHandler = Union[Callable[[int, Optional[FrameType]], Any], int, None]


#: Loops that the garbage collector found in a thread that is not theirs, and the idents of their threads.
#: A loop can be freed by its own thread, or by any once that has ended: the next Loop made or closed does it.
_ORPHANS: deque[tuple[Batch, Wakeup, int]] = deque()


def leave_orphan(batch: Batch, wakeup: Wakeup, thread: int) -> None:
    """Leaves a loop to whoever may free it."""
    _ORPHANS.append((batch, wakeup, thread))
    free_orphans()


def free_orphans() -> None:
    """Frees those that this thread may free."""
    for _ in range(len(_ORPHANS)):
        try:
            batch, wakeup, thread = _ORPHANS.popleft()
        except IndexError:  # another thread was quicker
            return
        if thread == get_ident() or batch.take_over():
            batch.free()
            wakeup.close()
        else:
            _ORPHANS.append((batch, wakeup, thread))


class Runner:
    """What `tidegate.Loop` is built on; users know only that class."""

    _closed = True  # until __init__ has succeeded

    def __init__(self) -> None:
        free_orphans()
        self._batch = Batch()
        self._wakeup = Wakeup(self._interrupt)
        self._thread = get_ident()
        self._generation = PROCESS.generation
        self._ready: deque[Handle] = deque()
        self._timers = TimerQueue()
        self._targets: dict[int, tuple[int, Handle]] = {}  # watcher -> (descriptor, callback)
        self._readers: dict[int, int] = {}  # descriptor -> watcher
        self._writers: dict[int, int] = {}
        self._signals: dict[int, tuple[Handle, SignalHandler]] = {}  # and what was set before
        self._pending: set[Future[Any]] = set()  # of unfinished work
        self._exception_handler: Callable[[Any, dict[str, Any]], object] | None = None
        self._holds = 0
        self._running = False
        self._stopping = False
        self._attention = False  # something must be looked at before the next callback
        self._closed = False

    # Checks ------------------------------------------------------------------------------------

    def _check(self, call: str) -> None:
        """Refuses a call from another thread, from a forked child, or on a closed loop."""
        if self._closed or self._generation != PROCESS.generation or self._thread != get_ident():
            self._refuse(call, threads=True)

    def _check_anywhere(self, call: str) -> None:
        """As `_check`, for calls that any thread may make."""
        if self._closed or self._generation != PROCESS.generation:
            self._refuse(call, threads=False)

    def _refuse(self, call: str, *, threads: bool) -> None:
        """Raises what `_check` has found."""
        if self._closed:
            raise make_error(_abi.TG_ESTALE, f"Loop.{call}(): the loop is closed")
        if self._generation != PROCESS.generation:
            raise make_error(_abi.TG_EFORKED, f"Loop.{call}(): the loop was made before this process was forked")
        if threads:
            raise make_error(
                _abi.TG_EWRONGTHREAD,
                f"Loop.{call}(): called from thread {get_ident()}, the loop belongs to thread "
                f"{self._thread}; use call_soon_threadsafe()",
            )

    # Running -----------------------------------------------------------------------------------

    def run(self) -> bool:
        """Runs until nothing is left to wait for (False), or until `stop` (True: work is left).

        Readers, writers, signal handlers, timers, scheduled callbacks, unfinished work in executors
        and holds keep it running. In the main thread Ctrl-C ends it with KeyboardInterrupt, raised
        between two callbacks; what was ready then is kept for the next run.
        """
        return self._drive("run", -1)

    def run_until(self, when: float) -> bool:
        """As `run`, but at ``when`` on the clock of `time()` it returns; True: work is left."""
        return self._drive("run_until", max(to_ns(when), 0))

    def stop(self) -> None:
        """Lets `run` return at the end of its present turn; any thread, or a signal handler.

        Before `run` it counts for the next one, which then makes one turn that does not wait.
        """
        self._check_anywhere("stop")
        self._stopping = True
        self._batch.wake()

    def is_running(self) -> bool:
        """True while `run` is executing; any thread."""
        return self._running

    def _drive(self, call: str, until_ns: int) -> bool:
        """Prepares for signals, runs, and puts everything back."""
        self._check(call)
        if self._running:
            raise make_error(_abi.TG_EREENTRANT, f"Loop.{call}(): the loop is already running")
        fd = self._wakeup.prepare()
        if fd is not None:
            watcher = self._batch.watch(fd, _abi.TG_READ, _abi.TG_UNREF)
            self._targets[watcher] = (fd, Handle(self._wakeup.drain, (), None))
        try:
            self._wakeup.install()
            # From here to uninstall() Ctrl-C only sets a flag: nothing is left half done.
            self._running = True
            PROCESS.running.append(self)
            return self._turns(until_ns)
        finally:
            if self._running:
                PROCESS.running.remove(self)
                self._running = False
            self._wakeup.uninstall()

    def _turns(self, until_ns: int) -> bool:
        """Turn after turn; the result is that of `run`."""
        while self._stopping or self._is_alive():
            self._turn(self._timeout_ns(until_ns))
            if self._stopping:
                self._stopping = False
                return self._is_alive()
            if until_ns >= 0 and int(_ffi.now_ns()) >= until_ns:
                return self._is_alive()
        return False

    def _is_alive(self) -> bool:
        """Whether anything is left that a callback could come from."""
        return bool(
            self._ready
            or self._readers
            or self._writers
            or len(self._timers)
            or self._signals
            or self._pending
            or self._holds
        )

    def _timeout_ns(self, until_ns: int) -> int:
        """How long the next turn may wait; -1 for ever."""
        if self._ready or self._stopping:
            return 0
        nearest = self._timers.nearest_ns()
        if until_ns >= 0 and (nearest < 0 or until_ns < nearest):
            nearest = until_ns
        return nearest if nearest < 0 else max(nearest - int(_ffi.now_ns()), 0)

    def _turn(self, timeout_ns: int) -> None:
        """Waits; then what was scheduled and due before, then what is ready."""
        self._batch.turn(timeout_ns)
        if self._attention:
            self._heed()
        if len(self._timers):
            self._timers.take_due(int(_ffi.now_ns()), self._ready)
        ready = self._ready
        for _ in range(len(ready)):
            if self._attention:
                self._heed()
            self._call(ready.popleft())
        self._consume()
        if self._attention:
            self._heed()

    def _consume(self) -> None:
        """Runs the callbacks of the records; each counts as consumed before its callback begins."""
        words = self._batch.words
        cursor, count = words[RECORD_CURSOR], words[RECORD_COUNT]
        if cursor == count:
            return
        records = self._batch.records[cursor * RECORD.size : count * RECORD.size]
        targets = self._targets
        for watcher, _user, kind, _bits, status in RECORD.iter_unpack(records):
            if self._attention:
                self._heed()
            cursor += 1
            words[RECORD_CURSOR] = cursor
            target = targets.get(watcher)
            if target is None or kind != _abi.TG_RECORD_IO:
                continue
            if status:
                self._lose(watcher, target, status)
            else:
                self._call(target[1])

    def _call(self, handle: Handle) -> None:
        """Runs a callback; an Exception goes to the exception handler."""
        callback = handle._callback
        if callback is None:
            return
        try:
            handle._context.run(callback, *handle._args)
        except Exception as error:
            self.call_exception_handler(
                {
                    "message": f"exception in callback {callback!r}",
                    "exception": error,
                    "handle": handle,
                }
            )

    def _lose(self, watcher: int, target: tuple[int, Handle], status: int) -> None:
        """A watched descriptor was closed: the watcher is of no more use, and somebody must know."""
        fd, handle = target
        for table in (self._readers, self._writers):
            if table.get(fd) == watcher:
                self._unwatch(table, fd)
        self.call_exception_handler(
            {
                "message": f"descriptor {fd} was closed while the loop was watching it",
                "exception": make_error(status, f"descriptor {fd} was closed while it was watched"),
                "handle": handle,
            }
        )

    def _unwatch(self, table: dict[int, int], fd: int) -> bool:
        """Closes the watcher of ``fd`` if there is one."""
        watcher = table.pop(fd, None)
        if watcher is None:
            return False
        self._targets.pop(watcher, None)
        self._batch.unwatch(watcher)
        return True

    def _interrupt(self) -> None:
        """SIGINT has arrived: it is raised between two callbacks."""
        self._attention = True

    def _heed(self) -> None:
        """Raises what must leave `run` now: a fork that made this a child, or Ctrl-C."""
        if self._generation != PROCESS.generation:
            self._refuse("run", threads=False)
        self._attention = False
        if self._wakeup.interrupted:
            self._wakeup.interrupted = False
            raise KeyboardInterrupt

    # Errors in callbacks -----------------------------------------------------------------------

    def set_exception_handler(self, handler: Callable[[Any, dict[str, Any]], object] | None) -> None:
        """``handler(loop, context)`` gets the errors of callbacks; None stands for the default.

        ``context`` has "message", mostly "exception", and "handle" where there is one.
        """
        if handler is not None and not callable(handler):
            raise TypeError(f"a callable or None was expected, got {handler!r}")
        self._exception_handler = handler

    def get_exception_handler(self) -> Callable[[Any, dict[str, Any]], object] | None:
        """The handler that was set, or None."""
        return self._exception_handler

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Reports an error that nobody has caught; an Exception of the handler itself is logged."""
        handler = self._exception_handler
        if handler is None:
            self.default_exception_handler(context)
            return
        try:
            handler(self, context)
        except Exception:
            _LOGGER.error("exception in the loop's exception handler", exc_info=True)
            self.default_exception_handler(context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Logs the error, with its traceback, to the logger named "tidegate"."""
        error = context.get("exception")
        details = "".join(
            f"\n{key}: {value!r}" for key, value in sorted(context.items()) if key not in ("message", "exception")
        )
        _LOGGER.error("%s%s", context.get("message", "error in the loop"), details, exc_info=error)
