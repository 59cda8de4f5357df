"""include/tidegate.h: fresh, complete, and accepted alone by every C and C++ compiler at hand."""

import pathlib
import re
import tempfile

from . import source
from .harness import HEADER, have, symbols

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
C_ONLY = ["-Wstrict-prototypes", "-Wmissing-prototypes"]
C_MODES = ["c99", "c11", "c17", "c2x"]
CXX_MODES = ["c++11", "c++17", "c++20"]
COMPILERS = [("gcc", C_MODES, "c"), ("g++", CXX_MODES, "c++"), ("clang", C_MODES, "c"), ("clang++", CXX_MODES, "c++")]
QUICK = [("gcc", ["c99"], "c"), ("g++", ["c++11"], "c++")]

INITIALISER = re.compile(r"^\s*#\s*define\s+(TG_(\w+)_INIT)\b", re.MULTILINE)
DECLARATION = re.compile(r"\b(tg_\w+)\s*\(")
FUNCTION_POINTER = re.compile(r"\(\s*\*\s*tg_\w+\s*\)")
# What a reader meets by name: constants, types, functions and the members of structs.
NAMED = re.compile(r"^\s*#\s*define\s+(TG_[A-Z]\w*)\s+\S|^typedef\b|^(?:TG_API|[a-z].*\btg_\w+\s*\()")


def program(header_text):
    """A translation unit that uses the header alone, and each of its initialisers."""
    lines = ['#include "tidegate.h"']
    for macro, noun in INITIALISER.findall(header_text):
        name = f"tg_{noun.lower()}"
        lines += [f"{name} use_{name}(void);", f"{name} use_{name}(void) {{ {name} value = {macro}; return value; }}"]
    return "\n".join(lines) + "\n"


def compile_alone(suite, compilers):
    with tempfile.TemporaryDirectory() as scratch:
        unit = pathlib.Path(scratch) / "alone.c"
        unit.write_text(program(HEADER.read_text()))
        for compiler, modes, language in compilers:
            if not have(compiler):
                suite.skip(f"compiles-{compiler}", f"{compiler} is not installed")
                continue
            for mode in modes:
                compile_mode(suite, compiler, mode, language, unit)


def compile_mode(suite, compiler, mode, language, unit):
    flags = [*WARNINGS, *(C_ONLY if language == "c" else [])]
    command = [compiler, f"-std={mode}", *flags, f"-I{HEADER.parent}", "-x", language, unit]
    result = suite.run(command)
    unknown = "unrecognized command-line option" in result.output or "invalid value" in result.output
    if not result.ok and unknown:
        suite.skip(f"compiles-{compiler}-{mode}", f"this {compiler} does not know -std={mode}")
    else:
        suite.check(f"compiles-{compiler}-{mode}", result.ok, result.tail())


def declared(text):
    """Names of the functions that the header declares."""
    code = "\n".join(line for line in source.blank(text).splitlines() if not line.lstrip().startswith("#"))
    return sorted({name for name in DECLARATION.findall(code) if not FUNCTION_POINTER.search(name)})


def undocumented(text):
    """Declarations and constants that no comment precedes."""
    lines = text.splitlines()
    missing = []
    for number, line in enumerate(lines):
        if NAMED.match(line) and not commented(lines, number):
            missing.append(f"include/tidegate.h:{number + 1}: no comment above: {line.strip()}")
    return missing


def commented(lines, number):
    """Whether a comment ends above a line, with nothing between but directives and the macros that it heads too."""
    above = number - 1
    while above >= 0 and lines[above].lstrip().startswith("#"):
        above -= 1
    return above >= 0 and (lines[above].rstrip().endswith("*/") or lines[above].lstrip().startswith("//"))


def contents(suite):
    text = HEADER.read_text()
    suite.check("declares-the-listed-symbols", declared(text) == sorted(symbols()),
                f"only declared: {sorted(set(declared(text)) - set(symbols()))}\n"
                f"only in abi/symbols.txt: {sorted(set(symbols()) - set(declared(text)))}")
    suite.none_of("every-declaration-has-a-comment", undocumented(text))


def fresh(suite):
    """build.rs compares without writing and fails when src/ would give another header."""
    suite.command("fresh", ["cargo", "check", "--locked", "--package", "tidegate", "--features", "header"], 600,
                  env={"TIDEGATE_HEADER_CHECK": "1"})


def run(suite):
    fresh(suite)
    contents(suite)
    compile_alone(suite, COMPILERS)


def quick(suite):
    fresh(suite)
    contents(suite)
    compile_alone(suite, QUICK)
