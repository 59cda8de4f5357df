"""Reading source without a compiler: comments and strings blanked out, functions and their length."""

import ast
import re

# Rust and C alike: comments, strings, and character literals (but not Rust's lifetimes).
NOISE = re.compile(
    r"""
      //[^\n]*
    | /\*.*?\*/
    | b?r(?P<hashes>\#*)".*?"(?P=hashes)
    | [bc]?"(?:\\.|[^"\\])*"
    | b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[^}]*\}|.)|[^'\\\n])'
    """,
    re.VERBOSE | re.DOTALL,
)


def blank(text):
    """The text with comments and literals replaced by spaces; every position and line stays."""
    return NOISE.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def matching_brace(code, opening):
    """Position of the brace that closes the one at opening, in blanked code."""
    depth = 0
    for position in range(opening, len(code)):
        if code[position] == "{":
            depth += 1
        elif code[position] == "}":
            depth -= 1
            if depth == 0:
                return position
    return len(code) - 1


RUST_FUNCTION = re.compile(r"\bfn\s+(\w+)")
C_FUNCTION = re.compile(r"^(?:[A-Za-z_][\w\s*]*?)\b(\w+)\s*\([^;{}]*\)\s*\{", re.MULTILINE)


def rust_functions(text):
    """(name, first line, number of lines) of each function with a body."""
    code = blank(text)
    for found in RUST_FUNCTION.finditer(code):
        end = body_start(code, found.end())
        if end is not None:
            close = matching_brace(code, end)
            yield found.group(1), line_of(code, found.start()), 1 + code.count("\n", found.start(), close)


def body_start(code, position):
    """Where the body of the function whose name ends at position begins; None for a declaration."""
    depth = 0
    while position < len(code):
        character = code[position]
        if character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif character == ";" and depth == 0:
            return None
        elif character == "{" and depth == 0:
            return position
        position += 1
    return None


def c_functions(text):
    code = blank(text)
    for found in C_FUNCTION.finditer(code):
        close = matching_brace(code, found.end() - 1)
        yield found.group(1), line_of(code, found.start()), 1 + code.count("\n", found.start(), close)


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1
