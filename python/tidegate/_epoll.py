"""The epoll object of `tidegate.select`: Linux's epoll through a native poller of the library."""

from __future__ import annotations

import ctypes
import errno
import struct
import sys
from select import EPOLL_CLOEXEC, EPOLLIN, EPOLLOUT, EPOLLPRI
from time import monotonic_ns
from types import TracebackType
from typing import Any

from . import _abi, _args, _ffi

_DEFAULT = EPOLLIN | EPOLLPRI | EPOLLOUT
_FLAGS = _abi.TG_POLLER_NATIVE | _abi.TG_POLLER_INTERRUPTIBLE
_INTERRUPTED = -errno.EINTR
_DEFAULT_EVENTS = 1023  # what the standard library asks for: FD_SETSIZE - 1
_EVENT_SIZE = ctypes.sizeof(_abi.tg_poller_event)
# tg_poller_event as (descriptor, mask). Only the half of the 64-bit value that epoll calls data.fd
# is read: of descriptors added by others through the same epoll the rest may be anything.
_EVENT = struct.Struct("=i4xI4x" if sys.byteorder == "little" else "=4xiI4x")

# What the library reports in one wait at most.
_AT_ONCE = 1024

_Buffer = tuple[int, memoryview]  # address and bytes
_Events = list[tuple[int, int]]


def _wait_for_more(poller: int, buffer: _Buffer, found: _Events, capacity: int) -> _Events:
    """What else is ready beside a full report, as one wait with more room would have told.

    The kernel reports those first that have waited longest, so each round brings new ones until all
    have been seen; then it begins again with the first.
    """
    address, events = buffer
    masks = dict(found)
    while len(masks) < capacity:
        code = int(_ffi.poller_wait(poller, address, _AT_ONCE, 0))
        known = len(masks)
        for fd, mask in _EVENT.iter_unpack(events[: max(code, 0) * _EVENT_SIZE]):
            if fd in masks or len(masks) < capacity:
                masks[fd] = masks.get(fd, 0) | mask
        if code < _AT_ONCE or len(masks) == known:
            break
    return list(masks.items())


class epoll:
    """Waits for many descriptors, told once which ones; as the standard library's `select.epoll`.

    ``sizehint`` must be -1 or positive and means nothing to today's kernels; ``flags`` must be 0 or
    EPOLL_CLOEXEC (which is always in force). Any thread may use the object. It can be used in a
    ``with`` statement; close() may be called twice.
    """

    __slots__ = ("__weakref__", "_fd", "_poller", "_spare")

    _fd: int  # -1 when closed
    _poller: int  # the library's id; 0 when closed
    _spare: list[_Buffer]  # event buffers that no poll() is using

    def __init__(self, sizehint: int = -1, flags: int = 0) -> None:
        self._fd, self._poller, self._spare = -1, 0, []
        size, flags = _args.to_int(sizehint, "sizehint"), _args.to_int(flags, "flags")
        if size != -1 and size <= 0:
            raise ValueError("negative sizehint")
        if flags not in (0, EPOLL_CLOEXEC):
            raise OSError("invalid flags")
        self._open(-1)

    def _open(self, adopt_fd: int) -> None:
        """Makes the poller, on a descriptor of its own or on ``adopt_fd``, which it then owns."""
        options = _abi.tg_poller_options(ctypes.sizeof(_abi.tg_poller_options), _FLAGS, adopt_fd)
        poller, fd = _abi.tg_poller(), _abi.tg_fd()
        code = _ffi.poller_new(ctypes.byref(options), ctypes.byref(poller))
        if code < 0:
            _ffi.raise_os_error(code)
        self._poller = poller.value
        code = _ffi.poller_get_fd(poller, ctypes.byref(fd))
        if code < 0:
            _ffi.raise_os_error(code)
        self._fd = fd.value

    @classmethod
    def fromfd(cls, fd: int, /) -> epoll:
        """An object on an existing epoll descriptor, which it closes when it is closed."""
        made = cls.__new__(cls)
        made._fd, made._poller, made._spare = -1, 0, []
        made._open(_args.to_int(fd, "fd"))
        return made

    def close(self) -> None:
        """Closes the epoll descriptor; what waits on it in other threads ends with an error."""
        poller, self._poller, self._fd = self._poller, 0, -1
        if poller:
            code = _ffi.poller_free(poller)
            if code < 0:
                _ffi.raise_os_error(code)

    def __del__(self) -> None:
        # The standard library's closes without a warning, too. An error has nobody to go to.
        poller = getattr(self, "_poller", 0)
        if poller:
            self._poller = 0
            _ffi.poller_free(poller)

    def __enter__(self) -> epoll:
        self._open_poller()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        value: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """True if the object has been closed."""
        return self._poller == 0

    def fileno(self) -> int:
        """The epoll descriptor."""
        self._open_poller()
        return self._fd

    def register(self, fd: Any, eventmask: int = _DEFAULT) -> None:
        """Adds ``fd`` (an int, or an object with fileno()); OSError (EEXIST) when it is there."""
        number, mask = _args.to_fd(fd), _args.to_event_mask32(eventmask)
        self._change(_ffi.poller_add(self._open_poller(), number, mask, 0, number))

    def modify(self, fd: Any, eventmask: int) -> None:
        """Changes the mask of a registered ``fd``; OSError (ENOENT) when it is not registered."""
        number, mask = _args.to_fd(fd), _args.to_event_mask32(eventmask)
        self._change(_ffi.poller_modify(self._open_poller(), number, mask, 0, number))

    def unregister(self, fd: Any) -> None:
        """Removes ``fd``; OSError (ENOENT) when it is not registered."""
        number = _args.to_fd(fd)
        self._change(_ffi.poller_remove(self._open_poller(), number))

    def poll(self, timeout: float | None = None, maxevents: int = -1) -> list[tuple[int, int]]:
        """Waits; a list of at most ``maxevents`` pairs (descriptor, EPOLL* bits).

        ``timeout`` is in seconds; None or a negative number waits for ever, 0 only looks.
        ``maxevents`` -1 stands for 1,023.
        """
        maxevents = _args.to_int(maxevents, "maxevents")
        poller = self._open_poller()
        timeout_ns = -1
        if timeout == 0:
            timeout_ns = 0
        elif timeout is not None:
            timeout_ns = _args.seconds_to_ns(timeout, "timeout must be an integer or None")
            _args.check_poll_range(timeout_ns)
            timeout_ns = max(timeout_ns, -1)
        if maxevents == -1:
            maxevents = _DEFAULT_EVENTS
        elif maxevents < 1:
            raise ValueError(f"maxevents must be greater than 0, got {maxevents}")
        return self._wait(poller, timeout_ns, maxevents)

    def _wait(self, poller: int, timeout_ns: int, capacity: int) -> list[tuple[int, int]]:
        """The wait itself, gone on with after a signal's handler has run (PEP 475)."""
        room = min(capacity, _AT_ONCE)
        address, events = buffer = self._take_buffer(room)
        deadline = monotonic_ns() + timeout_ns if timeout_ns > 0 else timeout_ns
        while True:
            code = int(_ffi.poller_wait(poller, address, room, timeout_ns))
            if code >= 0:
                found = list(_EVENT.iter_unpack(events[: code * _EVENT_SIZE])) if code else []
                if code == _AT_ONCE < capacity:
                    found = _wait_for_more(poller, buffer, found, capacity)
                self._spare.append(buffer)
                return found
            if code != _INTERRUPTED:
                _ffi.raise_os_error(code)
            if timeout_ns >= 0:
                timeout_ns = deadline - monotonic_ns() if timeout_ns else -1
                if timeout_ns < 0:
                    return []

    def _take_buffer(self, capacity: int) -> _Buffer:
        """(address, bytes) of room for ``capacity`` events; kept for the next poll() afterwards."""
        size = capacity * _EVENT_SIZE
        try:
            address, events = self._spare.pop()
        except IndexError:
            events = memoryview(b"")
        if len(events) >= size:
            return address, events
        memory = (ctypes.c_char * size)()
        return ctypes.addressof(memory), memoryview(memory).cast("B")

    def _open_poller(self) -> int:
        """The library's id; ValueError when the object has been closed."""
        if not self._poller:
            raise ValueError("I/O operation on closed epoll object")
        return self._poller

    @staticmethod
    def _change(code: int) -> None:
        """Raises the OSError of a failed change."""
        if code < 0:
            _ffi.raise_os_error(code)


# Users see the class where they found it.
epoll.__module__ = "tidegate.select"
