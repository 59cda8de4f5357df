"""One version everywhere: Cargo.toml, the header's macros, the library, pkg-config, CMake and Python."""

import re
import tempfile

from .harness import HEADER, VENV, version

PREFIX = "/opt/tidegate"


def macros():
    """What the header says, as text and as numbers."""
    text = HEADER.read_text()
    parts = [re.search(rf"#\s*define\s+TG_VERSION_{part}\s+(\d+)", text) for part in ("MAJOR", "MINOR", "PATCH")]
    whole = re.search(r'#\s*define\s+TG_VERSION\s+"([^"]*)"', text)
    return {
        "TG_VERSION": whole and whole.group(1),
        "TG_VERSION_MAJOR-MINOR-PATCH": ".".join(part.group(1) if part else "?" for part in parts),
    }


LIBRARY = """
import ctypes, os
library = ctypes.CDLL(os.environ["TIDEGATE_LIBRARY"])
library.tg_version.restype = ctypes.c_char_p
library.tg_version_number.restype = ctypes.c_uint32
number = library.tg_version_number()
print(library.tg_version().decode(), f"{number >> 16}.{number >> 8 & 255}.{number & 255}")
"""
PACKAGE = "import tidegate; print(tidegate.__version__, tidegate.library_version())"


def asked(suite, code, names):
    """Runs a line of Python that prints one version for each name."""
    result = suite.run([VENV / "bin" / "python", "-c", code])
    words = result.output.split() if result.ok else []
    if len(words) != len(names):
        return {name: f"nothing: {result.tail()}" for name in names}
    return dict(zip(names, words))


def installed(suite, root):
    """What an installation's pkg-config file and CMake package say."""
    result = suite.run(["make", "-s", "install", f"DESTDIR={root}", f"PREFIX={PREFIX}"], 600)
    if not result.ok:
        return {"make install": result.tail()}
    lib = f"{root}{PREFIX}/lib"
    found = {}
    for name, path, pattern in (
        ("pkg-config", f"{lib}/pkgconfig/tidegate.pc", r"^Version: (\S+)$"),
        ("CMake", f"{lib}/cmake/tidegate/tidegate-config-version.cmake", r'^set\(PACKAGE_VERSION "([^"]+)"\)$'),
    ):
        with open(path) as file:
            match = re.search(pattern, file.read(), re.MULTILINE)
        found[name] = match and match.group(1)
    return found


def run(suite):
    with tempfile.TemporaryDirectory() as root:
        found = {
            **macros(),
            **asked(suite, LIBRARY, ["tg_version()", "tg_version_number()"]),
            **asked(suite, PACKAGE, ["tidegate.__version__", "tidegate.library_version()"]),
            **installed(suite, root),
        }
    for name, value in found.items():
        suite.check(name, value == version(), f"{value}, but Cargo.toml says {version()}")
