"""The wheel: built from the tree by pip, installed into clean environments, imported from elsewhere.

One wheel serves every CPython from 3.9 on, so it is tried under each that is at hand.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sysconfig
import tarfile
import tempfile
import zipfile

from .harness import TARGET, TOP, VENV, have, shown, version

PYTHONS = ["3.9", "3.10", "3.11", "3.12", "3.13"]
# Neither this tree nor the library in it may be what is found.
CLEAN = {"PYTHONPATH": None, "TIDEGATE_LIBRARY": None}

TRY = """
import os, socket, sys, tidegate, tidegate.select, tidegate.selectors
assert os.getcwd() == "/"
package = os.path.dirname(tidegate.__file__)
assert package.startswith(sys.prefix), package
with open("/proc/self/maps") as maps:
    loaded = {line.split()[-1] for line in maps if "libtidegate" in line}
assert loaded and all(name.startswith(package) for name in loaded), loaded
assert os.path.exists(os.path.join(package, "py.typed"))
one, other = socket.socketpair()
other.send(b"x")
assert tidegate.select.select([one], [], [], 5)[0] == [one]
with tidegate.selectors.DefaultSelector() as selector:
    selector.register(one, 1)
    assert [key.fileobj for key, _ in selector.select(5)] == [one]
one.close()
other.close()
print(tidegate.__version__, tidegate.library_version())
"""


def interpreter(wanted):
    """A command that is really that version: what lies on the PATH may be a stub, or another's."""
    candidates = [shutil.which(f"python{wanted}"), shutil.which("python3")]
    root = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    candidates += sorted(str(path) for path in pathlib.Path(root).glob(f"versions/{wanted}.*/bin/python3"))
    for command in filter(None, candidates):
        code = "import sys; print('%d.%d' % sys.version_info[:2]); import ensurepip, venv, ctypes"
        try:
            done = subprocess.run([command, "-c", code], capture_output=True, check=False, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0 and done.stdout.strip() == wanted:
            return command
    return None


def build(suite, scratch):
    """pip builds it as for any user, in an environment of its own."""
    python = VENV / "bin" / "python"
    suite.command("pip-builds-a-wheel", [python, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", scratch, TOP], 900,
                  env=CLEAN)
    wheels = list(pathlib.Path(scratch).glob("*.whl"))
    return wheels[0] if len(wheels) == 1 else None


def contents(suite, wheel):
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    expected = f"tidegate-{version()}-py3-none-{platform}.whl"
    suite.check("wheel-has-one-tag-for-all", wheel.name == expected, f"{wheel.name}, not {expected}")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    inside = {name for name in names if ".dist-info/" not in name}
    package = TOP / "python"
    ours = {str(path.relative_to(package)) for path in (package / "tidegate").rglob("*")
            if path.is_file() and path.suffix not in (".pyc", ".so")}
    suite.check("wheel-holds-the-package", inside == ours | {"tidegate/libtidegate.so"},
                f"missing {sorted(ours - inside)}\nunexpected {sorted(inside - ours)}")
    suite.check("wheel-is-typed", "tidegate/py.typed" in inside, "python/tidegate/py.typed is missing")


def installs(suite, wheel, scratch):
    """A clean environment for each Python; the import happens from the root directory."""
    for wanted in PYTHONS:
        command = interpreter(wanted)
        if command is None:
            suite.skip(f"python{wanted}", f"no usable Python {wanted} with venv here")
            continue
        place = pathlib.Path(scratch) / f"python{wanted}"
        suite.run([command, "-m", "venv", place], 120, env=CLEAN)
        python = place / "bin" / "python"
        suite.command(f"python{wanted}-installs", [python, "-m", "pip", "install", "--quiet", "--no-index",
                                                   "--no-deps", wheel], 120, env=CLEAN)
        result = suite.command(f"python{wanted}-imports-from-/", [python, "-W", "error", "-c", TRY], 60, cwd="/",
                               env=CLEAN)
        if result.ok:
            said = result.output.split()
            suite.check(f"python{wanted}-version", said == [version()] * 2, said)


def pip_install(suite, scratch):
    """The command of the README, in a clean environment; pip takes what it built a moment ago from cargo's cache."""
    place = pathlib.Path(scratch) / "from-tree"
    suite.run([VENV / "bin" / "python", "-m", "venv", place], 120, env=CLEAN)
    python = place / "bin" / "python"
    suite.command("pip-install-.", [python, "-m", "pip", "install", "--quiet", "."], 900, env=CLEAN)
    suite.command("pip-install-.-imports-from-/", [python, "-c", TRY], 60, cwd="/", env=CLEAN)


def source_distribution(suite, scratch):
    """The source distribution holds all that a build takes: it is unpacked and checked by cargo."""
    suite.command("sdist-builds", [VENV / "bin" / "python", "-m", "build", "--sdist", "--outdir", scratch, TOP], 300,
                  env=CLEAN)
    archives = list(pathlib.Path(scratch).glob("*.tar.gz"))
    if not archives:
        return
    with tarfile.open(archives[0]) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
        archive.extractall(scratch)
    unwanted = re.compile(r"(target|\.venv|\.ci)/|.*\.(pyc|so)$")
    suite.none_of("sdist-has-no-build-results", sorted(name for name in names if unwanted.match(name)))
    missing = [shown(path) for root in ("src", "reactor/src", "python/tidegate", "include", "packaging")
               for path in sorted((TOP / root).rglob("*"))
               if path.is_file() and path.suffix not in (".pyc", ".so") and shown(path) not in names]
    suite.none_of("sdist-has-every-source", missing)
    unpacked = pathlib.Path(scratch) / archives[0].name[: -len(".tar.gz")]
    suite.command("sdist-builds-with-cargo", ["cargo", "check", "--locked", "--no-default-features"], 600, cwd=unpacked,
                  env={"CARGO_TARGET_DIR": TARGET / "sdist"})


def run(suite):
    if not have("cargo"):
        suite.fail("cargo", "cargo is not on the PATH")
        return
    with tempfile.TemporaryDirectory() as scratch:
        wheel = build(suite, scratch)
        if wheel:
            contents(suite, wheel)
            installs(suite, wheel, scratch)
        pip_install(suite, scratch)
        source_distribution(suite, scratch)
