"""Tidegate: waiting for many sources of events at once, on one thread.

- `Loop` runs callbacks for descriptors, timers, signals and other threads, in asyncio's vocabulary;
- `tidegate.select` has `select`, `poll` and `epoll`, and `tidegate.selectors` has `DefaultSelector` and
  its relatives, for programs that were written for the standard library's modules of those names.

Everything waits in the library below, libtidegate, which is called through ctypes.
"""

from __future__ import annotations

from . import _abi, _ffi
from ._errors import (
    ForkedError,
    InvalidArgumentError,
    PanicError,
    ReentrantError,
    StaleError,
    TidegateError,
    WrongThreadError,
)
from ._future import Future
from ._handles import Handle, TimerHandle
from ._loop import Loop

__all__ = [
    "ForkedError",
    "Future",
    "Handle",
    "InvalidArgumentError",
    "Loop",
    "PanicError",
    "ReentrantError",
    "StaleError",
    "TidegateError",
    "TimerHandle",
    "WrongThreadError",
    "__version__",
    "backend_name",
    "library_version",
]

#: The version of this package: that of the C header it was made from.
__version__: str = _abi.TG_VERSION


def library_version() -> str:
    """The version of the shared library in use, such as "0.1.0"."""
    return bytes(_ffi.version()).decode("ascii")


def backend_name() -> str:
    """What the shared library waits with: "epoll", "kqueue" or "iocp"."""
    return bytes(_ffi.backend_name()).decode("ascii")


# Users see the classes where they found them.
for _name in __all__:
    if isinstance(globals()[_name], type):
        globals()[_name].__module__ = __name__
del _name
