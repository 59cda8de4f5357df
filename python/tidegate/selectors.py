"""The standard library's `selectors` on Tidegate's waits.

    from tidegate import selectors       # instead of: import selectors

`EVENT_READ`, `EVENT_WRITE`, `SelectorKey` and `BaseSelector` are the standard library's own, so that
objects of both kinds may be mixed, and ``asyncio.SelectorEventLoop(DefaultSelector())`` works.
Timeouts are kept to the nanosecond; `SelectSelector` has no limit of 1,024 descriptors.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from selectors import EVENT_READ as EVENT_READ
from selectors import EVENT_WRITE as EVENT_WRITE
from selectors import BaseSelector as BaseSelector
from selectors import SelectorKey as SelectorKey
from typing import Any, Callable

from . import select as _select
from ._descriptors import to_fd

__all__ = [
    "EVENT_READ",
    "EVENT_WRITE",
    "BaseSelector",
    "DefaultSelector",
    "PollSelector",
    "SelectSelector",
    "SelectorKey",
]

_EVENTS = EVENT_READ | EVENT_WRITE
_Ready = list[tuple[SelectorKey, int]]


class _KeyMap(Mapping[Any, SelectorKey]):
    """What get_map() returns: file objects, or their descriptors, to keys."""

    def __init__(self, selector: _Selector) -> None:
        self._selector = selector

    def __len__(self) -> int:
        return len(self._selector._keys)

    def __getitem__(self, fileobj: Any) -> SelectorKey:
        key = self._selector._keys.get(self._selector._lookup(fileobj))
        if key is None:
            raise KeyError(f"{fileobj!r} is not registered")
        return key

    def __iter__(self) -> Iterator[Any]:
        return iter(self._selector._keys)


class _Selector(BaseSelector):
    """What the selectors have in common: the table of keys."""

    def __init__(self) -> None:
        self._keys: dict[int, SelectorKey] = {}
        self._map: _KeyMap | None = _KeyMap(self)

    def _lookup(self, fileobj: Any) -> int:
        """The descriptor; of a registered object also when it has been closed meanwhile."""
        try:
            return to_fd(fileobj)
        except ValueError:
            for key in self._keys.values():
                if key.fileobj is fileobj:
                    return key.fd
            raise

    def _registered(self, fileobj: Any) -> SelectorKey:
        """The key of ``fileobj``; KeyError when it is not registered."""
        key = self._keys.get(self._lookup(fileobj))
        if key is None:
            raise KeyError(f"{fileobj!r} is not registered")
        return key

    # What a kind of selector adds.

    def _add(self, fd: int, events: int) -> None:
        """Starts waiting for ``events`` of ``fd``."""
        raise NotImplementedError

    def _change(self, fd: int, events: int) -> None:
        """Waits for other events of ``fd`` from now on."""
        raise NotImplementedError

    def _remove(self, fd: int) -> None:
        """Stops waiting for ``fd``."""
        raise NotImplementedError

    # The interface of BaseSelector.

    def register(self, fileobj: Any, events: int, data: Any = None) -> SelectorKey:
        """Adds a file object; ``events`` is EVENT_READ, EVENT_WRITE or both.

        ValueError for other events or no descriptor, KeyError when it is registered already,
        OSError when the operating system refuses it (a regular file in an EpollSelector).
        """
        if not events or events & ~_EVENTS:
            raise ValueError(f"Invalid events: {events!r}")
        key = SelectorKey(fileobj, self._lookup(fileobj), events, data)
        if key.fd in self._keys:
            raise KeyError(f"{fileobj!r} (FD {key.fd}) is already registered")
        self._keys[key.fd] = key
        try:
            self._add(key.fd, events)
        except BaseException:
            del self._keys[key.fd]
            raise
        return key

    def unregister(self, fileobj: Any) -> SelectorKey:
        """Removes a file object, closed or not; its key. KeyError when it is not registered."""
        key = self._registered(fileobj)
        del self._keys[key.fd]
        self._remove(key.fd)
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> SelectorKey:
        """Changes the events or the data of a registered file object; its new key."""
        key = self._registered(fileobj)
        if events != key.events:
            try:
                self._change(key.fd, events)
            except BaseException:
                # As in the standard library: better gone than half changed.
                self._keys.pop(key.fd, None)
                raise
        elif data == key.data:
            return key
        key = key._replace(events=events, data=data)
        self._keys[key.fd] = key
        return key

    def close(self) -> None:
        """Forgets everything; may be called twice."""
        self._keys.clear()
        self._map = None

    def get_map(self) -> Any:
        """A mapping of file objects to keys; None once the selector is closed."""
        return self._map

    def _matched(self, fd: int, events: int, ready: _Ready) -> None:
        """Appends (key, events) if ``fd`` is still registered."""
        key = self._keys.get(fd)
        if key is not None:
            ready.append((key, events & key.events))


class SelectSelector(_Selector):
    """A selector on `tidegate.select.select`, without its namesake's limit of 1,024."""

    def __init__(self) -> None:
        super().__init__()
        self._readers: set[int] = set()
        self._writers: set[int] = set()

    def _add(self, fd: int, events: int) -> None:
        if events & EVENT_READ:
            self._readers.add(fd)
        if events & EVENT_WRITE:
            self._writers.add(fd)

    def _remove(self, fd: int) -> None:
        self._readers.discard(fd)
        self._writers.discard(fd)

    def _change(self, fd: int, events: int) -> None:
        if not events or events & ~_EVENTS:
            raise ValueError(f"Invalid events: {events!r}")
        self._remove(fd)
        self._add(fd, events)

    def select(self, timeout: float | None = None) -> _Ready:
        """Waits at most ``timeout`` seconds (None: for ever); a list of (key, events)."""
        wait = None if timeout is None else max(timeout, 0)
        try:
            found = _select.select(self._readers, self._writers, (), wait)
        except InterruptedError:
            return []
        masks = dict.fromkeys(found[0], EVENT_READ)
        for fd in found[1]:
            masks[fd] = masks.get(fd, 0) | EVENT_WRITE
        ready: _Ready = []
        for fd, events in masks.items():
            self._matched(fd, events, ready)
        return ready


class _PollLike(_Selector):
    """A selector on an object with poll()'s methods."""

    _selector_cls: Callable[[], Any]
    _READ: int
    _WRITE: int

    def __init__(self) -> None:
        super().__init__()
        self._selector = type(self)._selector_cls()

    def _mask(self, events: int) -> int:
        read = self._READ if events & EVENT_READ else 0
        return read | (self._WRITE if events & EVENT_WRITE else 0)

    def _add(self, fd: int, events: int) -> None:
        self._selector.register(fd, self._mask(events))

    def _change(self, fd: int, events: int) -> None:
        self._selector.modify(fd, self._mask(events))

    def _remove(self, fd: int) -> None:
        try:
            self._selector.unregister(fd)
        except OSError:
            pass  # closed since it was registered: the kernel has forgotten it

    def _poll(self, timeout: float | None) -> list[tuple[int, int]]:
        """(descriptor, mask) of what is ready."""
        raise NotImplementedError

    def select(self, timeout: float | None = None) -> _Ready:
        """Waits at most ``timeout`` seconds (None: for ever); a list of (key, events)."""
        try:
            found = self._poll(timeout if timeout is None else max(timeout, 0))
        except InterruptedError:
            return []
        ready: _Ready = []
        for fd, mask in found:
            # Anything but "writable" concerns a reader and the other way round: a hang-up or an
            # error must reach whoever waits.
            events = EVENT_WRITE if mask & ~self._READ else 0
            if mask & ~self._WRITE:
                events |= EVENT_READ
            self._matched(fd, events, ready)
        return ready


class PollSelector(_PollLike):
    """A selector on `tidegate.select.poll`."""

    _selector_cls = staticmethod(_select.poll)
    _READ = _select.POLLIN
    _WRITE = _select.POLLOUT

    def _poll(self, timeout: float | None) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = self._selector.poll(None if timeout is None else timeout * 1000)
        return found


if sys.platform == "linux":
    __all__ += ["EpollSelector"]

    class EpollSelector(_PollLike):
        """A selector on `tidegate.select.epoll`; it refuses regular files with PermissionError."""

        _selector_cls = _select.epoll
        _READ = _select.EPOLLIN
        _WRITE = _select.EPOLLOUT

        def fileno(self) -> int:
            """The epoll descriptor below."""
            return int(self._selector.fileno())

        def close(self) -> None:
            """Closes the epoll descriptor; may be called twice."""
            self._selector.close()
            super().close()

        def _poll(self, timeout: float | None) -> list[tuple[int, int]]:
            # The kernel wants room for at least one event.
            found: list[tuple[int, int]] = self._selector.poll(timeout, len(self._keys) or 1)
            return found

    class DefaultSelector(EpollSelector):
        """The best selector of this platform: epoll's."""

else:

    class DefaultSelector(PollSelector):
        """The best selector of this platform: poll's."""
