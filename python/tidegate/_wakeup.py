"""Signals of the main thread, for as long as a loop runs in it.

The library waits outside of the interpreter, so a signal must end the wait for its Python handler to
run. While a loop runs, the interpreter's C-level handler writes to a socket that the loop watches;
every byte is passed on to the wakeup descriptor that was set before (asyncio's, say), which is set
again at the end. Ctrl-C does not strike in the middle of anything: the loop raises
KeyboardInterrupt between two callbacks; a second one while the first is pending is raised at once.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from types import FrameType
from typing import Callable

from ._process import PROCESS

_CHUNK = 4096


class Wakeup:
    """One loop's use of the process's wakeup descriptor and of SIGINT."""

    def __init__(self, on_interrupt: Callable[[], None]) -> None:
        #: True from a SIGINT until the loop has raised KeyboardInterrupt for it.
        self.interrupted = False
        self._on_interrupt = on_interrupt
        self._reader: socket.socket | None = None
        self._writer: socket.socket | None = None
        self._previous_fd = -1
        self._previous_sigint: object = None  # None: SIGINT is not ours
        self.active = False

    def prepare(self) -> int | None:
        """Makes the pair of sockets; the descriptor to watch when it is new, None when it is not.

        Only in the main thread: elsewhere Python's handlers never run, and None is returned.
        """
        if self._reader is not None or threading.current_thread() is not threading.main_thread():
            return None
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        self._reader, self._writer = reader, writer
        return reader.fileno()

    def install(self) -> None:
        """Takes SIGINT (where Python's default handler has it) and the wakeup descriptor."""
        if self._writer is None or threading.current_thread() is not threading.main_thread():
            return
        # SIGINT first: from then on nothing can interrupt the rest half-way.
        current = signal.getsignal(signal.SIGINT)
        if current is signal.default_int_handler or _is_ours(current):
            self._previous_sigint = current
            self.take_sigint()
        fd = self._writer.fileno()
        try:
            self._previous_fd = signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
            PROCESS.wakeups[fd] = self._previous_fd
            self.active = True
        except BaseException:
            self._restore_sigint()
            raise

    def take_sigint(self) -> None:
        """Makes SIGINT ours until uninstall(); it goes back to what was found by install()."""
        if self._previous_sigint is None:
            self._previous_sigint = signal.default_int_handler
        signal.signal(signal.SIGINT, self.handle_sigint)

    def uninstall(self) -> None:
        """Gives both back; raises the KeyboardInterrupt that is still pending, if one is."""
        if self.active and self._writer is not None:
            self.active = False
            fd = self._writer.fileno()
            current = signal.set_wakeup_fd(-1)
            # Whoever has set another one in the meantime keeps it.
            self._set_wakeup_fd(self._previous_fd if current == fd else current)
            self.drain()
            PROCESS.wakeups.pop(fd, None)
        self._restore_sigint()
        if self.interrupted:
            self.interrupted = False
            raise KeyboardInterrupt

    @staticmethod
    def _set_wakeup_fd(fd: int) -> None:
        """Sets the wakeup descriptor unless it has been closed since it was ours to give back."""
        try:
            signal.set_wakeup_fd(fd)
        except (OSError, ValueError):
            signal.set_wakeup_fd(-1)

    def _restore_sigint(self) -> None:
        """Python's own handler again, unless somebody has set another one meanwhile."""
        previous, self._previous_sigint = self._previous_sigint, None
        if previous is not None and signal.getsignal(signal.SIGINT) == self.handle_sigint:
            signal.signal(signal.SIGINT, previous)  # type: ignore[arg-type]

    def handle_sigint(self, signum: int, frame: FrameType | None) -> None:
        """The handler of SIGINT while the loop runs."""
        if self.interrupted:
            self.interrupted = False
            raise KeyboardInterrupt
        self.interrupted = True
        self._on_interrupt()

    def drain(self) -> None:
        """Reads what the C-level handlers have written and passes it on."""
        reader, previous = self._reader, self._previous_fd
        while reader is not None:
            try:
                data = reader.recv(_CHUNK)
            except (BlockingIOError, InterruptedError):
                return
            if not data:
                return
            if previous != -1:
                _forward(previous, data)

    def close(self) -> None:
        """Closes the pair of sockets; may be called twice."""
        for end in (self._reader, self._writer):
            if end is not None:
                end.close()
        self._reader = self._writer = None


def _is_ours(handler: object) -> bool:
    """Whether a SIGINT handler is that of a loop that runs further out on this stack."""
    return isinstance(getattr(handler, "__self__", None), Wakeup)


def original_sigint(handler: object) -> object:
    """The handler to go back to when ``handler`` was found: a loop's own is only there for a run."""
    return signal.default_int_handler if _is_ours(handler) else handler


def _forward(fd: int, data: bytes) -> None:
    """Writes to the previous wakeup descriptor as the interpreter would: what does not fit is lost."""
    try:
        if os.name == "nt":
            with socket.socket(fileno=os.dup(fd)) as target:
                target.send(data)
        else:
            os.write(fd, data)
    except OSError:
        pass
