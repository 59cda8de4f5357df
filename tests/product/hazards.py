"""Each hazard that the library answers has a test with the hazard's id in its name, and each of these names the change
of the library under which it fails ("mutation: ...")."""

import pathlib
import re
from itertools import dropwhile, takewhile

from . import source
from .harness import TOP

PLACES = ["reactor", "src", "tests", "python/tests"]
OWN = pathlib.Path(__file__).resolve().parent
# Tests here: Rust functions with #[test], Python functions named test_, C functions and tables of tests.
RUST = re.compile(r"#\[test\](?:\s*#\[[^\]]*\])*\s*(?:pub\s+)?fn\s+(\w+)")
PYTHON = re.compile(r"\bdef\s+(test_\w+)")
C = re.compile(r"\b(\w*h\d\d\w*)\s*\(", re.IGNORECASE)
FUNCTIONS = {".rs": source.rust_functions, ".c": source.c_functions, ".py": source.python_functions}
# A line of a comment, or of an attribute between it and its function.
COMMENT = re.compile(r"\s*(//|/\*|\*|#)")
MUTATION = re.compile(r"\bmutations?\b[^:]*:", re.IGNORECASE)


def expand(text):
    """"H01-H03, H07" as a list of ids."""
    ids = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        ids += [f"H{number:02}" for number in range(int(first[1:]), int((last or first)[1:]) + 1)]
    return ids


REQUIRED = expand("H01-H07, H09-H33, H35-H62, H64-H68")
IN_PYTHON_TOO = expand("H16-H17, H39, H55")


def texts(suffix):
    """Every file of a kind that may have tests."""
    for place in PLACES:
        for path in sorted((TOP / place).rglob(f"*{suffix}")):
            if OWN not in path.parents and "target" not in path.parts:
                yield path, path.read_text()


def names(suffix, pattern, code_only=True):
    """Names of the tests in every file of a kind."""
    for _, text in texts(suffix):
        yield from pattern.findall(source.blank(text) if code_only else text)


def ids_in(test_names):
    """Ids as whole words of a name: h05 in h05_reopened, and not in sha1_h055."""
    found = set()
    for name in test_names:
        found.update(f"H{digits}" for digits in re.findall(r"(?:^|_)h(\d\d)(?=_|$)", name.lower()))
    return found


def names_mutation(lines, first):
    """Whether the comment right above the function that begins on that line does, or the one at the top of its body."""
    above = takewhile(COMMENT.match, reversed(lines[: first - 1]))
    body = list(dropwhile(lambda line: not line.rstrip().endswith(("{", "}", ":")), lines[first - 1 :]))[1:]
    return any(MUTATION.search(line) for line in [*above, *takewhile(COMMENT.match, body)])


def without_mutation():
    """Tests of hazards that name none."""
    for suffix, functions in FUNCTIONS.items():
        for path, text in texts(suffix):
            lines = text.splitlines()
            for name, first, _ in functions(text):
                if ids_in([name]) and not names_mutation(lines, first):
                    yield f"{path.relative_to(TOP)}:{first} {name}"


def run(suite):
    python = ids_in(names(".py", PYTHON, code_only=False))
    everywhere = python | ids_in(names(".rs", RUST)) | ids_in(names(".c", C))
    for hazard in REQUIRED:
        suite.check(hazard, hazard in everywhere, f"no test has {hazard.lower()} in its name")
    for hazard in IN_PYTHON_TOO:
        suite.check(f"{hazard}-python", hazard in python, f"no Python test has {hazard.lower()} in its name")
    missing = list(without_mutation())
    suite.check("mutations", not missing, "no mutation is named by:\n" + "\n".join(missing))
