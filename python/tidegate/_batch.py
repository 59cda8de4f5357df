"""One loop of the library, used in batches: its id, its shared memory, its watchers."""

from __future__ import annotations

import ctypes
import struct

from . import _abi, _ffi


def _word(name: str, size: int) -> int:
    """The index of a member of tg_batch in an array of members of ``size`` bytes."""
    return int(getattr(_abi.tg_batch, name).offset) // size


def _view(address: int, size: int) -> memoryview:
    """The memory itself, not a copy."""
    return memoryview((ctypes.c_char * size).from_address(address)).cast("B")


# Where the shared header has what is read and written in every turn.
RECORD_COUNT = _word("record_count", 4)
RECORD_CURSOR = _word("record_cursor", 4)
_TIMEOUT = _word("timeout_ns", 8)

#: tg_record: handle, user, kind, bits, value.
RECORD = struct.Struct("=QQIIq")


class Batch:
    """A batch loop of the library; it belongs to the thread that makes it.

    The results of a turn live in memory that the library shares, with a cursor that the reader
    moves: an exception between the library's answer and its use (KeyboardInterrupt can fall there)
    loses nothing, because the next turn presents again what was not consumed.
    """

    def __init__(self) -> None:
        options = _abi.tg_loop_options(size=ctypes.sizeof(_abi.tg_loop_options), flags=_abi.TG_LOOP_BATCH)
        # The object that the hot call takes as it is; see _ffi.batch_turn.
        self._id = _abi.tg_loop()
        _ffi.check(_ffi.loop_new(ctypes.byref(options), ctypes.byref(self._id)))
        try:
            # Python decides when a loop has nothing left to do: to the library it is always alive.
            _ffi.check(_ffi.loop_hold(self._id))
            self._map()
        except BaseException:
            _ffi.loop_free(self._id)
            raise

    def _map(self) -> None:
        """Views of the shared header and of the records; they stay valid until free()."""
        pointer = ctypes.POINTER(_abi.tg_batch)()
        _ffi.check(_ffi.batch_get(self._id, ctypes.byref(pointer)))
        header = pointer.contents
        if header.record_size != RECORD.size:
            raise ImportError(f"a record has {header.record_size} bytes, not {RECORD.size}")
        memory = _view(ctypes.addressof(header), ctypes.sizeof(header))
        self.words = memory.cast("I")
        self._times = memory.cast("q")
        size = header.record_capacity * RECORD.size
        first = ctypes.cast(header.records, ctypes.c_void_p).value
        self.records = _view(first or 0, size)

    def turn(self, timeout_ns: int) -> None:
        """One turn: waits at most ``timeout_ns`` (-1: for ever) and fills the records."""
        self._times[_TIMEOUT] = timeout_ns
        code = _ffi.batch_turn(self._id)
        if code < 0:
            raise _ffi.error(code)

    def take_over(self) -> bool:
        """Whether the loop is this thread's now: its own has ended."""
        return bool(_ffi.loop_attach(self._id) == 0)

    def wake(self) -> None:
        """Ends the wait of the current turn, or of the next one; any thread."""
        _ffi.wake(self._id.value)

    def watch(self, fd: int, interest: int, flags: int = 0) -> int:
        """Opens a level-triggered watcher; its id. Regular files are always ready."""
        options = _abi.tg_io_options(size=ctypes.sizeof(_abi.tg_io_options), flags=flags)
        opened = _abi.tg_handle()
        _ffi.check(_ffi.io_open(self._id, fd, interest, ctypes.byref(options), ctypes.byref(opened)))
        return opened.value

    def unwatch(self, watcher: int) -> None:
        """Closes a watcher; its descriptor is not touched."""
        _ffi.check(_ffi.handle_close(watcher))

    def free(self) -> int:
        """Frees the loop and closes what is open in it; 0 or the library's code."""
        code = int(_ffi.loop_free(self._id))
        return min(code, 0)
