"""The C tests and examples, by tests/c/run.sh: as they are, under valgrind, and with sanitizers."""

import re

from .harness import TOP, have

SCRIPT = TOP / "tests" / "c" / "run.sh"
LINE = re.compile(r"^(PASS|FAIL|SKIP) ([^:]+)(?::\s*(.*))?$")
LAST = re.compile(r"^SUITE \S+: (\d+) passed, (\d+) failed$")
SAID = "  | "  # begins each line that a failing program printed


def said_after(lines, number):
    """What a failing program said: the marked lines that follow its own."""
    output = []
    for line in lines[number + 1:]:
        if not line.startswith(SAID):
            break
        output.append(line[len(SAID):])
    return "\n".join(output[-40:])


def run(suite, *mode, seconds):
    """Takes names from the script's lines, and the numbers from its last one."""
    result = suite.run([SCRIPT, *mode], seconds)
    lines = result.output.rstrip().splitlines()
    for number, match in enumerate(map(LINE.match, lines)):
        if match and match.group(1) == "SKIP":
            suite.skip(match.group(2), match.group(3) or "no reason given")
        elif match and match.group(1) == "FAIL":
            suite.fail(match.group(2), f"{match.group(3)}\n{said_after(lines, number)}")
    last = LAST.match(lines[-1]) if lines else None
    if not last:
        suite.fail("run.sh", "its last line is not 'SUITE c: N passed, N failed'\n" + result.tail())
        return
    suite.passed += int(last.group(1))
    if (int(last.group(2)) or not result.ok) and not suite.failures:
        suite.fail("run.sh", result.tail())


def native(suite):
    run(suite, seconds=300)


def valgrind(suite):
    if not have("valgrind"):
        suite.skip("valgrind", "valgrind is not installed")
        return
    run(suite, "--valgrind", seconds=900)


def asan(suite):
    run(suite, "--asan", seconds=900)
