"""What every suite needs: results with names, and commands with a time limit."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
TARGET = TOP / os.environ.get("CARGO_TARGET_DIR", "target")
DIST = TARGET / "dist"
VENV = TOP / ".venv"
HEADER = TOP / "include" / "tidegate.h"
SYMBOLS = TOP / "abi" / "symbols.txt"
LOG_TAIL = 40  # lines of a failed command that are shown; the whole of it is in the log


class Result:
    """How a command ended, and everything that it wrote."""

    def __init__(self, command, status, output):
        self.command = command
        self.status = status
        self.output = output

    @property
    def ok(self):
        return self.status == 0

    def tail(self):
        lines = self.output.rstrip().splitlines()[-LOG_TAIL:]
        return "\n".join([f"$ {' '.join(self.command)}", *lines, f"exit status {self.status}"])


class Suite:
    """The results of one suite. Failures and skips are shown when they happen."""

    def __init__(self, name):
        self.name = name
        self.passed = 0
        self.failures = []
        self.skips = []
        self.started = time.monotonic()
        self.log_path = TARGET / "test-logs" / f"{name}.log"
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        # Appending, since commands write to it too.
        self.log_path.write_text("")
        self.log = self.log_path.open("a")

    def ok(self, name):
        self.passed += 1
        self.log.write(f"ok {name}\n")

    def fail(self, name, detail=""):
        self.failures.append(name)
        self.log.write(f"FAIL {name}\n{detail}\n")
        print(f"FAIL {self.name}/{name}", flush=True)
        for line in str(detail).splitlines():
            print(f"     {line}", flush=True)

    def skip(self, name, reason):
        self.skips.append((f"{self.name}/{name}", reason))
        self.log.write(f"SKIP {name}: {reason}\n")
        print(f"SKIP {self.name}/{name}: {reason}", flush=True)

    def note(self, text):
        self.log.write(text + "\n")
        print(f"     {text}", flush=True)

    def check(self, name, condition, detail=""):
        """One assertion with a name; detail is shown when it does not hold."""
        if condition:
            self.ok(name)
        else:
            self.fail(name, detail)
        return bool(condition)

    def none_of(self, name, offences):
        """Passes when the list of offences is empty."""
        return self.check(name, not offences, "\n".join(offences))

    def command(self, name, command, seconds=120, **options):
        """A check that is a command which must end with 0."""
        result = self.run(command, seconds, **options)
        self.check(name, result.ok, result.tail())
        return result

    def run(self, command, seconds=120, cwd=TOP, env=None):
        """Runs a command in a session of its own; past its time, all that it started is ended.

        It writes to the log itself, not to a pipe, which a process that it left behind could hold open.
        """
        command = [str(part) for part in command]
        self.log.write(f"$ {' '.join(command)}\n")
        self.log.flush()
        begin = self.log_path.stat().st_size
        try:
            child = subprocess.Popen(command, cwd=cwd, env=environment(env), stdin=subprocess.DEVNULL,
                                     stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True)
        except OSError as error:
            return Result(command, 127, str(error))
        try:
            status = child.wait(seconds)
        except subprocess.TimeoutExpired:
            status = f"none: ended after {seconds} s"
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        with self.log_path.open("rb") as written:
            written.seek(begin)
            return Result(command, status, written.read().decode(errors="replace"))

    def close(self):
        """The suite's line in the summary. A suite in which nothing ran has failed."""
        if not (self.passed or self.failures or self.skips):
            self.fail("nothing-ran", "the suite found nothing to run")
        self.log.close()
        seconds = time.monotonic() - self.started
        print(f"     {self.passed} passed, {len(self.failures)} failed, {len(self.skips)} skipped in {seconds:.0f} s",
              flush=True)
        return f"SUITE {self.name}: {self.passed} passed, {len(self.failures)} failed"


def environment(changes=None):
    """The environment of every command: the library just built, and no header written behind our back.

    A value of None removes a variable.
    """
    env = dict(os.environ, TIDEGATE_HEADER_CHECK="1", TIDEGATE_LIBRARY=str(DIST / "libtidegate.so"),
               PYTHONPATH=str(TOP / "python"), PYTHONDONTWRITEBYTECODE="1", CARGO_TERM_COLOR="never", LC_ALL="C")
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
        env.pop(name, None)
    for name, value in (changes or {}).items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = str(value)
    return env


def have(tool):
    return shutil.which(tool) is not None


def version():
    """The version in Cargo.toml, which every other place must agree with."""
    for line in (TOP / "Cargo.toml").read_text().splitlines():
        if line.startswith('version = "'):
            return line.split('"')[1]
    sys.exit("Cargo.toml has no version")


def symbols():
    """The exported symbols that abi/symbols.txt lists."""
    return SYMBOLS.read_text().split()


def shown(path):
    """A path as a reader of the repository knows it."""
    return str(pathlib.Path(path).relative_to(TOP))
