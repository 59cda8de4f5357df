"""The result of work that `Loop.run_in_executor` has started."""

from __future__ import annotations

import concurrent.futures
import contextvars
from concurrent.futures import CancelledError, InvalidStateError
from typing import Any, Callable, Generic, Protocol, TypeVar

_T = TypeVar("_T")


class FutureLoop(Protocol):
    """What a future needs of its loop."""

    def call_soon(
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> object:
        """Runs ``callback`` in one of the next turns."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Reports an error that nobody has caught."""


class Future(Generic[_T]):
    """A result that is not there yet; its callbacks run on the loop, in the loop's thread.

    In the words of `asyncio.Future`, but not awaitable. Every method belongs to the loop's thread.
    """

    __slots__ = ("__weakref__", "_callbacks", "_loop", "_outcome", "_retrieved", "_work")

    def __init__(self, loop: FutureLoop, work: concurrent.futures.Future[_T]) -> None:
        self._loop = loop
        self._work = work
        self._outcome: concurrent.futures.Future[_T] | None = None  # the work, when it is done
        self._callbacks: list[tuple[Callable[..., object], contextvars.Context | None]] = []
        self._retrieved = False

    def done(self) -> bool:
        """True once there is a result, an exception, or the work was cancelled."""
        return self._outcome is not None

    def cancelled(self) -> bool:
        """True if the work was cancelled before it had begun, or the loop was closed before it was done."""
        return self._outcome is not None and self._outcome.cancelled()

    def cancel(self) -> bool:
        """Cancels the work if no thread has begun with it; whether that succeeded."""
        return self._work.cancel()

    def result(self) -> _T:
        """What the function returned; raises what it raised.

        InvalidStateError when the work is not done, CancelledError when it was cancelled. It never
        waits.
        """
        return self._finished().result()

    def exception(self) -> BaseException | None:
        """What the function raised, or None. Raises as result() does when there is neither."""
        return self._finished().exception()

    def add_done_callback(
        self,
        callback: Callable[[Future[_T]], object],
        *,
        context: contextvars.Context | None = None,
    ) -> None:
        """``callback(future)`` will run on the loop once the work is done, in ``context``."""
        if self._outcome is not None:
            self._loop.call_soon(callback, self, context=context)
        else:
            bound = contextvars.copy_context() if context is None else context
            self._callbacks.append((callback, bound))

    def remove_done_callback(self, callback: Callable[[Future[_T]], object]) -> int:
        """Takes ``callback`` back; how often it had been added."""
        kept = [entry for entry in self._callbacks if entry[0] != callback]
        removed = len(self._callbacks) - len(kept)
        self._callbacks = kept
        return removed

    def _finished(self) -> concurrent.futures.Future[_T]:
        """The work, which is done; its outcome counts as seen from now on."""
        if self._outcome is None:
            raise InvalidStateError("the result is not ready yet")
        self._retrieved = True
        if self._outcome.cancelled():
            raise CancelledError
        return self._outcome

    def _settle(self) -> None:
        """The loop's part when the work is done: the callbacks, in the order of their adding."""
        self._outcome = self._work
        callbacks, self._callbacks = self._callbacks, []
        for callback, context in callbacks:
            self._loop.call_soon(callback, self, context=context)

    def _abandon(self) -> None:
        """The loop is closed: nobody will hear of the work, which is cancelled if it has not begun."""
        self._work.cancel()
        self._outcome = concurrent.futures.Future()
        self._outcome.cancel()
        self._callbacks = []

    def __del__(self) -> None:
        outcome = getattr(self, "_outcome", None)
        if outcome is None or self._retrieved or outcome.cancelled():
            return
        exception = outcome.exception()
        if exception is not None:
            self._loop.call_exception_handler(
                {
                    "message": "the exception of work in an executor was never looked at",
                    "exception": exception,
                }
            )

    def __repr__(self) -> str:
        state = "pending" if self._outcome is None else "cancelled" if self.cancelled() else "done"
        return f"<{type(self).__name__} {state}>"
