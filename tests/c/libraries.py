"""The builds of the library that the C tests link: as shipped, with panic-injection, with ASan."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
from typing import Dict, List, Optional

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def ordinary() -> pathlib.Path:
    """What `make lib` has staged; otherwise what cargo has left."""
    staged = TARGET / "dist" / "libtidegate.so"
    return staged if staged.exists() else TARGET / "release" / "libtidegate.so"


def under_its_soname(library: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
    """A directory in which the loader finds the library under its soname, for the run path."""
    dynamic = subprocess.run(["readelf", "-d", str(library)], stdout=subprocess.PIPE, check=True)
    found = re.search(rb"\(SONAME\).*\[(.+)\]", dynamic.stdout)
    name = found.group(1).decode() if found else library.name
    where = out / "lib" / str(abs(hash(str(library))) % 100000)
    where.mkdir(parents=True, exist_ok=True)
    link = where / name
    if link.is_symlink() or link.exists():
        link.unlink()
    link.symlink_to(library.resolve())
    return where


def cargo(arguments: List[str], env: Dict[str, str]) -> None:
    """Builds quietly; shows what cargo said when it fails, and ends."""
    command = [os.environ.get("CARGO", "cargo"), "build", "--locked", "--no-default-features",
               "--manifest-path", str(ROOT / "Cargo.toml"), *arguments]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        print(done.stdout.decode("utf-8", "replace"))
        sys.exit(f"cannot build: {' '.join(command)}")


def with_panics(given: Optional[str]) -> pathlib.Path:
    """The library that panics on demand, in a target directory of its own."""
    if given is not None:
        return pathlib.Path(given).resolve()
    target = TARGET / "panic"
    cargo(["--features", "panic-injection", "--target-dir", str(target)], {})
    return target / "debug" / "libtidegate.so"


def with_helgrind_notes(panics: bool = False) -> pathlib.Path:
    """The library that tells helgrind about its atomics and locks, which it could not know of.

    One that panics on demand is another: what the injection does to synchronise would be there for all.
    """
    features, target = ("helgrind,panic-injection", "helgrind-panic") if panics else ("helgrind", "helgrind")
    target = TARGET / target
    cargo(["--features", features, "--target-dir", str(target)], {})
    return target / "debug" / "libtidegate.so"


def host_triple() -> str:
    """What rustc calls this machine."""
    text = subprocess.run(["rustc", "-vV"], stdout=subprocess.PIPE, check=True).stdout.decode()
    return re.findall(r"^host: (\S+)$", text, re.M)[0]


def with_asan(given: str) -> pathlib.Path:
    """The archive made with AddressSanitizer, for which a stable compiler needs its bootstrap switch."""
    if given != "build":
        return pathlib.Path(given).resolve()
    target, triple = TARGET / "asan", host_triple()
    env = {"RUSTC_BOOTSTRAP": "1", "RUSTFLAGS": "-Zsanitizer=address -Cforce-frame-pointers=yes"}
    cargo(["--target", triple, "--target-dir", str(target)], env)
    return target / triple / "debug" / "libtidegate.a"
