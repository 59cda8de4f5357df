"""The exceptions of the package, and the one place where an error code becomes one of them.

A call into the library answers with 0 or a count, or with a negative code: a code of ours (below
-4000) or an operating system's error as ``-errno``. Whatever the code, what is raised is a
`TidegateError`, which is an `OSError`; and where Python has a class of its own for that error
(`PermissionError`, `FileNotFoundError`, ...), it is one of those as well.
"""

from __future__ import annotations

import errno
import os

from . import _abi

__all__ = [
    "ForkedError",
    "InvalidArgumentError",
    "PanicError",
    "ReentrantError",
    "StaleError",
    "TidegateError",
    "WrongThreadError",
]


class TidegateError(OSError):
    """A call of Tidegate failed; the message names the call and the values it was given.

    ``code`` is the library's negative number (``TG_ESTALE`` is -4003, an operating system's error
    is ``-errno``) and ``name`` its name. ``errno`` is set where an errno says the same.
    """

    code: int = 0
    name: str = ""

    def __str__(self) -> str:
        message = self.strerror if self.strerror is not None else OSError.__str__(self)
        # What the library says has the name in it already.
        return str(message) if self.name in str(message) else f"[{self.name}] {message}"


class InvalidArgumentError(TidegateError, ValueError):
    """TG_EINVAL: an argument is out of its range."""


class StaleError(TidegateError, RuntimeError):
    """TG_ESTALE: the loop, poller or handle has been closed."""


class WrongThreadError(TidegateError, RuntimeError):
    """TG_EWRONGTHREAD: this call belongs to the thread that made the loop."""


class ReentrantError(TidegateError, RuntimeError):
    """TG_EREENTRANT: the loop is already running, or is not allowed to be used from here."""


class ForkedError(TidegateError, RuntimeError):
    """TG_EFORKED: the loop was made before a fork; this process may only close it."""


class PanicError(TidegateError, RuntimeError):
    """TG_EPANIC: a defect inside the library; the loop accepts no further work."""


# Our codes: (class, the errno that says the same or None).
_OURS: dict[int, tuple[type[TidegateError], int | None]] = {
    _abi.TG_EINVAL: (InvalidArgumentError, errno.EINVAL),
    _abi.TG_ENOMEM: (TidegateError, errno.ENOMEM),
    _abi.TG_ESTALE: (StaleError, None),
    _abi.TG_EWRONGTHREAD: (WrongThreadError, None),
    _abi.TG_EREENTRANT: (ReentrantError, None),
    _abi.TG_EFORKED: (ForkedError, None),
    _abi.TG_EPANIC: (PanicError, None),
    _abi.TG_EEXIST: (TidegateError, errno.EEXIST),
    _abi.TG_ENOENT: (TidegateError, errno.ENOENT),
    _abi.TG_EBADFD: (TidegateError, errno.EBADF),
    _abi.TG_ETIMEDOUT: (TidegateError, errno.ETIMEDOUT),
    _abi.TG_ENOBUFS: (TidegateError, errno.ENOBUFS),
    _abi.TG_EBUSY: (TidegateError, errno.EBUSY),
}


def _mixed_with(builtin: type[OSError]) -> type[TidegateError]:
    """A TidegateError that an ``except PermissionError`` (and so on) catches too."""
    name = "Tidegate" + builtin.__name__
    return type(name, (TidegateError, builtin), {"__module__": __name__, "__doc__": builtin.__doc__})


# One class for each of Python's own subclasses of OSError, made once.
_MIXED: dict[type[OSError], type[TidegateError]] = {
    cls: _mixed_with(cls)
    for cls in (
        BlockingIOError,
        BrokenPipeError,
        ChildProcessError,
        ConnectionAbortedError,
        ConnectionRefusedError,
        ConnectionResetError,
        FileExistsError,
        FileNotFoundError,
        InterruptedError,
        IsADirectoryError,
        NotADirectoryError,
        PermissionError,
        ProcessLookupError,
        TimeoutError,
    )
}

# By name too, so that such an exception can be pickled.
globals().update({cls.__name__: cls for cls in _MIXED.values()})


def _class_for(errno_: int) -> type[TidegateError]:
    """TidegateError, or its mixture with the class that Python has for this errno."""
    return _MIXED.get(type(OSError(errno_, "")), TidegateError)


def make_error(code: int, message: str) -> TidegateError:
    """The exception for a negative ``code`` of the library; the caller raises it."""
    if code in _abi.ERRORS:
        cls, number = _OURS.get(code, (TidegateError, None))
        if cls is TidegateError and number is not None:
            cls = _class_for(number)
        name = _abi.ERRORS[code]
    else:
        number = -code
        cls, name = _class_for(number), errno.errorcode.get(number, "TG_UNKNOWN")
        message = message or os.strerror(number)
    error = cls(number, message)
    error.code, error.name = code, name
    return error
