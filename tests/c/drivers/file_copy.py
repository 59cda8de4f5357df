"""The copier between files that it is given: different ones, and one file by several names."""

from __future__ import annotations

import os
import pathlib
import subprocess
import tempfile
from typing import List

from examples import LIMIT

from .common import expect

SAID = bytes(range(256)) * 4000


def copy(program: pathlib.Path, wrapper: List[str], env: dict, source: pathlib.Path,
         target: pathlib.Path) -> subprocess.CompletedProcess:
    return subprocess.run([*wrapper, str(program), str(source), str(target)], env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=LIMIT, check=False)


def over_a_longer_file(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Nothing of the old one is left. (mutation: no tg_file_truncate)"""
    with tempfile.TemporaryDirectory() as place:
        source, target = pathlib.Path(place, "source"), pathlib.Path(place, "target")
        source.write_bytes(SAID)
        target.write_bytes(b"old" * len(SAID))
        done = copy(program, wrapper, env, source, target)
        expect(done.returncode == 0, f"exit {done.returncode}: {done.stdout!r}")
        expect(target.read_bytes() == SAID, "changed on its way")


def onto_itself(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """One file by whatever names is refused, and left as it is. (mutation: TG_FILE_TRUNCATE when it is opened; only
    the names are compared)"""
    with tempfile.TemporaryDirectory() as place:
        source, hard, symbolic = (pathlib.Path(place, name) for name in ("source", "hard", "symbolic"))
        source.write_bytes(SAID)
        os.link(source, hard)
        symbolic.symlink_to(source)
        for one, other in ((source, source), (source, hard), (source, symbolic), (symbolic, hard)):
            done = copy(program, wrapper, env, one, other)
            expect(done.returncode == 1 and done.stdout == f"{one} and {other} are the same file\n".encode(),
                   f"exit {done.returncode}: {done.stdout!r}")
            expect(source.read_bytes() == SAID, f"{one} to {other} destroyed it")


def from_nowhere(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Without a source the target stays as it is, and none is made. (mutation: both are opened at once)"""
    with tempfile.TemporaryDirectory() as place:
        target = pathlib.Path(place, "target")
        for content in (None, b"as it was"):
            if content is not None:
                target.write_bytes(content)
            done = copy(program, wrapper, env, pathlib.Path(place, "none"), target)
            expect(done.returncode == 1 and b"No such file" in done.stdout, f"exit {done.returncode}: {done.stdout!r}")
            expect((target.read_bytes() if target.exists() else None) == content, "the target has changed")


DRIVERS = [over_a_longer_file, onto_itself, from_nowhere]
