#!/usr/bin/env python3
"""Turn what cargo built into the files that are installed, in one directory.

    packaging/stage.py --version 0.1.0 --cargo-output target/release --dist target/dist

The directory then holds the shared library under its full name with its two links, the static archive
reduced to the symbols of abi/symbols.txt, and the names of the system libraries that a static link needs.
Programs in this tree link against it as they would against an installed copy.

Linux only: the archive is reduced with GNU ld and objcopy.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent
SYMBOLS = TOP / "abi" / "symbols.txt"


def run(*command):
    """Runs a tool; ends with what it said when it fails or is not there."""
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, check=False, text=True)
    except FileNotFoundError:
        sys.exit(f"stage: {command[0]} is not installed")
    if done.returncode != 0:
        sys.exit(f"stage: {command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def shared(source, dist, version):
    """libtidegate.so.X.Y.Z, and the links that the loader and the linker look for."""
    real = f"libtidegate.so.{version}"
    soname = f"libtidegate.so.{version.split('.')[0]}"
    # Never in place: a program that has the old file mapped would crash.
    fresh = dist / f".{real}.new"
    shutil.copy2(source, fresh)
    fresh.replace(dist / real)
    for link, target in ((soname, real), ("libtidegate.so", soname)):
        (dist / link).unlink(missing_ok=True)
        (dist / link).symlink_to(target)


def archive(source, dist):
    """A static archive that shows our symbols and nothing else.

    A Rust archive carries the whole standard library; two of them in one program define the same names
    twice. Joined into one object whose other symbols are local, ours can stand beside any number. Its
    section groups are dissolved: the linker keeps one group of a name among all objects, and dropping the
    other library's (the reference to rust_eh_personality) for ours would leave it a symbol that is local here.
    """
    roots = [part for name in SYMBOLS.read_text().split() for part in ("-u", name)]
    out = dist / "libtidegate.a"
    with tempfile.TemporaryDirectory() as scratch:
        joined = pathlib.Path(scratch) / "tidegate.o"
        run("ld", "-r", "--gc-sections", "--force-group-allocation", *roots, source, "-o", joined)
        # The compiler's intermediate code: a linker with a plugin for LLVM of another version fails on it.
        bitcode = ["--remove-section=.llvmbc", "--remove-section=.llvmcmd"]
        run("objcopy", f"--keep-global-symbols={SYMBOLS}", "--strip-debug", *bitcode, joined)
        out.unlink(missing_ok=True)
        run("ar", "rcsD", out, joined)


def native_libraries():
    """The linker flags that a Rust static library needs, as rustc itself names them."""
    marker = "native-static-libs:"
    with tempfile.TemporaryDirectory() as scratch:
        empty = pathlib.Path(scratch) / "empty.rs"
        empty.write_text("")
        said = run("rustc", "--crate-type", "staticlib", "--print", "native-static-libs",
                   "--out-dir", scratch, empty)
    for line in said.splitlines():
        if marker in line:
            return line.split(marker, 1)[1].strip()
    sys.exit("stage: rustc did not name the native static libraries")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--version", required=True)
    arguments.add_argument("--cargo-output", required=True, type=pathlib.Path)
    arguments.add_argument("--dist", required=True, type=pathlib.Path)
    options = arguments.parse_args()
    if not sys.platform.startswith("linux"):
        sys.exit(f"stage: installing is not supported on {sys.platform} yet")
    options.dist.mkdir(parents=True, exist_ok=True)
    shared(options.cargo_output / "libtidegate.so", options.dist, options.version)
    archive(options.cargo_output / "libtidegate.a", options.dist)
    (options.dist / "static-libs.txt").write_text(native_libraries() + "\n")


if __name__ == "__main__":
    main()
