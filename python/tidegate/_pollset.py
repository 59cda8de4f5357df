"""One wait on a set of descriptors by tg_poll_once; below both `select` and `poll`."""

from __future__ import annotations

import errno
from array import array
from time import monotonic_ns

from . import _abi, _ffi

# poll(2)'s own masks, and back to Python when a signal handler ran (PEP 475).
_FLAGS = _abi.TG_POLL_NATIVE | _abi.TG_POLL_INTERRUPTIBLE
_INTERRUPTED = -errno.EINTR

# An item is tg_poll_item: descriptor, interest, ready; as plain ints in one array, because a slice
# of every third number reads all the results faster than any ctypes structure does.
ITEM_INTS = 3


def wait(items: array[int], timeout_ns: int) -> int:
    """Waits until an item is ready; how many are. ``timeout_ns`` -1 waits for ever.

    When a signal arrives, the interpreter runs its handler between two calls of the library; unless
    the handler raises, the wait goes on with what is left of the timeout.
    """
    deadline = monotonic_ns() + timeout_ns
    address, count = items.buffer_info()[0], len(items) // ITEM_INTS
    while True:
        code = int(_ffi.poll_once(address, count, timeout_ns, _FLAGS))
        if code >= 0:
            return code
        if code != _INTERRUPTED:
            _ffi.raise_os_error(code)
        if timeout_ns >= 0:
            timeout_ns = deadline - monotonic_ns()
            if timeout_ns < 0:
                for index in range(2, len(items), ITEM_INTS):
                    items[index] = 0
                return 0
