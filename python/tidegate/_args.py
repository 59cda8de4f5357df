"""Arguments converted as the standard library's select module converts them.

Python code that was written for ``select`` meets the same exceptions here: the same classes, and
the same words where programs or tests are known to look at them.
"""

from __future__ import annotations

import math
import operator
from typing import Any

INT_MAX = 2**31 - 1
INT_MIN = -(2**31)
UINT_MASK = 2**32 - 1
USHRT_MAX = 2**16 - 1
_NS_MAX = 2**63 - 1


def to_int(value: object, name: str) -> int:
    """A C int from anything that is an integer."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        kind = type(value).__name__
        raise TypeError(f"{name}: {kind!r} object cannot be interpreted as an integer") from None
    if not INT_MIN <= number <= INT_MAX:
        raise OverflowError("Python int too large to convert to C int")
    return number


def to_fd(fileobj: Any) -> int:
    """The descriptor of an int or of an object with a fileno() method."""
    if isinstance(fileobj, int):
        fd = fileobj
    else:
        try:
            method = fileobj.fileno
        except AttributeError:
            raise TypeError("argument must be an int, or have a fileno() method.") from None
        fd = method()
        if not isinstance(fd, int):
            raise TypeError("fileno() returned a non-integer")
    if not INT_MIN <= fd <= INT_MAX:
        raise OverflowError("Python int too large to convert to C int")
    if fd < 0:
        raise ValueError(f"file descriptor cannot be a negative integer ({fd})")
    return int(fd)


def _scaled(value: Any, unit_ns: int, complaint: str) -> int:
    """``value`` units in nanoseconds, away from zero, so that no wait is shorter than asked."""
    if isinstance(value, float):
        if math.isnan(value):
            raise ValueError("Invalid value NaN (not a number)")
        if math.isinf(value):
            raise OverflowError("timestamp too large to convert to C PyTime_t")
        numerator, denominator = value.as_integer_ratio()
        magnitude = -(-abs(numerator) * unit_ns // denominator)
        result = magnitude if numerator >= 0 else -magnitude
    else:
        try:
            result = operator.index(value) * unit_ns
        except TypeError:
            raise TypeError(complaint) from None
    if not -_NS_MAX <= result <= _NS_MAX:
        raise OverflowError("timestamp too large to convert to C PyTime_t")
    return result


def seconds_to_ns(value: Any, complaint: str) -> int:
    """A timeout in seconds (int or float) as nanoseconds; ``complaint`` is the TypeError's text."""
    return _scaled(value, 1_000_000_000, complaint)


def milliseconds_to_ns(value: Any, complaint: str) -> int:
    """A timeout in milliseconds (int or float) as nanoseconds."""
    return _scaled(value, 1_000_000, complaint)


def check_poll_range(timeout_ns: int) -> None:
    """poll() and epoll take a C int of milliseconds: more is refused here as there."""
    if not INT_MIN <= -(-timeout_ns // 1_000_000) <= INT_MAX:
        raise OverflowError("timeout is too large")


def to_event_mask16(value: Any) -> int:
    """The event mask of poll(): an unsigned short."""
    if not isinstance(value, int):
        raise TypeError(f"an integer is required (got type {type(value).__name__})")
    if value < 0:
        raise ValueError("value must be positive")
    if value > USHRT_MAX:
        raise OverflowError("Python int too large for C unsigned short")
    return value


def to_event_mask32(value: Any) -> int:
    """The event mask of epoll: the low 32 bits of any integer."""
    if not isinstance(value, int):
        raise TypeError(f"argument must be int, not {type(value).__name__}")
    return value & UINT_MASK
