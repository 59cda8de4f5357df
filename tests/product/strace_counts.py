"""System calls counted by strace: tests/product/syscalls.py prints a line for each count."""

import re
import sys

from .harness import TOP, have

SCRIPT = TOP / "tests" / "product" / "syscalls.py"
LINE = re.compile(r"^(PASS|FAIL|SKIP) ([^:\n]+)(?::\s*(.*))?$", re.MULTILINE)


def run(suite):
    if not have("strace"):
        suite.skip("strace", "strace is not installed")
        return
    result = suite.run([sys.executable, SCRIPT], 120)
    for verdict, name, text in LINE.findall(result.output):
        if verdict == "PASS":
            suite.ok(name)
        elif verdict == "SKIP":
            suite.skip(name, text or "no reason given")
        else:
            suite.fail(name, text)
    if not result.ok and not suite.failures or not suite.passed and not suite.skips:
        suite.fail("syscalls.py", result.tail())
