"""CPython's own test suites of select, poll, epoll and selectors pass on Tidegate.

With this interpreter, and with the oldest and the newest that the package supports, where they are found.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cpython_suites
import helpers
import pytest

if sys.platform != "linux":
    pytest.skip("the suites of epoll need Linux", allow_module_level=True)

#: Besides the running interpreter.
OTHERS = ["3.9", "3.13"]
#: The fewest tests that each suite has had: less means that something was not run.
FEWEST = {"select": 5, "poll": 7, "epoll": 10, "selectors": 4 * 19}


def is_version(path: str, version: str) -> bool:
    """Whether a program is that interpreter (a launcher may be there and refuse)."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([path, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return done.stdout.strip() == version


def interpreters() -> list[str]:
    """This one, and one of each other version that is installed."""
    found = [sys.executable]
    for version in OTHERS:
        if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
            continue
        name = f"python{version}"
        candidates = [shutil.which(name), *map(str, Path.home().glob(f".pyenv/versions/*/bin/{name}"))]
        found += [path for path in candidates if path and is_version(path, version)][:1]
    return found


@pytest.mark.slow
@pytest.mark.time_limit(200)
@pytest.mark.parametrize("interpreter", interpreters(), ids=lambda path: Path(os.path.realpath(path)).name)
@pytest.mark.parametrize("suite", list(FEWEST))
def test_cpythons_own_suite(interpreter: str, suite: str) -> None:
    done = subprocess.run(
        [interpreter, cpython_suites.__file__, suite],
        env=helpers.environment(),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    if done.returncode == cpython_suites.NO_TESTS:
        pytest.skip(f"{interpreter}: {done.stdout.strip()}")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["bad"] == []
    # The test of a failing modify() knows some selectors by name and passes the others over.
    unknown = ("OurDefaultSelector", "OurSelectSelector")
    skipped = [test for test in result["skipped"] if not any(name in test for name in unknown)]
    assert skipped == [], result["skipped"]
    assert result["ran"] >= FEWEST[suite]
    assert result["waits"] > 0, "it was our library that waited"
    assert result["live"] == [0, 0] or suite == "epoll", "CPython's test_epoll leaves objects open"
