"""Counts the system calls of turns, posts and changes of interest; prints PASS or FAIL for each. See tests/run.py."""

import collections
import os
import pathlib
import re
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
LIBRARY = pathlib.Path(os.environ.get("TIDEGATE_LIBRARY", TOP / "target" / "dist" / "libtidegate.so"))
CALL = re.compile(r"^\d+\s+(?:<\.\.\. )?(\w+)")
SECONDS = 60


def build(scratch):
    program = scratch / "syscalls"
    subprocess.run(
        [
            "cc",
            "-std=c11",
            "-O1",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            f"-I{TOP / 'include'}",
            TOP / "tests" / "product" / "syscalls.c",
            "-o",
            program,
            LIBRARY,
            f"-Wl,-rpath,{LIBRARY.parent}",
            "-pthread",
        ],
        check=True,
    )
    return program


def between_marks(program, scenario, scratch):
    """How often each system call was made between the two marks, by all threads, and what the program said."""
    trace = scratch / f"{scenario}.trace"
    done = subprocess.run(
        ["strace", "-f", "-o", trace, program, scenario], stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=True
    )
    counts, inside = collections.Counter(), False
    for line in trace.read_text().splitlines():
        call = CALL.match(line)
        if not call or "resumed>" in line or line.split(None, 1)[1].startswith(("+++", "---")):
            continue
        if call[1] == "getppid":
            inside = not inside
        elif inside:
            counts[call[1]] += 1
    return counts, done.stdout.strip()


def check(name, holds, detail):
    print(f"PASS {name}" if holds else f"FAIL {name}: {detail}", flush=True)
    return holds


def main():
    results = []
    with tempfile.TemporaryDirectory() as directory:
        scratch = pathlib.Path(directory)
        program = build(scratch)
        counts, _ = between_marks(program, "idle", scratch)
        waits = counts["epoll_pwait2"] + counts["epoll_wait"]
        results.append(
            check("an-idle-turn-with-a-timer-is-one-call", sum(counts.values()) == waits == 10, dict(counts))
        )
        for scenario, name in (("busy", "a-loop-held-in-a-callback"), ("resting", "a-loop-that-does-not-run")):
            counts, said = between_marks(program, scenario, scratch)
            results.append(
                check(
                    f"a-thousand-posts-to-{name}-write-at-most-once",
                    counts["write"] <= 1 and said == "ran 1000",
                    (dict(counts), said),
                )
            )
        counts, said = between_marks(program, "resting", scratch)
        results.append(check("the-first-post-to-a-resting-loop-wakes-it", counts["write"] == 1, dict(counts)))
        counts, said = between_marks(program, "toggle-back", scratch)
        results.append(
            check(
                "twenty-changes-that-cancel-out-cost-nothing",
                counts["epoll_ctl"] == 0 and said == "ran 2",
                (dict(counts), said),
            )
        )
        counts, said = between_marks(program, "toggle-on", scratch)
        results.append(
            check(
                "twenty-changes-in-a-callback-cost-one-epoll_ctl",
                counts["epoll_ctl"] == 1 and said == "ran 2",
                (dict(counts), said),
            )
        )
        counts, said = between_marks(program, "datagrams", scratch)
        results.append(
            check(
                "sixty-four-datagrams-a-call-there-and-back",
                counts["sendmmsg"] == 2 and counts["recvmmsg"] == 2 and said == "ran 128",
                (dict(counts), said),
            )
        )
        for scenario in ("echo", "echo-lines"):
            counts, said = between_marks(program, scenario, scratch)
            peers = {"write": 500, "recvfrom": 500}
            ours = {"read": 500, "sendto": 500}
            waits = counts["epoll_pwait2"] + counts["epoll_wait"]
            rest = sum(counts.values()) - 2000 - waits
            exact = all(counts[call] == count for call, count in {**peers, **ours}.items())
            results.append(
                check(
                    f"{scenario}-is-a-read-a-write-and-a-fiftieth-of-a-wait",
                    exact and waits == 10 and rest == 0 and said.endswith("ran 500"),
                    (dict(counts), said),
                )
            )
            results.append(check(f"{scenario}-allocates-nothing", said.startswith("allocated 0\n"), said))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
