"""Runs CPython's own tests of select and selectors on Tidegate: a program of its own.

    python cpython_suites.py select poll epoll selectors

The tests come from the interpreter's `test` package and are not changed: they look `select.select` and
its like up in the module, where ours are put; `selectors` gets one subclass of its base test case for
each of our selectors, and the standard library's own waits raise, so that none of them can pass for one
of ours. Prints one line of JSON for each suite. Ends with 77 where the interpreter has
no `test` package.
"""

from __future__ import annotations

import importlib
import json
import select
import selectors
import sys
import unittest
from typing import Any

import helpers

from tidegate import select as our_select
from tidegate import selectors as our_selectors

NO_TESTS = 77


def refuse(*args: object, **kwargs: object) -> None:
    """Stands for a function of the standard library's select module."""
    raise AssertionError("the standard library was asked to wait")


def select_suite(name: str) -> unittest.TestSuite:
    """test_select, test_poll or test_epoll, which call what `select` has in its place by then."""
    module = importlib.import_module(f"test.test_{name}")
    for other in ("select", "poll", "epoll"):
        setattr(select, other, getattr(our_select, other))
    return unittest.defaultTestLoader.loadTestsFromModule(module)


def selectors_suite() -> unittest.TestSuite:
    """test_selectors' cases for each of our selectors, the test of many descriptors included."""
    module: Any = importlib.import_module("test.test_selectors")
    for other in ("select", "poll", "epoll"):
        setattr(select, other, refuse)
    suite = unittest.TestSuite()
    for name in ("SelectSelector", "PollSelector", "EpollSelector", "DefaultSelector"):
        ours = getattr(our_selectors, name)
        # One test replaces an attribute of the class of this name in the standard library's module.
        setattr(selectors, name, ours)
        bases = (module.BaseSelectorTestCase, module.ScalableSelectorMixIn, unittest.TestCase)
        case = type(f"Our{name}", bases, {"SELECTOR": ours})
        suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(case))
    return suite


def run(name: str) -> dict[str, Any]:
    """One suite's outcome."""
    suite = selectors_suite() if name == "selectors" else select_suite(name)
    before = helpers.waits()
    result = unittest.TextTestRunner(stream=sys.stderr).run(suite)
    bad = [f"{test}\n{text}" for test, text in result.failures + result.errors]
    return {
        "suite": name,
        "ran": result.testsRun,
        "bad": bad + [str(test) for test in result.unexpectedSuccesses],
        "skipped": {str(test): reason for test, reason in result.skipped},
        "waits": helpers.waits() - before,
        "live": helpers.live(),
    }


def main(names: list[str]) -> int:
    """The command line."""
    try:
        importlib.import_module("test.test_selectors")
    except ImportError as error:
        print(f"this interpreter has no tests of its own: {error}")
        return NO_TESTS
    for name in names:
        print(json.dumps(run(name)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
