"""The handles that a loop's scheduling methods return."""

from __future__ import annotations

import contextvars
from typing import Any, Callable, Protocol


class TimerOwner(Protocol):
    """What a timer handle needs of the queue it is in."""

    def forget(self, handle: TimerHandle) -> None:
        """``handle`` has been cancelled while it was scheduled."""


class Handle:
    """A callback that a loop will run; made by `Loop.call_soon` and its relatives.

    Every method may be called at any time, also after the callback has run or the loop has been
    closed. cancel() belongs to the loop's thread.
    """

    __slots__ = ("__weakref__", "_args", "_callback", "_cancelled", "_context")

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
    ) -> None:
        if not callable(callback):
            raise TypeError(f"a callable was expected, got {callback!r}")
        self._callback: Callable[..., object] | None = callback
        self._args = args
        self._context = contextvars.copy_context() if context is None else context
        self._cancelled = False

    def cancel(self) -> None:
        """The callback will not run any more; does nothing when it has run, or a second time."""
        self._cancelled = True
        # What the callback refers to may be large: let it go now, not when its time comes.
        self._callback, self._args = None, ()

    def cancelled(self) -> bool:
        """True after cancel()."""
        return self._cancelled

    def get_context(self) -> contextvars.Context:
        """The context that the callback runs in."""
        return self._context

    def __repr__(self) -> str:
        what = "cancelled" if self._cancelled else repr(self._callback)
        return f"<{type(self).__name__} {what}>"


class TimerHandle(Handle):
    """A callback with a time; made by `Loop.call_later` and `Loop.call_at`."""

    __slots__ = ("_owner", "_when")

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
        owner: TimerOwner,
    ) -> None:
        super().__init__(callback, args, context)
        self._when = when
        self._owner: TimerOwner | None = owner  # None once it has come due

    def when(self) -> float:
        """The time it was scheduled for, in seconds on the clock of `Loop.time`."""
        return self._when

    def cancel(self) -> None:
        """The callback will not run any more; does nothing when it has run, or a second time."""
        owner, self._owner = self._owner, None
        super().cancel()
        if owner is not None:
            owner.forget(self)
