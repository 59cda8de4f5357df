"""The supervisor: what it restarts, how it ends, and what goes with it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
from typing import Iterator, List

from examples import LIMIT, Failure, Watched

from .common import expect, until


def runs(pid: int) -> bool:
    """Whether a process is there; one that has ended, and that nobody has reaped, is not."""
    try:
        status = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rsplit(")", 1)[1].split()[0] not in "ZX"


@contextlib.contextmanager
def ending(pid: int) -> Iterator[None]:
    """A process that must be gone behind this; if not, it is ended."""
    try:
        yield
        until(lambda: not runs(pid), lambda: f"process {pid} is still there")
    finally:
        with contextlib.suppress(ProcessLookupError):
            if runs(pid):
                os.kill(pid, signal.SIGKILL)


def outcome(program: pathlib.Path, wrapper: List[str], env: dict, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([*wrapper, str(program), *arguments], env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=LIMIT, check=False)


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
    """No restart is left: whoever watches the supervisor sees a failure. (mutation: give_up does not set gave_up)"""
    done = outcome(program, wrapper, env, "-n", "4", "sh", "-c", "exit 7")
    expect(done.returncode == 1 and done.stdout.count(b"it has returned 7") == 5,
           f"exit {done.returncode}: {done.stdout!r}")


def restart_fails(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """The program is there only once. (mutation: on_timer calls finish when it cannot start)"""
    with tempfile.TemporaryDirectory() as place:
        script = pathlib.Path(place, "once")
        script.write_text('#!/bin/sh\nrm "$0"\n')
        script.chmod(0o755)
        done = outcome(program, wrapper, env, str(script))
    expect(done.returncode == 1 and b"giving up: " in done.stdout and b"No such file" in done.stdout,
           f"exit {done.returncode}: {done.stdout!r}")


def stop_with_grandchild(program: pathlib.Path, wrapper: List[str], env: dict, trap: str) -> None:
    script = f"{trap} sleep 600 & echo it is $!.; wait"
    with Watched([*wrapper, str(program), "sh", "-c", script], env) as watched:
        watched.until(b"it is ")
        with ending(int(watched.until(b"."))):
            watched.end()


def stop_the_whole_group(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """What the program has started goes with it. (mutation: tell_group calls tg_process_kill)"""
    stop_with_grandchild(program, wrapper, env, "")


def stop_who_outlives_the_first(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """One that takes its time is waited for, although the program itself is gone. (mutations: on_exit_of_child calls
    finish while stopping, or kills at once what is left)"""
    slow = "trap 'read x < \"$0\"; echo in good order; exit' TERM; echo it is $$.; while :; do sleep 0.01; done"
    with tempfile.TemporaryDirectory() as place:
        fifo = pathlib.Path(place, "fifo")
        os.mkfifo(fifo)
        command = [*wrapper, str(program), "sh", "-c", 'sh -c "$0" "$1" & wait', slow, str(fifo)]
        with fifo.open("r+b", buffering=0) as go_on, Watched(command, env) as watched:
            watched.until(b"it is ")
            with ending(int(watched.until(b"."))):
                watched.process.send_signal(signal.SIGTERM)
                watched.until(b"signal 15")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    watched.process.wait(0.3)  # given time to make the mistake
                expect(watched.process.poll() is None, "it has not waited")
                go_on.write(b"go on\n")
                watched.until(b"in good order")
                watched.process.communicate(timeout=LIMIT)
                expect(watched.process.returncode == 0, f"exit {watched.process.returncode}")


def stop_the_stubborn(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Who does not listen is killed after a while. (mutation: look does not kill)"""
    stop_with_grandchild(program, wrapper, env, "trap '' TERM;")


def left_behind(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """What a program that ends leaves behind is gone before the next one. (mutation: no tell_group in
    on_exit_of_child)"""
    script = "sleep 600 & echo it is $!.; kill -9 $$"
    with Watched([*wrapper, str(program), "-n", "0", "sh", "-c", script], env) as watched:
        watched.until(b"it is ")
        with ending(int(watched.until(b"."))):
            watched.process.communicate(timeout=LIMIT)
            expect(watched.process.returncode == 1, f"exit {watched.process.returncode}")


def usage(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """(mutation: arguments looks at no number)"""
    for arguments in (("-n",), ("-n", "3"), ("-n", "abc", "true"), ("-n", "3x", "true"), ("-n", "-1", "true"),
                      ("-n", "", "true"), ("-x", "true"), ("--",)):
        done = outcome(program, wrapper, env, *arguments)
        expect(done.returncode == 2 and b"usage: " in done.stdout, f"{arguments}: {done.returncode}: {done.stdout!r}")
    done = outcome(program, wrapper, env, "-n", "0", "sh", "-c", 'printf "%s." "$@"', "sh", "-n", "7")
    expect(b"-n.7." in done.stdout, f"it took what is the program's: {done.stdout!r}")


DRIVERS = [supervise, restart_a_few_times, restart_fails, stop_the_whole_group, stop_who_outlives_the_first,
           stop_the_stubborn, left_behind, usage]
