"""Descriptors as the loop and the selectors accept them."""

from __future__ import annotations

from typing import Any, Protocol, Union


class HasFileno(Protocol):
    """A file, a socket, or anything else with a descriptor."""

    def fileno(self) -> int:
        """The descriptor."""


#: What fits into a C int.
_LARGEST = 2**31 - 1

FileDescriptorLike = Union[int, HasFileno]


def to_fd(fileobj: Any) -> int:
    """The descriptor of an int or an object with fileno(); ValueError when it has none, OverflowError for no C int."""
    if isinstance(fileobj, int):
        fd = fileobj
    else:
        try:
            fd = int(fileobj.fileno())
        except (AttributeError, TypeError, ValueError):
            raise ValueError(f"Invalid file object: {fileobj!r}") from None
    if fd < 0:
        raise ValueError(f"Invalid file descriptor: {fd}")
    if fd > _LARGEST:
        raise OverflowError(f"Python int too large to convert to C int: {fd}")
    return fd
