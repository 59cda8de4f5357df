"""Every exported function has its guard and says what its callers must know.

Required of each: a sentence that says what it does, then the headings Thread, Callable from callbacks
and Errors, and Ownership where a pointer is taken or given.
"""

import re

from . import other_libraries, source
from .harness import TOP, shown, symbols

SOURCE = TOP / "src"
EXPORT = re.compile(r"#\[(?:unsafe\(no_mangle\)|no_mangle)\]")
SIGNATURE = re.compile(r'\s*(?:#\[[^\]]*\]\s*)*pub\s+(?:unsafe\s+)?extern\s+"C"\s+fn\s+(\w+)')
# The forms that keep panics inside: guard! gives a code and words, guard_signal! a code alone (signal handlers),
# total! a fallback for types without one.
GUARD = re.compile(r"\s*(guard_signal|guard|total)!\s*\(\s*(\w+)")
# Its arguments; one whose length is another argument is written bytes[length].
GUARDED = re.compile(r"\s*guard(?:_signal)?!\s*\(\s*\w+\s*\(([^)]*)\)")
PARAMETER = re.compile(r"[(,]\s*(\w+)\s*:(?!:)")
RETURNS_CODE = re.compile(r"->\s*c_int\s*$")
HEADINGS = ["Thread", "Callable from callbacks", "Errors"]
TEST_ONLY = "tg_test_"  # exported behind a feature that no release has
SHORTEST = 20  # a first sentence of fewer characters says nothing
POINTER = re.compile(r"\*\s*(?:const|mut)\b|_cb\b|\bCallback|Release")


class Export:
    """One exported function as it stands in the source."""

    def __init__(self, path, name, line, docs, signature, body):
        self.path = path
        self.name = name
        self.line = line
        self.docs = docs
        self.signature = signature
        self.body = body

    def at(self, what):
        return f"{shown(self.path)}:{self.line}: {self.name}: {what}"


def docs_above(text, position):
    """The /// lines that stand directly above a position, attributes between them allowed."""
    lines = text[:position].splitlines()
    docs = []
    for line in reversed(lines):
        stripped = line.strip()
        if stripped.startswith("///"):
            docs.append(stripped[3:].strip())
        elif not stripped.startswith("#["):
            break
    return list(reversed(docs))


def exports_in(path):
    """Every exported function of a file."""
    text = path.read_text()
    code = source.blank(text)
    for found in EXPORT.finditer(code):
        # The ABI string is blanked out in code, so the signature is read from the text.
        signature = SIGNATURE.match(text, found.end())
        if not signature:
            continue
        start = source.body_start(code, signature.end())
        end = source.matching_brace(code, start)
        yield Export(path, signature.group(1), source.line_of(text, signature.start(1)),
                     docs_above(text, found.start()), code[signature.end():start], code[start + 1:end])


def exports():
    return [export for path in sorted(SOURCE.rglob("*.rs")) for export in exports_in(path)]


def lacking(export):
    """What is missing in one function's documentation."""
    text = "\n".join(export.docs)
    if not export.docs or len(export.docs[0]) < SHORTEST:
        yield "no sentence says what it does"
    headings = list(HEADINGS)
    if POINTER.search(export.signature):
        headings.append("Ownership")
    for heading in headings:
        found = re.search(rf"^\W*{heading}\W*:\W*(.*)$", text, re.MULTILINE | re.IGNORECASE)
        if not found:
            yield f"no '{heading}:'"
        elif not (found.group(1).strip() or text[found.end():].strip()):
            yield f"nothing follows '{heading}:'"


def unguarded(export):
    """What is wrong with the guard that must be the whole body."""
    guard = GUARD.match(export.body)
    if not guard:
        yield "its body does not begin with guard!, guard_signal! or total!"
        return
    if guard.group(2) != export.name:
        yield f"its guard names {guard.group(2)}"
    arguments = GUARDED.match(export.body)
    if arguments:
        shown_names = re.findall(r"\w+", re.sub(r"\[\w+\]", "", arguments.group(1)))
        if shown_names != PARAMETER.findall(export.signature):
            yield f"its guard puts other arguments into the words of a failure: {', '.join(shown_names)}"
    # A function that has codes must not hide a failure behind a fallback.
    if guard.group(1) == "total" and RETURNS_CODE.search(export.signature):
        yield "it returns a code, so it needs guard!, not total!"
    if not export.body.rstrip().endswith(")"):
        yield "there is code behind its guard"


def undefined_codes(export, known):
    """Codes that the documentation names and the library does not have."""
    for code in sorted(set(re.findall(r"\bTG_E[A-Z]+\b", "\n".join(export.docs)))):
        if code not in known:
            yield f"documents {code}, which is not an error code"


def run(suite):
    found = [export for export in exports() if not export.name.startswith(TEST_ONLY)]
    header = (TOP / "include" / "tidegate.h").read_text()
    known = set(re.findall(r"#define\s+(TG_E[A-Z]+)\s+\(?-", header))
    names = sorted(export.name for export in found)
    suite.check("exports-are-the-listed-symbols", names == sorted(symbols()),
                f"only in src/: {sorted(set(names) - set(symbols()))}\n"
                f"only in abi/symbols.txt: {sorted(set(symbols()) - set(names))}")
    suite.none_of("every-export-has-a-guard",
                  [export.at(what) for export in found for what in unguarded(export)])
    suite.none_of("every-export-is-documented",
                  [export.at(what) for export in found for what in lacking(export)])
    suite.none_of("documented-codes-exist",
                  [export.at(what) for export in found for what in undefined_codes(export, known)])
    other_libraries.run(suite)
