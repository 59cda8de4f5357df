#!/usr/bin/env python3
"""Builds and runs the C tests and the C examples.

    tests/c/run.sh                  natively
    tests/c/run.sh --valgrind       memcheck, and helgrind for what is threaded
    tests/c/run.sh --asan           AddressSanitizer and UndefinedBehaviorSanitizer, in the library too
    tests/c/run.sh timers loop      only these programs ("examples": all of those)

What a mode needs beside the ordinary library is built by cargo, unless its path is given: --asan=ARCHIVE
for a libtidegate.a made with AddressSanitizer, --panic-library=LIBRARY for one with panic-injection.

Prints "PASS name: ...", "FAIL name: ..." or "SKIP name: reason" for each program, all that a failing one
said, and at last "SUITE c: N passed, N failed".
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
from typing import List, Optional, Sequence, Tuple

sys.dont_write_bytecode = True

import examples  # noqa: E402
import libraries  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
STATIC_LIBS = ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
# Valgrind runs one thread at a time; without --fair-sched those that spin can keep the others out for minutes.
MEMCHECK = ["valgrind", "-q", "--fair-sched=try", "--error-exitcode=99", "--leak-check=full", "--num-callers=30",
            f"--suppressions={HERE / 'memcheck.supp'}"]
HELGRIND = ["valgrind", "-q", "--fair-sched=try", "--tool=helgrind", "--error-exitcode=99", "--num-callers=30",
            f"--suppressions={HERE / 'helgrind.supp'}"]
#: Programs that take the path of the list of exported symbols.
TAKES_SYMBOLS = {"misuse", "wrong_thread", "panic"}
#: Programs that start threads, or let the library start some: they run under helgrind, too.
THREADED = {"batch", "connect_name", "error_options", "files", "files_batch", "files_hazards", "fork_conn",
            "fork_connect_name", "fork_group", "fork_pool", "group", "loop", "loop_hazards", "misuse", "no_threads",
            "options_size", "panic", "poller", "processes", "processes_more", "resolve", "resolve_hazards",
            "resolve_no_descriptor", "signals", "threads", "work", "wrong_thread"}
#: What a program says that has started threads (harness.h), and what an example calls to do so.
STARTED_THREADS = "# threads were started"
STARTS_THREADS = re.compile(r"\b(pthread_create|tg_(work|resolve|resolve_name|process)_open|tg_group_new|"
                            r"tg_conn_connect_name|tg_(file|path)_\w+)\(")
#: Examples that need a library which is not everywhere: its header, how to link it, and what Debian calls it.
NEEDS = {"20_http": ("http_parser.h", ["-lhttp_parser"], "libhttp-parser-dev")}
#: A hung program is ended by its own watchdog; this is for when even that fails.
LIMIT_SECONDS = 600


class Suite:
    """What was run, and with which result."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    def add(self, name: str, passed: int, failed: int, output: str) -> None:
        self.passed += passed
        self.failed += failed
        verdict = "PASS" if failed == 0 and passed > 0 else "FAIL"
        print(f"{verdict} {name}: {passed} passed, {failed} failed")
        for line in output.splitlines():
            if line.startswith("SKIP "):
                print(line)
        if failed or not passed:
            for line in output.splitlines():
                print(f"  | {line}")
        sys.stdout.flush()

    def skip(self, name: str, reason: str) -> None:
        print(f"SKIP {name}: {reason}", flush=True)


def summary(output: str, status: int) -> Tuple[int, int]:
    """The counts of a program's last line; what it did not survive is one more failure."""
    found = re.findall(r"^(\d+) passed, (\d+) failed$", output, re.M)
    passed, failed = (int(found[-1][0]), int(found[-1][1])) if found else (0, 0)
    if status != 0 and failed == 0:
        failed = 1
    if not found and status == 0:
        failed = 1
    return passed, failed


def run(command: List[str], env: Optional[dict] = None) -> Tuple[int, str]:
    """Exit status and output of a command; -9 when it had to be ended."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env,
                              stdin=subprocess.DEVNULL, timeout=LIMIT_SECONDS, check=False)
    except subprocess.TimeoutExpired as late:
        text = (late.stdout or b"").decode("utf-8", "replace")
        return -9, text + f"\nended after {LIMIT_SECONDS} seconds"
    return done.returncode, done.stdout.decode("utf-8", "replace")


class Builder:
    """Compiles one C file against the header and the library."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.out = pathlib.Path(options.build) / ("asan" if options.asan else "plain")
        self.out.mkdir(parents=True, exist_ok=True)

    def link(self, library: pathlib.Path) -> List[str]:
        if library.suffix == ".a":
            return [str(library), *STATIC_LIBS]
        where = libraries.under_its_soname(library, self.out)
        return [str(library), f"-Wl,-rpath,{where}", "-pthread", "-ldl"]

    def flags(self) -> List[str]:
        return [*SANITIZE, "-O1", "-g"] if self.options.asan else ["-O1", "-g"]

    def has(self, header: str) -> bool:
        """Whether a header is installed."""
        done = subprocess.run([self.options.cc, "-E", "-"], input=f"#include <{header}>\n".encode(),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return done.returncode == 0

    def build(self, source: pathlib.Path, library: pathlib.Path, strict: List[str],
              more: Sequence[str] = ()) -> Tuple[Optional[pathlib.Path], str]:
        target = self.out / source.stem
        command = [self.options.cc, *strict, *self.flags(), f"-I{self.options.include}",
                   str(source), "-o", str(target), *self.link(library), *more]
        status, output = run(command)
        return (target if status == 0 else None), output


def prove_asan(suite: Suite, builder: Builder, library: pathlib.Path) -> None:
    """AddressSanitizer is in the programs, and in the library itself."""
    source = HERE / "asan_proof.c"
    program, output = builder.build(source, library, STRICT)
    if program is None:
        suite.add("asan_proof", 0, 1, output)
        return
    for where in ("program", "library"):
        status, output = run([str(program), where])
        caught = status != 0 and "AddressSanitizer: heap-use-after-free" in output
        suite.add(f"asan-is-in-the-{where}", int(caught), int(not caught), output)


def environment(options: argparse.Namespace) -> dict:
    env = dict(os.environ)
    if options.valgrind:
        env["TIDEGATE_TEST_SLOW"] = "1"
    env["RUST_BACKTRACE"] = "0"  # panic.c makes panics by the dozen
    env["ASAN_OPTIONS"] = "detect_leaks=1:abort_on_error=0:allocator_may_return_null=1"
    return env


def run_program(suite: Suite, options: argparse.Namespace, name: str,
                program: pathlib.Path) -> None:
    command = [str(program)]
    if name in TAKES_SYMBOLS:
        command.append(str(options.symbols))
    under = [*MEMCHECK, *command] if options.valgrind else command
    status, output = run(under, environment(options))
    suite.add(f"{name}-memcheck" if options.valgrind else name, *summary(output, status), output)
    if STARTED_THREADS in output and name not in THREADED:
        suite.add(f"{name}-is-run-under-helgrind", 0, 1, "it starts threads, and THREADED does not name it")


def run_helgrind(suite: Suite, options: argparse.Namespace, builder: Builder) -> None:
    """The programs with threads, on a library that tells helgrind of its synchronisation."""
    names = sorted(name for name in THREADED if not options.names or name in options.names)
    for name in names:
        library = libraries.with_helgrind_notes(panics=name == "panic")
        program, output = builder.build(HERE / f"{name}.c", library, STRICT)
        if program is None:
            suite.add(f"{name}-build", 0, 1, output)
            continue
        command = [*HELGRIND, str(program)]
        if name in TAKES_SYMBOLS:
            command.append(str(options.symbols))
        status, output = run(command, environment(options))
        suite.add(f"{name}-helgrind", *summary(output, status), output)


def run_tests(suite: Suite, options: argparse.Namespace, builder: Builder,
              library: pathlib.Path) -> None:
    for source in sorted(HERE.glob("*.c")):
        name = source.stem
        if name == "asan_proof" or (options.names and name not in options.names):
            continue
        wanted = library
        if name == "panic":
            if options.asan:
                continue  # the archive with AddressSanitizer has no panic-injection
            wanted = libraries.with_panics(options.panic_library)
        program, output = builder.build(source, wanted, STRICT)
        if program is None:
            suite.add(f"{name}-build", 0, 1, output)
            continue
        run_program(suite, options, name, program)


def run_example(suite: Suite, options: argparse.Namespace, builder: Builder, library: pathlib.Path,
                source: pathlib.Path, wrapper: List[str], title: str) -> None:
    header, link, package = NEEDS.get(source.stem, ("", [], ""))
    if header and not builder.has(header):
        suite.skip(title, f"{header} is missing (Debian: {package})")
        return
    program, output = builder.build(source, library, ["-std=c99", *STRICT[1:]], link)
    if program is None:
        suite.add(f"{source.stem}-build", 0, 1, output)
        return
    passed, failed, output = examples.check(program, wrapper, environment(options))
    suite.add(title, passed, failed, output)


def run_examples(suite: Suite, options: argparse.Namespace, builder: Builder,
                 library: pathlib.Path) -> None:
    chosen = [source for source in sorted((ROOT / "c_examples").glob("[0-9][0-9]_*.c"))
              if not options.names or source.stem in options.names or "examples" in options.names]
    for source in chosen:
        wrapper = MEMCHECK if options.valgrind else []
        run_example(suite, options, builder, library, source, wrapper, f"example-{source.stem}")
    threaded = [source for source in chosen if STARTS_THREADS.search(source.read_text())] if options.valgrind else []
    noted = libraries.with_helgrind_notes() if threaded else None
    for source in threaded:
        run_example(suite, options, builder, noted, source, HELGRIND, f"example-{source.stem}-helgrind")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="programs to run")
    parser.add_argument("--library", default=str(libraries.ordinary()), help=".so or .a to link")
    parser.add_argument("--include", default=str(ROOT / "include"))
    parser.add_argument("--symbols", default=str(ROOT / "abi/symbols.txt"))
    parser.add_argument("--build", default=str(ROOT / "target/c_tests"), help="where programs go")
    parser.add_argument("--cc", default="gcc")
    parser.add_argument("--valgrind", action="store_true")
    parser.add_argument("--asan", metavar="ARCHIVE", nargs="?", const="build")
    parser.add_argument("--panic-library", metavar="LIBRARY")
    return parser.parse_args()


def main() -> int:
    options = parse()
    suite = Suite()
    library = pathlib.Path(options.library).resolve()
    if options.asan:
        library = libraries.with_asan(options.asan)
    if not library.exists():
        print(f"{library} does not exist: build it first")
        return 2
    builder = Builder(options)
    if options.valgrind and shutil.which("valgrind") is None:
        suite.skip("everything under valgrind", "valgrind is not installed")
        print("SUITE c: 0 passed, 0 failed")
        return 0
    if options.asan:
        prove_asan(suite, builder, library)
    run_tests(suite, options, builder, library)
    run_examples(suite, options, builder, library)
    if options.valgrind:
        run_helgrind(suite, options, builder)
    print(f"SUITE c: {suite.passed} passed, {suite.failed} failed")
    return 0 if suite.failed == 0 and suite.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
