"""Finds and loads the shared library, and gives its functions to the rest of the package.

Which library: the one that the environment variable ``TIDEGATE_LIBRARY`` names; else the one
inside the package (a wheel puts it there); else ``target/release`` of a source checkout.

A function that may wait, or that frees what another thread may be waiting on, is called without
the interpreter lock (`ctypes.CDLL`); the others are so short that giving the lock up would cost more
than the call (`ctypes.PyDLL`). No callback object ever crosses this boundary: an exception inside
one would be lost, and a collected one a crash.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any, Callable, NoReturn

from . import _abi
from ._errors import TidegateError, make_error

_NAMES = {"darwin": "libtidegate.dylib", "win32": "tidegate.dll"}
_FILE_NAME = _NAMES.get(sys.platform, "libtidegate.so")


def _candidates() -> list[Path]:
    """Where the library may be, in the order of preference."""
    named = os.environ.get("TIDEGATE_LIBRARY")
    if named:
        return [Path(named)]
    package = Path(__file__).resolve().parent
    return [package / _FILE_NAME, package.parents[1] / "target" / "release" / _FILE_NAME]


def _find() -> Path:
    """The first candidate that exists; ImportError with the places looked at otherwise."""
    candidates = _candidates()
    for path in candidates:
        if path.is_file():
            return path
    places = ", ".join(str(path) for path in candidates)
    raise ImportError(
        f"Tidegate's shared library was not found; looked at: {places}. Build it with "
        "`cargo build --release`, or let TIDEGATE_LIBRARY name it."
    )


def _load(path: Path) -> tuple[ctypes.CDLL, ctypes.PyDLL]:
    """The library, opened both ways."""
    try:
        return ctypes.CDLL(str(path)), ctypes.PyDLL(str(path))
    except OSError as error:
        raise ImportError(f"cannot load Tidegate's shared library {path}: {error}") from error


_PATH = _find()
_UNLOCKED, _LOCKED = _load(_PATH)


def _bind(name: str, *, waits: bool = False, arguments: Any = None) -> Callable[..., Any]:
    """The function ``name`` with the types of the header; ``arguments`` replaces its argtypes."""
    # getattr() on a library hands out one shared object per name; indexing makes a new one, so
    # that setting types here changes nothing for other users of the same CDLL object.
    try:
        function = (_UNLOCKED if waits else _LOCKED)[name]
    except AttributeError:
        raise ImportError(
            f"{_PATH} has no {name}: it is not the libtidegate {_abi.TG_VERSION} that this package was made for"
        ) from None
    result, expected = _abi.PROTOTYPES[name]
    function.restype = result
    function.argtypes = expected if arguments is None else arguments
    return function


def _check_version() -> None:
    """Refuses a library of another minor version: the package is generated from one header and ships with it."""
    number = int(_bind("tg_version_number")())
    found = (number >> 16, (number >> 8) & 0xFF)
    if found != (_abi.TG_VERSION_MAJOR, _abi.TG_VERSION_MINOR):
        raise ImportError(
            f"{_PATH} is libtidegate {found[0]}.{found[1]}, but this package needs "
            f"{_abi.TG_VERSION_MAJOR}.{_abi.TG_VERSION_MINOR}"
        )


_check_version()

# Error and version.
version = _bind("tg_version")
backend_name = _bind("tg_backend_name")
err_name = _bind("tg_err_name")
strerror = _bind("tg_strerror")
last_error = _bind("tg_last_error")
get_process_stats = _bind("tg_get_process_stats")
now_ns = _bind("tg_now_ns")

# Loop.
loop_new = _bind("tg_loop_new")
loop_free = _bind("tg_loop_free", waits=True)
loop_attach = _bind("tg_loop_attach")
loop_hold = _bind("tg_loop_hold")
loop_wake = _bind("tg_loop_wake")
batch_get = _bind("tg_batch_get")
handle_close = _bind("tg_close")
io_open = _bind("tg_io_open")

# The hot call. Without argtypes ctypes passes a ready-made c_uint64 as it is, which halves the
# cost of the call; whoever calls it must hand over exactly such an object.
batch_turn = _bind("tg_batch_turn", waits=True)
batch_turn.argtypes = None  # type: ignore[attr-defined]

# Poller; the arrays go over as addresses.
poller_new = _bind("tg_poller_new")
poller_free = _bind("tg_poller_free", waits=True)
poller_add = _bind("tg_poller_add")
poller_modify = _bind("tg_poller_modify")
poller_remove = _bind("tg_poller_remove")
poller_get_fd = _bind("tg_poller_get_fd")
poller_wait = _bind(
    "tg_poller_wait",
    waits=True,
    arguments=(_abi.tg_poller, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64),
)
poll_once = _bind(
    "tg_poll_once",
    waits=True,
    arguments=(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64, ctypes.c_uint32),
)


def error(code: int) -> TidegateError:
    """The exception for ``code``, in the words of the last failure of this thread."""
    text = last_error() or strerror(code) or b""
    return make_error(code, bytes(text).decode("utf-8", "replace"))


def check(code: int) -> int:
    """``code`` when it is 0 or a count; raises the TidegateError for it otherwise."""
    if code < 0:
        raise error(code)
    return code


def wake(loop: int) -> None:
    """``tg_loop_wake``, which may be called by a signal handler and therefore leaves no words of its own."""
    code = loop_wake(loop)
    if code < 0:
        name, text = bytes(err_name(code) or b"").decode(), bytes(strerror(code) or b"").decode()
        raise make_error(code, f"tg_loop_wake(loop = {loop:#x}): {name}: {text}")


def raise_os_error(code: int) -> NoReturn:
    """What the drop-ins raise: a plain OSError for ``-errno``, a TidegateError for our codes."""
    if code > -4000:
        raise OSError(-code, os.strerror(-code))
    raise error(code)
