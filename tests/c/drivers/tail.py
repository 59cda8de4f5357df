"""What may happen to the file that tail -F shows."""

from __future__ import annotations

import fcntl
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
from typing import List

from examples import LIMIT, Failure, Watched

#: More than the program reads at once, by far.
BURST = 1_000_000


def lines(length: int) -> bytes:
    """That many bytes, no two lines of which are the same."""
    return b"".join(b"line %d\n" % number for number in range(length // 6))[:length - 1] + b"\n"


def expect(watched: Watched, content: bytes) -> None:
    """It shows that next, and nothing else."""
    before = watched.until(content)
    if before:
        raise Failure(f"it said {before[:200]!r} before {content[:200]!r}")


def end_after(watched: Watched, how: signal.Signals = signal.SIGTERM) -> None:
    """It ends on a signal, and has said nothing more."""
    watched.end(how)
    if watched.output:
        raise Failure(f"it said {watched.output[:200]!r} at the end")


def show_itself(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """The demonstration. mutation: the example does not clear `replaced` when it opens a file."""
    done = subprocess.run([*wrapper, str(program)], env=env, capture_output=True, timeout=LIMIT, check=False)
    as_expected = done.stdout == b"one\ntwo\n3\nfour, in a new file\n" and b"-- cut short\n" in done.stderr
    if done.returncode != 0 or not as_expected:
        raise Failure(f"exit {done.returncode}: {done.stdout!r} {done.stderr!r}")


def follow_a_file(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """A file that comes up, grows, is cut short, rotated, replaced, and removed."""
    with tempfile.TemporaryDirectory() as place:
        log = pathlib.Path(place, "log")
        pathlib.Path(place, "log.0").write_text("first\n")
        with Watched([*wrapper, str(program), str(log)], env) as watched:
            pathlib.Path(place, "log.0").rename(log)
            expect(watched, b"first\n")
            with log.open("a") as file:
                for number in range(100):
                    file.write(f"line {number}\n")
                    file.flush()
            expect(watched, b"".join(b"line %d\n" % number for number in range(100)))
            log.write_text("short\n")
            expect(watched, b"-- cut short\nshort\n")
            with log.open("a") as file:
                log.rename(f"{log}.1")
                file.write("into the old one\n")
            log.write_text("rotated\n")
            expect(watched, b"into the old one\nrotated\n")
            pathlib.Path(place, "new").write_text("replaced\n")
            pathlib.Path(place, "new").replace(log)
            expect(watched, b"replaced\n")
            log.unlink()
            log.write_text("made anew\n")
            expect(watched, b"made anew\n")
            end_after(watched)


def follow_rotation(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Every line is shown once, in order. What is written through another name is not seen before the next change.

    mutation: the example goes over to a new file without having read the old one to its end.
    """
    with tempfile.TemporaryDirectory() as place:
        log, new = pathlib.Path(place, "log"), pathlib.Path(place, "new")
        log.write_bytes(b"first of 0\n")
        with Watched([*wrapper, str(program), str(log)], env) as watched:
            expect(watched, b"first of 0\n")
            for number in range(10):
                old = pathlib.Path(f"{log}.{number}")
                os.link(log, old)
                with log.open("ab") as file:
                    file.write(b"middle of %d\n" % number)
                expect(watched, b"middle of %d\n" % number)
                with old.open("ab") as file:
                    file.write(b"last of %d\n" % number)
                new.write_bytes(b"first of %d\n" % (number + 1))
                new.replace(log)
                expect(watched, b"last of %d\nfirst of %d\n" % (number, number + 1))
            end_after(watched, signal.SIGINT)


def follow_truncation(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """mutation: the example does not go back to the beginning of a file that is shorter than what was shown of it."""
    with tempfile.TemporaryDirectory() as place:
        log = pathlib.Path(place, "log")
        log.write_bytes(b"much longer than what follows\n")
        with Watched([*wrapper, str(program), str(log)], env) as watched:
            expect(watched, b"much longer than what follows\n")
            for length in range(9, 0, -1):
                os.truncate(log, 0)
                expect(watched, b"-- cut short\n")
                with log.open("ab") as file:
                    file.write(b"x" * length + b"\n")
                expect(watched, b"x" * length + b"\n")
            end_after(watched)


def follow_a_burst(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Many reads at the beginning, and many at once later. mutation: the example reads once for each change."""
    with tempfile.TemporaryDirectory() as place:
        log = pathlib.Path(place, "log")
        content = lines(BURST)
        log.write_bytes(content)
        with Watched([*wrapper, str(program), str(log)], env) as watched:
            expect(watched, content)
            with log.open("ab") as file:
                file.write(content)
            expect(watched, content)
            end_after(watched)


def refuse(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """What is not a regular file. mutation: the example opens what it was told to without asking what it is."""
    with tempfile.TemporaryDirectory() as place, socket.socket(socket.AF_UNIX) as listener:
        fifo, directory, name = (pathlib.Path(place, name) for name in ("fifo", "directory", "socket"))
        os.mkfifo(fifo)
        directory.mkdir()
        listener.bind(str(name))
        for path in (fifo, directory, name, pathlib.Path("/dev/zero")):
            done = subprocess.run([*wrapper, str(program), str(path)], env=env, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=LIMIT, check=False)
            if done.returncode != 1 or done.stdout != b"%s: not a regular file\n" % os.fsencode(path):
                raise Failure(f"{path}: exit {done.returncode}: {done.stdout[:200]!r}")


def refuse_later(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """A FIFO that takes the file's place. mutation: as of `refuse`."""
    with tempfile.TemporaryDirectory() as place:
        log = pathlib.Path(place, "log")
        log.write_bytes(b"regular\n")
        with Watched([*wrapper, str(program), str(log)], env) as watched:
            expect(watched, b"regular\n")
            os.mkfifo(f"{log}.fifo")
            os.rename(f"{log}.fifo", log)
            expect(watched, b"%s: not a regular file\n" % os.fsencode(log))
            if watched.process.wait(LIMIT) != 1:
                raise Failure(f"exit {watched.process.returncode}")


def end_while_nothing_happens(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """With a file, and when it is gone. mutation: the example waits for a change by reading."""
    for how, is_there in ((signal.SIGTERM, True), (signal.SIGINT, False)):
        with tempfile.TemporaryDirectory() as place:
            log = pathlib.Path(place, "log")
            log.write_bytes(b"all\n")
            with Watched([*wrapper, str(program), str(log)], env) as watched:
                expect(watched, b"all\n")
                if not is_there:
                    log.unlink()
                end_after(watched, how)


def ends_with(watched: Watched, content: bytes) -> None:
    """It shows that, says that the directory is gone, and ends."""
    rest, _ = watched.process.communicate(timeout=LIMIT)
    shown = watched.output + rest
    if watched.process.returncode != 0 or shown.replace(b"-- the directory is gone\n", b"", 1) != content:
        raise Failure(f"exit {watched.process.returncode}: {len(shown)} bytes")


def end_when_the_directory_moves(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """The file's last lines are shown. mutation: the example stops as soon as the directory is gone."""
    with tempfile.TemporaryDirectory() as place:
        log = pathlib.Path(place, "logs", "log")
        log.parent.mkdir()
        log.write_bytes(b"first\n")
        with Watched([*wrapper, str(program), str(log)], env) as watched:
            expect(watched, b"first\n")
            with log.open("ab") as file:
                file.write(lines(BURST))
            log.parent.rename(pathlib.Path(place, "elsewhere"))
            ends_with(watched, lines(BURST))


def end_when_the_directory_is_removed(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """(The name is a link: what is open would keep its directory alive.)

    mutation: the example only takes a last look.
    """
    with tempfile.TemporaryDirectory() as place:
        log = pathlib.Path(place, "logs", "log")
        log.parent.mkdir()
        log.symlink_to("../elsewhere")
        pathlib.Path(place, "elsewhere").write_bytes(b"first\n")
        with Watched([*wrapper, str(program), str(log)], env) as watched:
            expect(watched, b"first\n")
            log.unlink()
            log.parent.rmdir()
            ends_with(watched, b"")


def end_while_opening(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """A file whose opening waits: here for a lease, as it would for the writer of a FIFO that has just taken the name.

    mutation: the example frees its loop, which waits for its threads, whatever they do. (A lease is broken after
    lease-break-time, 45 seconds; then it is no longer "BREAKING".)
    """
    with tempfile.NamedTemporaryFile() as file:
        asked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
        try:
            fcntl.fcntl(file.fileno(), fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as error:
            print(f"no leases on {file.name}: {error}")
            return
        try:
            with Watched([*wrapper, str(program), file.name], env) as watched:
                if signal.sigtimedwait([signal.SIGIO], LIMIT) is None:
                    raise Failure("it has not opened the file")
                end_after(watched)
                inode = b":%d " % os.fstat(file.fileno()).st_ino
                held = [line for line in pathlib.Path("/proc/locks").read_bytes().splitlines() if inode in line]
                if not any(b"BREAKING" in line for line in held):
                    raise Failure(f"it has waited until the file was open: {held}")
        finally:
            fcntl.fcntl(file.fileno(), fcntl.F_SETLEASE, fcntl.F_UNLCK)
            signal.sigtimedwait([signal.SIGIO], 0)
            signal.pthread_sigmask(signal.SIG_SETMASK, asked)


DRIVERS = [show_itself, follow_a_file, follow_rotation, follow_truncation, follow_a_burst, refuse, refuse_later,
           end_while_nothing_happens, end_when_the_directory_moves, end_when_the_directory_is_removed,
           end_while_opening]

#: The thread that waits is left behind, which is no leak, but looks like one.
NATIVE_ONLY = {end_while_opening}
