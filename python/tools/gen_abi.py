#!/usr/bin/env python3
"""Write python/tidegate/_abi.py from include/tidegate.h.

    python3 python/tools/gen_abi.py            writes the file when it would change
    python3 python/tools/gen_abi.py --check    compares only; exits with 1 when the file is stale

The header is our own and generated, so a small parser is enough: constants, struct layouts,
type names and prototypes, after comments and conditional parts have been taken out as a POSIX C
compiler would. Anything it does not understand is an error, never left out in silence.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEADER = ROOT / "include" / "tidegate.h"
OUTPUT = ROOT / "python" / "tidegate" / "_abi.py"

# C type -> the ctypes name that the generated file uses.
BASE_TYPES = {
    "void": "None",
    "bool": "ctypes.c_bool",
    "_Bool": "ctypes.c_bool",
    "char": "ctypes.c_char",
    "int": "ctypes.c_int",
    "uint8_t": "ctypes.c_uint8",
    "uint16_t": "ctypes.c_uint16",
    "int32_t": "ctypes.c_int32",
    "uint32_t": "ctypes.c_uint32",
    "int64_t": "ctypes.c_int64",
    "uint64_t": "ctypes.c_uint64",
    "size_t": "ctypes.c_size_t",
    "uintptr_t": "ctypes.c_size_t",
}
# On Windows a descriptor is a SOCKET; one generated file serves every platform.
SPECIAL_TYPES = {
    "tg_fd": 'ctypes.c_size_t if sys.platform == "win32" else ctypes.c_int',
}


class HeaderError(Exception):
    """The header has something that this parser does not know."""


@dataclass
class Header:
    """What was found, each in the header's order."""

    integers: dict[str, int] = field(default_factory=dict)
    strings: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)  # typedef name -> ctypes expression
    structs: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    functions: dict[str, tuple[str, list[str]]] = field(default_factory=dict)


def strip_comments(text: str) -> str:
    """C source without comments; strings in a header of ours never hold a comment mark."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r"\\\n", " ", text)


def condition_holds(expression: str, defined: set[str]) -> bool:
    """The value of an #if expression for a POSIX compiler that defines nothing else."""
    expression = re.sub(r"defined\s*\(?\s*(\w+)\s*\)?", lambda m: "1" if m[1] in defined else "0", expression)
    expression = re.sub(r"\b[A-Za-z_]\w*\s*(\([^()]*\))?", "0", expression)
    expression = re.sub(r"\b(\d+)[uUlL]+\b", r"\1", expression)
    expression = expression.replace("&&", " and ").replace("||", " or ")
    expression = re.sub(r"!(?!=)", " not ", expression)
    return bool(eval(expression, {"__builtins__": {}}))  # only digits and operators are left


def select_branches(text: str) -> tuple[list[str], list[str]]:
    """(#define lines, other lines) of the parts that a POSIX C compiler would see."""
    defined: set[str] = {"__linux__", "__unix__"}
    stack: list[tuple[bool, bool]] = []  # (this branch is live, some branch was taken)
    defines: list[str] = []
    code: list[str] = []
    for line in text.splitlines():
        match = re.match(r"\s*#\s*(\w+)\s*(.*)", line)
        live = all(taken for taken, _ in stack)
        if match is None:
            if live:
                code.append(line)
            continue
        word, rest = match[1], match[2].strip()
        if word in ("if", "ifdef", "ifndef"):
            if word != "if":
                rest = ("!" if word == "ifndef" else "") + f"defined({rest})"
            holds = live and condition_holds(rest, defined)
            stack.append((holds, holds))
        elif word in ("elif", "else"):
            _, done = stack.pop()
            outer = all(taken for taken, _ in stack)
            holds = outer and not done and (word == "else" or condition_holds(rest, defined))
            stack.append((holds, done or holds))
        elif word == "endif":
            stack.pop()
        elif word == "define" and live:
            defines.append(rest)
            defined.add(re.split(r"[\s(]", rest, maxsplit=1)[0])
    return defines, code


def parse_integer(text: str) -> int | None:
    """The value of a C integer literal, or None when the text is not one."""
    match = re.fullmatch(r"\(*\s*(-?)\s*(0[xX][0-9a-fA-F]+|\d+)[uUlL]*\s*\)*", text)
    if match is None:
        return None
    value = int(match[2], 0)
    return -value if match[1] else value


def parse_defines(defines: list[str], header: Header) -> list[str]:
    """Constants into the header; returns the names of macros that stand for nothing in code."""
    macros: list[str] = []
    for line in defines:
        name, _, rest = line.partition(" ")
        rest = rest.strip()
        value = parse_integer(rest)
        if "(" in name or not name.startswith("TG_"):
            macros.append(name.split("(")[0])
        elif value is not None:
            header.integers[name] = value
        elif re.fullmatch(r'"[^"]*"', rest):
            header.strings[name] = rest.strip('"')
        else:
            macros.append(name)
    return macros


def ctypes_of(declaration: str, header: Header) -> str:
    """The ctypes expression of a C type such as `const tg_loop_options *`."""
    stars = declaration.count("*")
    base = " ".join(w for w in declaration.replace("*", " ").split() if w not in ("const", "struct"))
    if base in BASE_TYPES:
        expression = BASE_TYPES[base]
    elif base in header.types or base in header.structs:
        expression = base
    else:
        raise HeaderError(f"unknown type {declaration!r}")
    if stars == 0:
        return expression
    if base == "void":
        expression, stars = "ctypes.c_void_p", stars - 1
    elif base == "char":
        expression, stars = "ctypes.c_char_p", stars - 1
    for _ in range(stars):
        expression = f"ctypes.POINTER({expression})"
    return expression


def split_declarator(text: str) -> tuple[str, str]:
    """('const tg_x *', 'name') of 'const tg_x *name'."""
    match = re.fullmatch(r"\s*(.*?[\s*])\s*(\w+)\s*", text, flags=re.DOTALL)
    if match is None:
        raise HeaderError(f"no name in {text!r}")
    return match[1].strip(), match[2]


def split_array(text: str) -> tuple[str, str]:
    """('char path', ' * 108') of 'char path[108]'; the second is empty for what is no array."""
    match = re.fullmatch(r"(.*\w)\s*\[(\d+)\]\s*", text, flags=re.DOTALL)
    return (match[1], f" * {match[2]}") if match else (text, "")


def parse_members(body: str, header: Header) -> list[tuple[str, str]]:
    """Members of a struct, `uint32_t a, b;` included."""
    members: list[tuple[str, str]] = []
    for statement in filter(None, (s.strip() for s in body.split(";"))):
        first, *others = statement.split(",")
        first, length = split_array(first)
        declared, name = split_declarator(first)
        members.append((name, ctypes_of(declared, header) + length))
        members.extend((other.strip(), ctypes_of(declared, header)) for other in others)
    return members


def parse_parameters(text: str, header: Header) -> list[str]:
    """ctypes expressions of a prototype's parameters, named or not."""
    if text.strip() in ("", "void"):
        return []
    found = []
    for part in text.split(","):
        try:
            found.append(ctypes_of(split_declarator(part)[0], header))
        except HeaderError:
            found.append(ctypes_of(part, header))
    return found


STATEMENTS = re.compile(
    r"typedef\s+struct\s+\w*\s*\{(?P<body>[^{}]*)\}\s*(?P<struct>\w+)\s*;"
    r"|typedef\s+struct\s+\w+\s+(?P<opaque>\w+)\s*;"
    r"|struct\s+(?P<plain>\w+)\s*\{(?P<plain_body>[^{}]*)\}\s*;"
    r"|typedef\s+[\w\s*]+?\(\s*\*\s*(?P<callback>\w+)\s*\)\s*\([^()]*\)\s*;"
    r"|typedef\s+(?P<alias_of>[\w\s*]+?)\s+(?P<alias>\w+)\s*;"
    r"|(?P<result>[\w\s*]+?[\s*])(?P<function>tg_\w+)\s*\((?P<parameters>[^()]*)\)\s*;"
    r'|extern\s+"C"\s*\{|\}'
)


def parse_statement(match: re.Match[str], header: Header) -> None:
    """One typedef, struct or prototype into the header."""
    name = match["struct"] or match["plain"]
    if name:
        header.structs[name] = parse_members(match["body"] or match["plain_body"] or "", header)
    elif match["callback"]:
        # Callbacks are never handed over from Python: their arguments do not matter here.
        header.types[match["callback"]] = "ctypes.c_void_p"
    elif match["alias"]:
        alias = match["alias"]
        header.types[alias] = SPECIAL_TYPES.get(alias) or ctypes_of(match["alias_of"], header)
    elif match["function"]:
        result = match["result"].replace("extern", "")
        header.functions[match["function"]] = (
            ctypes_of(result, header),
            parse_parameters(match["parameters"], header),
        )


def parse(text: str) -> Header:
    """Everything of the header that the package needs."""
    header = Header()
    defines, code = select_branches(strip_comments(text))
    macros = parse_defines(defines, header)
    body = "\n".join(code)
    for macro in macros:  # attributes such as an export mark, with or without arguments
        body = re.sub(rf"\b{re.escape(macro)}\b(\s*\([^()]*\))?", " ", body)
    end = 0
    for match in STATEMENTS.finditer(body):
        unread = body[end : match.start()].strip()
        if unread:
            raise HeaderError(f"not understood: {unread[:200]!r}")
        parse_statement(match, header)
        end = match.end()
    if body[end:].strip():
        raise HeaderError(f"not understood: {body[end:].strip()[:200]!r}")
    if not header.functions or not header.structs or "TG_VERSION" not in header.strings:
        raise HeaderError("functions, structs or TG_VERSION are missing")
    return header


PREAMBLE = '''"""The C interface as Python sees it: generated by python/tools/gen_abi.py from include/tidegate.h.

Do not edit. Struct and type names are those of the header; `PROTOTYPES` maps a function's name to
its result and argument types.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

'''


def render_constants(header: Header) -> list[str]:
    """Assignments, and the table from error code to name."""
    lines = [f'{name} = "{value}"' for name, value in header.strings.items()]
    for name, value in header.integers.items():
        lines.append(f"{name} = {value if value < 10 else hex(value)}")
    lines += ["", "#: Every error code of ours and its name.", "ERRORS: dict[int, str] = {"]
    lines += [f'    {name}: "{name}",' for name, value in header.integers.items() if value <= -4000]
    return [*lines, "}", ""]


def render_types(header: Header) -> list[str]:
    """Type names, then the structs."""
    lines = [f"{name} = {expression}" for name, expression in header.types.items()]
    for name, members in header.structs.items():
        lines += ["", "", f"class {name}(ctypes.Structure):", '    """The struct of this name."""', ""]
        lines.append("    _fields_ = (")
        lines += [f'        ("{member}", {expression}),' for member, expression in members]
        lines.append("    )")
    return lines


def render_prototypes(header: Header) -> list[str]:
    """The table of functions."""
    lines = ["", "", "PROTOTYPES: dict[str, tuple[Any | None, tuple[Any, ...]]] = {"]
    for name, (result, parameters) in header.functions.items():
        listed = ", ".join(parameters) + ("," if len(parameters) == 1 else "")
        one_line = f'    "{name}": ({result}, ({listed})),'
        if len(one_line) <= 120:
            lines.append(one_line)
            continue
        lines += [f'    "{name}": (', f"        {result},", "        ("]
        lines += [f"            {parameter}," for parameter in parameters]
        lines += ["        ),", "    ),"]
    return [*lines, "}", ""]


def render(header: Header) -> str:
    """The text of _abi.py."""
    lines = render_constants(header) + render_types(header) + render_prototypes(header)
    return PREAMBLE + "\n".join(lines)


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Generate tidegate/_abi.py from the C header.")
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    parser.add_argument("--header", type=Path, default=HEADER)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    try:
        text = render(parse(options.header.read_text(encoding="utf-8")))
    except (OSError, HeaderError) as error:
        print(f"gen_abi: {options.header}: {error}", file=sys.stderr)
        return 2
    old = options.output.read_text(encoding="utf-8") if options.output.exists() else ""
    if old == text:
        return 0
    if options.check:
        print(f"gen_abi: {options.output} is stale; run python/tools/gen_abi.py", file=sys.stderr)
        return 1
    options.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
