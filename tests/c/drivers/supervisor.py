"""The supervisor: what it restarts, how it ends, and what goes with it."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
from typing import List

from examples import LIMIT, Failure, Watched


def supervise(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """It restarts what is killed, and ends with its child."""
    watched = Watched([*wrapper, str(program), "sh", "-c", "exec sleep 600"], env)
    pids = []
    for _ in range(3):
        watched.until(b"started sh as ")
        pids.append(int(watched.until(b"\n")))
        if len(pids) < 3:
            os.kill(pids[-1], signal.SIGKILL)
            watched.until(b"signal 9")
    watched.end()
    if b"ended by signal 15" not in watched.output or len(set(pids)) != 3:
        raise Failure(f"{pids}: {watched.output!r}")
    try:
        os.kill(pids[-1], 0)
    except ProcessLookupError:
        return
    raise Failure("its child is still there")


def restart_a_few_times(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    done = subprocess.run([*wrapper, str(program), "-n", "4", "sh", "-c", "exit 7"], env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=LIMIT, check=False)
    if done.returncode != 0 or done.stdout.count(b"it has returned 7") != 5:
        raise Failure(f"exit {done.returncode}: {done.stdout!r}")


DRIVERS = [supervise, restart_a_few_times]
