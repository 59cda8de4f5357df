#!/usr/bin/env python3
"""Run every suite. The last line is "N passed, N failed"; before it, what was skipped, by name.

    tests/run.py             everything (make test)
    tests/run.py --quick     the quick part (make check)
    tests/run.py --list      the names of the suites
    tests/run.py NAME...     some suites

With TIDEGATE_CI set, a skip that tests/expected-skips.txt does not name is a failure. The whole output
of each suite is in target/test-logs.
"""

import argparse
import os
import pathlib
import signal
import sys
import traceback

sys.dont_write_bytecode = True

from clients import suite as clients  # noqa: E402
from product import (  # noqa: E402
    api_docs,
    c_programs,
    demo,
    deploy,
    hazards,
    header,
    install,
    integrity,
    layering,
    memory,
    packages,
    python_package,
    rust,
    snippets,
    strace_counts,
    symbols,
    versions,
)
from product.harness import TOP, Suite  # noqa: E402

# Name, full run, quick run or None. What is cheap and finds most comes first.
SUITES = [
    ("layering", layering.run, layering.run),
    ("api-docs", api_docs.run, api_docs.run),
    ("hazards", hazards.run, hazards.run),
    ("header", header.run, header.quick),
    ("rust", rust.run, rust.quick),
    ("symbols", symbols.run, symbols.run),
    ("versions", versions.run, versions.run),
    ("c", c_programs.native, c_programs.native),
    ("python", python_package.tests, python_package.quick_tests),
    ("python-lint", python_package.lint, python_package.lint),
    ("demo", demo.run, None),
    ("clients", clients.run, None),
    ("deploy", deploy.run, None),
    ("snippets", snippets.run, snippets.run),
    ("install", install.run, None),
    ("wheel", packages.run, None),
    ("syscalls", strace_counts.run, None),
    ("memory", memory.run, None),
    ("integrity", integrity.run, None),
    ("c-asan", c_programs.asan, None),
    ("c-valgrind", c_programs.valgrind, None),
]


def expected_skips():
    """Names in tests/expected-skips.txt; a # begins the reason."""
    text = (TOP / "tests" / "expected-skips.txt").read_text()
    names = (line.split("#", 1)[0].strip() for line in text.splitlines())
    return {name for name in names if name}


def run_suite(name, function):
    """Runs one suite to its end, whatever happens in it."""
    print(f"== {name}", flush=True)
    suite = Suite(name)
    try:
        function(suite)
    except Exception:
        suite.fail("crashed", traceback.format_exc())
    return suite, suite.close()


def judge_skips(skips):
    """The skips that nobody expected, each of which fails a run under TIDEGATE_CI."""
    if not os.environ.get("TIDEGATE_CI"):
        return []
    expected = expected_skips()
    return [name for name, _ in skips if name not in expected]


def summary(suites, lines):
    skips = [skip for suite in suites for skip in suite.skips]
    unexpected = judge_skips(skips)
    print("\n== summary", flush=True)
    for suite in suites:
        for name in suite.failures:
            print(f"FAIL {suite.name}/{name} (see {suite.log_path})")
    for name, reason in skips:
        print(f"SKIP {name}: {reason}")
    for name in unexpected:
        print(f"FAIL skips/{name}: tests/expected-skips.txt does not name it")
    for line in lines:
        print(line)
    passed = sum(suite.passed for suite in suites)
    failed = sum(len(suite.failures) for suite in suites) + len(unexpected)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


def chosen(options):
    if options.names:
        known = {name: full for name, full, _ in SUITES}
        unknown = [name for name in options.names if name not in known]
        if unknown:
            sys.exit(f"no such suite: {', '.join(unknown)}; --list shows them")
        return [(name, known[name]) for name in options.names]
    if options.quick:
        return [(name, quick) for name, _, quick in SUITES if quick]
    return [(name, full) for name, full, _ in SUITES]


def main():
    # Started in the background by a shell we inherit that SIGINT is ignored, and so would the tests of Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="what fits into a minute")
    parser.add_argument("--list", action="store_true", help="name the suites and end")
    parser.add_argument("names", nargs="*", help="suites to run; all without")
    options = parser.parse_args()
    if options.list:
        print("\n".join(name for name, _, _ in SUITES))
        return 0
    os.chdir(pathlib.Path(TOP))
    done = [run_suite(name, function) for name, function in chosen(options)]
    return summary([suite for suite, _ in done], [line for _, line in done])


if __name__ == "__main__":
    sys.exit(main())
