"""`select`, `poll` and `epoll` as the standard library's `select` module has them, on Tidegate.

    from tidegate import select          # instead of: import select
    from tidegate.select import epoll    # instead of: from select import epoll

Signatures, results, constants and exceptions are the standard library's. Two things differ for the
better: `select` has no limit on the number or the value of descriptors (the standard library's stops
at 1,024), and timeouts are kept to the nanosecond instead of being rounded to a millisecond; no
wait is shorter than asked. One thing is stricter: an `epoll` object that a forked child inherited raises
ForkedError there, except for close(), because what the child does with it would change what the
parent waits for; the child makes its own. A signal's Python handler runs at once; unless it raises, the wait
goes on for the rest of its time (PEP 475).
"""

from __future__ import annotations

import errno
import os
import select as _stdlib
import sys
from array import array
from collections.abc import Iterable

# The constants are the standard library's own, imported by name so that type checkers know them.
from select import PIPE_BUF as PIPE_BUF
from select import POLLERR as POLLERR
from select import POLLHUP as POLLHUP
from select import POLLIN as POLLIN
from select import POLLNVAL as POLLNVAL
from select import POLLOUT as POLLOUT
from select import POLLPRI as POLLPRI
from select import POLLRDBAND as POLLRDBAND
from select import POLLRDNORM as POLLRDNORM
from select import POLLWRBAND as POLLWRBAND
from select import POLLWRNORM as POLLWRNORM
from select import error as error
from time import monotonic_ns
from typing import Any

from . import _args, _pollset
from ._poll import Poll as Poll
from ._poll import poll as poll

if sys.platform == "linux":
    from select import EPOLL_CLOEXEC as EPOLL_CLOEXEC
    from select import EPOLLERR as EPOLLERR
    from select import EPOLLET as EPOLLET
    from select import EPOLLEXCLUSIVE as EPOLLEXCLUSIVE
    from select import EPOLLHUP as EPOLLHUP
    from select import EPOLLIN as EPOLLIN
    from select import EPOLLMSG as EPOLLMSG
    from select import EPOLLONESHOT as EPOLLONESHOT
    from select import EPOLLOUT as EPOLLOUT
    from select import EPOLLPRI as EPOLLPRI
    from select import EPOLLRDBAND as EPOLLRDBAND
    from select import EPOLLRDHUP as EPOLLRDHUP
    from select import EPOLLRDNORM as EPOLLRDNORM
    from select import EPOLLWRBAND as EPOLLWRBAND
    from select import EPOLLWRNORM as EPOLLWRNORM
    from select import POLLMSG as POLLMSG
    from select import POLLRDHUP as POLLRDHUP

    from ._epoll import epoll as epoll

# What a newer Python has more of (EPOLLWAKEUP, say) is there as well.
for _name in dir(_stdlib):
    if _name.isupper() and _name not in globals():
        globals()[_name] = getattr(_stdlib, _name)
del _name

# What Linux's select() counts as readable, writable and exceptional.
_READ = POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR
_WRITE = POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR
_EXCEPT = POLLPRI

# poll(2) reports a hang-up on every descriptor, select() on readers only. A descriptor that is hung
# up but in none of the sets that would say so is left out of the wait and looked at again after
# this time: long enough to cost nothing, short enough to see an exceptional condition follow.
_ASIDE_NS = 20_000_000

_Pairs = list[tuple[Any, int]]


def select(
    rlist: Iterable[Any],
    wlist: Iterable[Any],
    xlist: Iterable[Any],
    timeout: float | None = None,
    /,
) -> tuple[list[Any], list[Any], list[Any]]:
    """Waits until a descriptor is ready; three lists of those that are, each a part of its input.

    ``rlist``, ``wlist`` and ``xlist`` hold ints or objects with a fileno() method: those to wait
    for reading, for writing, and for an exceptional condition. ``timeout`` is in seconds; None
    waits for ever, 0 only looks. Three empty lists mean that the time is over.

    Raises TypeError and ValueError for what is no descriptor or no timeout, and OSError (EBADF) for
    a descriptor that is not open. Any thread may call it.
    """
    timeout_ns = -1
    if timeout is not None:
        timeout_ns = _args.seconds_to_ns(timeout, "timeout must be a float or None")
        if timeout_ns < 0:
            raise ValueError("timeout must be non-negative")
    interest: dict[int, int] = {}
    readers = _collect(rlist, _READ, interest)
    writers = _collect(wlist, _WRITE, interest)
    exceptional = _collect(xlist, _EXCEPT, interest)
    ready = _wait(interest, timeout_ns)
    if not ready:
        return [], [], []
    return (
        _chosen(readers, ready, _READ),
        _chosen(writers, ready, _WRITE),
        _chosen(exceptional, ready, _EXCEPT),
    )


def _collect(objects: Iterable[Any], mask: int, interest: dict[int, int]) -> _Pairs:
    """(object, descriptor) for each; their masks are added to ``interest``."""
    try:
        # A list is read in place, by index: a fileno() method may shorten it meanwhile.
        sequence = objects if isinstance(objects, (list, tuple)) else list(objects)
    except TypeError:
        raise TypeError("arguments 1-3 must be sequences") from None
    pairs: _Pairs = []
    for item in sequence:
        fd = _args.to_fd(item)
        pairs.append((item, fd))
        interest[fd] = interest.get(fd, 0) | mask
    return pairs


def _chosen(pairs: _Pairs, ready: dict[int, int], mask: int) -> list[Any]:
    """The objects whose descriptor is ready in the sense of ``mask``."""
    return [item for item, fd in pairs if ready.get(fd, 0) & mask]


def _wait(interest: dict[int, int], timeout_ns: int) -> dict[int, int]:
    """Descriptor to ready mask, for those whose ready mask meets their interest."""
    items = array("i", bytes(_pollset.ITEM_INTS * 4 * len(interest)))
    items[0 :: _pollset.ITEM_INTS] = array("i", interest)
    items[1 :: _pollset.ITEM_INTS] = array("i", interest.values())
    deadline = monotonic_ns() + timeout_ns
    slice_ns = timeout_ns
    while True:
        count = _pollset.wait(items, slice_ns)
        ready, aside = _sift(items, interest) if count else ({}, False)
        if ready:
            return ready
        left = -1 if timeout_ns < 0 else max(deadline - monotonic_ns(), 0)
        if left == 0:
            return ready
        slice_ns = _set_aside(items, left) if aside else _take_back(items, interest, left)


def _sift(items: array[int], interest: dict[int, int]) -> tuple[dict[int, int], bool]:
    """The descriptors that are ready as asked; and whether others have only hung up."""
    ready: dict[int, int] = {}
    aside = False
    for (fd, wanted), got in zip(interest.items(), items[2 :: _pollset.ITEM_INTS]):
        if got & POLLNVAL:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if got & wanted:
            ready[fd] = got
        elif got:
            aside = True
    return ready, aside


def _set_aside(items: array[int], left_ns: int) -> int:
    """Takes the hung-up items out (a negative descriptor is ignored); how long to wait then."""
    for index in range(0, len(items), _pollset.ITEM_INTS):
        if items[index + 2]:
            items[index] = -1
    return _ASIDE_NS if left_ns < 0 else min(left_ns, _ASIDE_NS)


def _take_back(items: array[int], interest: dict[int, int], left_ns: int) -> int:
    """Puts every descriptor in again; how long to wait then."""
    items[0 :: _pollset.ITEM_INTS] = array("i", interest)
    return left_ns
