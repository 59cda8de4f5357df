#!/usr/bin/env python3
"""Compile and run what README.md and docs/*.md show.

A fenced block that begins with ```c is a whole program: it is compiled with -Werror and run. ```python
is run as a script. A block whose first line also says no_run (```c no_run) is compiled only, and may be
a fragment of a file: declarations and functions in C, anything that parses in Python.

    tests/product/snippets.py           list every block
    tests/product/snippets.py FILE      list those of one file
"""

import pathlib
import re
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
FENCE = re.compile(r"^(?P<indent> {0,3})(?P<marks>`{3,}|~{3,})\s*(?P<info>[^`]*)$")
CHECKED = ("c", "python")
# Languages that are shown and not checked. Another word is an error: a misspelt one would go unchecked.
SHOWN = ("", "text", "sh", "console", "toml", "cmake", "make", "rust", "diff",
         "nginx", "haproxy")  # run by deploy.py
SECONDS = 20


class Block:
    """A fenced block: where it stands, its language and flags, and its text."""

    def __init__(self, path, line, info):
        words = info.replace(",", " ").split()
        self.path = path
        self.line = line
        self.language = words[0].lower() if words else ""
        self.flags = set(words[1:])
        self.lines = []

    @property
    def name(self):
        return f"{self.path.relative_to(TOP)}:{self.line}"

    @property
    def text(self):
        # Blank lines before it keep the compiler's line numbers those of the document.
        return "\n" * self.line + "\n".join(self.lines) + "\n"

    @property
    def runs(self):
        return "no_run" not in self.flags


def blocks(path):
    """Every fenced block of a document, in order. A fence that never closes is an error."""
    block, fence = None, None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = FENCE.match(line)
        if block is None:
            if found:
                fence = found
                block = Block(path, number, found.group("info"))
        elif found and not found.group("info").strip() and found.group("marks").startswith(fence.group("marks")):
            yield block
            block = None
        else:
            indent = len(fence.group("indent"))
            block.lines.append(line[indent:] if line[:indent].isspace() else line)
    if block is not None:
        raise ValueError(f"{block.name}: the block never ends")


def documents():
    return [path for path in [TOP / "README.md", *sorted((TOP / "docs").rglob("*.md"))] if path.exists()]


def check_c(suite, block, scratch):
    from .harness import DIST

    source = pathlib.Path(scratch) / f"line_{block.line}.c"
    source.write_text(block.text)
    program = source.with_suffix("")
    flags = ["-std=c99", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{TOP / 'include'}"]
    if not block.runs:
        suite.command(f"{block.name}-compiles", ["cc", *flags, "-Wno-unused-function", "-fsyntax-only", source])
        return
    links = [f"-L{DIST}", f"-Wl,-rpath,{DIST}", "-ltidegate", "-pthread", "-o", program]
    if suite.command(f"{block.name}-compiles", ["cc", *flags, source, *links]).ok:
        suite.command(f"{block.name}-runs", [program], SECONDS, cwd=scratch)


def check_python(suite, block, scratch):
    source = pathlib.Path(scratch) / f"line_{block.line}.py"
    source.write_text(block.text)
    try:
        compile(block.text, block.name, "exec")
    except SyntaxError as error:
        suite.fail(f"{block.name}-compiles", f"line {error.lineno}: {error.msg}")
        return
    suite.ok(f"{block.name}-compiles")
    if block.runs:
        command = [sys.executable, "-W", "error::ResourceWarning", source]
        suite.command(f"{block.name}-runs", command, SECONDS, cwd=scratch)


def run(suite):
    checks = {"c": check_c, "python": check_python}
    for path in documents():
        for block in blocks(path):
            if block.language in CHECKED:
                with tempfile.TemporaryDirectory() as scratch:
                    checks[block.language](suite, block, scratch)
            elif block.language not in SHOWN:
                suite.fail(f"{block.name}-language", f"unknown language {block.language!r}; known: {CHECKED + SHOWN}")


def main():
    paths = [pathlib.Path(argument).resolve() for argument in sys.argv[1:]] or documents()
    for path in paths:
        for block in blocks(path):
            kind = "not checked" if block.language not in CHECKED else "run" if block.runs else "compiled only"
            print(f"{block.name}: {block.language or 'plain'}: {kind}, {len(block.lines)} lines")


if __name__ == "__main__":
    main()
