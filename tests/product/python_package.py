"""The Python package: its tests, its types, its style."""

import tempfile
import xml.etree.ElementTree as xml

from .harness import TARGET, TOP, VENV

PYTHON = VENV / "bin" / "python"
TESTS = TOP / "python" / "tests"


def pytest(suite, *arguments, seconds):
    """Runs pytest and takes each test's outcome from its report."""
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        result = suite.run([PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report.name}",
                            *arguments, TESTS], seconds)
        try:
            cases = list(xml.parse(report.name).getroot().iter("testcase"))
        except xml.ParseError:
            suite.fail("pytest", result.tail())
            return
    for case in cases:
        record(suite, case)
    if not result.ok and not suite.failures:
        suite.fail("pytest", result.tail())


def record(suite, case):
    name = f"{case.get('classname', '').split('tests.')[-1]}.{case.get('name')}".lstrip(".")
    outcome = {child.tag: child for child in case}
    for tag in ("failure", "error"):
        if tag in outcome:
            suite.fail(name, "\n".join((outcome[tag].text or "").splitlines()[-25:]))
            return
    if "skipped" in outcome:
        suite.skip(name, outcome["skipped"].get("message") or "no reason given")
    else:
        suite.ok(name)


def tests(suite):
    pytest(suite, seconds=900)


def quick_tests(suite):
    """Without those marked slow, and without the samples, whose crowds of clients take half a minute."""
    pytest(suite, "-m", "not slow", f"--ignore={TESTS / 'test_examples.py'}", seconds=120)


def lint(suite):
    env = {"PYTHONPATH": None}
    suite.command("mypy-strict", [PYTHON, "-m", "mypy", "--strict", "--cache-dir", TARGET / "mypy"], 300, env=env)
    suite.command("ruff", [PYTHON, "-m", "ruff", "check", "--no-cache", "python", "tests", "tools", "packaging"], 60)
