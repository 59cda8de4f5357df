"""What the package must know about this process as a whole: whether it has been forked.

This is the package's only changing state outside of objects, because a fork happens to a process,
not to an object. One hook is registered for all loops: hooks cannot be taken back.
"""

from __future__ import annotations

import os
import signal
from typing import Protocol


class Running(Protocol):
    """A loop inside its run(), as far as a fork concerns it."""

    _attention: bool


class _Process:
    """One object, `PROCESS`."""

    def __init__(self) -> None:
        #: Counts the forks between the first process and this one.
        self.generation = 0
        #: Loops inside run(), of all threads.
        self.running: list[Running] = []
        #: Write ends that loops have given to signal.set_wakeup_fd(), and what was set before.
        self.wakeups: dict[int, int] = {}

    def after_fork_in_child(self) -> None:
        """In a new child: its loops are the parent's, and so is the other end of the wake-up pair."""
        self.generation += 1
        for loop in self.running:
            loop._attention = True
        try:
            current = signal.set_wakeup_fd(-1)
            while current in self.wakeups:
                current = self.wakeups[current]
            if current != -1:
                signal.set_wakeup_fd(current)
        except (ValueError, OSError):
            pass  # an interpreter without signals, or a descriptor that is gone: nothing to mend


PROCESS = _Process()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=PROCESS.after_fork_in_child)
