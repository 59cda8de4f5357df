"""What every test has: a limit on its time, and a count of the library's objects before and after."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import helpers
import pytest

#: Seconds for one test; a module's own TIME_LIMIT or a mark `time_limit(seconds)` replaces it. Below the 60 s
#: of waits that must be interrupted, so that one which is not fails.
TIME_LIMIT = 50.0

_STDERR = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "time_limit(seconds): instead of the usual limit")
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        config.stash[_STDERR] = os.dup(2)


def pytest_unconfigure(config: pytest.Config) -> None:
    os.close(config.stash[_STDERR])


@pytest.fixture(autouse=True)
def time_limit(request: pytest.FixtureRequest) -> Iterator[None]:
    """Ends the whole run, with the stacks of all threads, when a test hangs, wherever it hangs."""
    mark = request.node.get_closest_marker("time_limit")
    seconds = mark.args[0] if mark else getattr(request.module, "TIME_LIMIT", TIME_LIMIT)
    faulthandler.dump_traceback_later(seconds, exit=True, file=request.config.stash[_STDERR])
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """After each test the library has as many loops and pollers as before it."""
    gc.collect()
    before = helpers.live()
    yield
    gc.collect()
    assert helpers.live() == before, "loops or pollers were left open"


@pytest.fixture
def zoo(tmp_path: Path) -> Iterator[helpers.Zoo]:
    """Descriptors in every state that matters."""
    with contextlib.ExitStack() as stack:
        yield helpers.Zoo(stack, tmp_path / "file")
