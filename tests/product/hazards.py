"""Each hazard that the library answers has a test with the hazard's id in its name."""

import pathlib
import re

from . import source
from .harness import TOP

PLACES = ["reactor", "src", "tests", "python/tests"]
OWN = pathlib.Path(__file__).resolve().parent
# Tests here: Rust functions with #[test], Python functions named test_, C functions and tables of tests.
RUST = re.compile(r"#\[test\](?:\s*#\[[^\]]*\])*\s*(?:pub\s+)?fn\s+(\w+)")
PYTHON = re.compile(r"\bdef\s+(test_\w+)")
C = re.compile(r"\b(\w*h\d\d\w*)\s*\(", re.IGNORECASE)


def expand(text):
    """"H01-H03, H07" as a list of ids."""
    ids = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        ids += [f"H{number:02}" for number in range(int(first[1:]), int((last or first)[1:]) + 1)]
    return ids


REQUIRED = expand("H01-H07, H09-H33, H35-H62, H64-H68")
IN_PYTHON_TOO = expand("H16-H17, H39, H55")


def names(suffix, pattern, code_only=True):
    """Names of the tests in every file of a kind."""
    for place in PLACES:
        for path in sorted((TOP / place).rglob(f"*{suffix}")):
            if OWN not in path.parents and "target" not in path.parts:
                text = path.read_text()
                yield from pattern.findall(source.blank(text) if code_only else text)


def ids_in(test_names):
    """Ids as whole words of a name: h05 in h05_reopened, and not in sha1_h055."""
    found = set()
    for name in test_names:
        found.update(f"H{digits}" for digits in re.findall(r"(?:^|_)h(\d\d)(?=_|$)", name.lower()))
    return found


def run(suite):
    python = ids_in(names(".py", PYTHON, code_only=False))
    everywhere = python | ids_in(names(".rs", RUST)) | ids_in(names(".c", C))
    for hazard in REQUIRED:
        suite.check(hazard, hazard in everywhere, f"no test has {hazard.lower()} in its name")
    for hazard in IN_PYTHON_TOO:
        suite.check(f"{hazard}-python", hazard in python, f"no Python test has {hazard.lower()} in its name")
