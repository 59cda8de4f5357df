"""The poll object of `tidegate.select`."""

from __future__ import annotations

import errno
import os
from array import array
from select import POLLIN, POLLOUT, POLLPRI
from typing import Any, NoReturn, cast

from . import _args, _pollset

_DEFAULT = POLLIN | POLLPRI | POLLOUT


class Poll:
    """A set of descriptors to wait on; `poll()` makes one.

    Any thread may use it, but only one at a time may be inside its poll() method.
    """

    __slots__ = ("_fds", "_items", "_running")

    _fds: dict[int, int]
    _items: array[int] | None
    _running: dict[str, object]

    def __new__(cls, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError(f"cannot create '{cls.__module__}.{cls.__qualname__}' instances")

    def register(self, fd: Any, eventmask: int = _DEFAULT, /) -> None:
        """Adds ``fd`` (an int, or an object with fileno()), or changes its mask of POLL* bits."""
        number = _args.to_fd(fd)
        self._fds[number] = _args.to_event_mask16(eventmask)
        self._items = None

    def modify(self, fd: Any, eventmask: int, /) -> None:
        """Changes the mask of a registered ``fd``; OSError (ENOENT) when it is not registered."""
        number, mask = _args.to_fd(fd), _args.to_event_mask16(eventmask)
        if number not in self._fds:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        self._fds[number] = mask
        self._items = None

    def unregister(self, fd: Any, /) -> None:
        """Removes ``fd``; KeyError when it is not registered."""
        del self._fds[_args.to_fd(fd)]
        self._items = None

    def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]:
        """Waits; a list of (descriptor, POLL* bits) of those that are ready.

        ``timeout`` is in milliseconds; None or a negative number waits for ever, 0 only looks.
        RuntimeError when another thread is inside this method of the same object.
        """
        timeout_ns = -1
        if timeout is not None:
            timeout_ns = _args.milliseconds_to_ns(timeout, "timeout must be an integer or None")
            _args.check_poll_range(timeout_ns)
            timeout_ns = max(timeout_ns, -1)
        # setdefault() decides and remembers in one step: an exception of a signal handler can
        # fall on either side of it and still leaves the object usable.
        token = object()
        try:
            if self._running.setdefault("", token) is not token:
                raise RuntimeError("concurrent poll() invocation")
            return self._wait(timeout_ns)
        finally:
            if self._running.get("") is token:
                self._running.clear()

    def _wait(self, timeout_ns: int) -> list[tuple[int, int]]:
        """One wait on what is registered now; changes made meanwhile count for the next one."""
        items = self._items
        if items is None:
            items = array("i")
            for fd, mask in list(self._fds.items()):
                items.extend((fd, mask, 0))
            self._items = items
        if not _pollset.wait(items, timeout_ns):
            return []
        step = _pollset.ITEM_INTS
        return [(fd, got) for fd, got in zip(items[0::step], items[2::step]) if got]


def poll() -> Poll:
    """A new, empty poll object, as the standard library's `select.poll()` gives one."""
    made: Poll = object.__new__(cast("type[Any]", Poll))
    made._fds, made._items, made._running = {}, None, {}
    return made


# Users see the class where they found it.
Poll.__module__ = "tidegate.select"
