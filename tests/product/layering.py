"""The shape of the source: dependencies point down, unsafe stays in its rooms, nothing grows too long.

    src (C ABI) -> event_loop -> io -> sys -> base

A path in a lower layer that names a higher one fails, whether it stands in a `use` or in the code, in
its full form (crate::sys) or through super.
"""

import re

from . import source
from .harness import HEADER, TOP, shown

REACTOR = TOP / "reactor" / "src"
LAYERS = ["base", "sys", "io", "event_loop"]  # lowest first
REQUIRED = ["base", "sys", "event_loop"]
SAFE = ["base", "io", "event_loop"]
MAX_FILE = 500
MAX_FUNCTION = 80
GENERATED = {"include/tidegate.h", "python/tidegate/_abi.py"}

TOKEN = re.compile(r"\bmod\s+(?P<mod>\w+)\s*\{|(?P<open>\{)|(?P<close>\})|"
                   r"(?<![\w:$])(?P<path>(?:crate|super|self)\s*::)")
NAME = re.compile(r"\s*(\w+)\s*(::)?")


def layer_of(path):
    """The layer that a file of the reactor belongs to; None for the crate's own root."""
    parts = path.relative_to(REACTOR).parts
    name = parts[0].split(".")[0]
    return name if name in LAYERS else None


def module_of(path):
    """The module path that a file defines: reactor/src/sys/poller.rs is ["sys", "poller"]."""
    parts = list(path.relative_to(REACTOR).with_suffix("").parts)
    return parts[:-1] if parts[-1] in ("mod", "lib") else parts


def branches(code, position):
    """The first names at position: one, or each of a braced group's."""
    match = re.compile(r"\s*\{").match(code, position)
    if not match:
        found = NAME.match(code, position)
        return [(found.group(1), found.end() if found.group(2) else None)] if found else []
    names = []
    close = source.matching_brace(code, match.end() - 1)
    depth, begin = 0, match.end()
    for at in range(match.end(), close + 1):
        depth += {"{": 1, "}": -1}.get(code[at], 0)
        if (code[at] == "," and depth == 0) or at == close:
            found = NAME.match(code, begin)
            if found:
                names.append((found.group(1), found.end() if found.group(2) else None))
            begin = at + 1
    return names


def resolve(code, position, module):
    """The first layer-level name of every path that begins at position, relative to module."""
    for name, rest in branches(code, position):
        if name == "super" and rest:
            yield from resolve(code, rest, module[:-1])
        elif name == "self" and rest:
            yield from resolve(code, rest, module)
        elif not module:
            yield name


def references(text, module):
    """(line, layer) for every path in the text that names a layer of the crate."""
    code = source.blank(text)
    inline, depth = [], 0
    for token in TOKEN.finditer(code):
        if token.group("mod"):
            depth += 1
            inline.append((depth, token.group("mod")))
        elif token.group("open"):
            depth += 1
        elif token.group("close"):
            if inline and inline[-1][0] == depth:
                inline.pop()
            depth -= 1
        else:
            here = module + [name for _, name in inline]
            word = token.group("path").rstrip(": \n")
            base = {"crate": [], "self": here, "super": here[:-1]}[word]
            for layer in resolve(code, token.end(), base):
                if layer in LAYERS:
                    yield source.line_of(code, token.start()), layer


def upward(path):
    """Every reference in a file to a layer above its own."""
    own = layer_of(path)
    if own is None:
        return
    for line, layer in references(path.read_text(), module_of(path)):
        if LAYERS.index(layer) > LAYERS.index(own):
            yield f"{shown(path)}:{line}: {own} names {layer}, which lies above it"


def forbids_unsafe(layer):
    """forbid(unsafe_code), inside the layer's root or on its declaration in lib.rs."""
    roots = [REACTOR / layer / "mod.rs", REACTOR / f"{layer}.rs"]
    inner = any(re.search(r"^#!\[forbid\([^)]*\bunsafe_code\b", root.read_text(), re.MULTILINE)
                for root in roots if root.exists())
    lib = (REACTOR / "lib.rs").read_text()
    outer = re.search(r"#\[forbid\([^)]*\bunsafe_code\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?mod\s+"
                      + layer + r"\b", lib)
    return inner or outer is not None


def present(layer):
    return (REACTOR / layer / "mod.rs").exists() or (REACTOR / f"{layer}.rs").exists()


def sources():
    """Every file that people write, by language."""
    places = {".rs": ["src", "reactor", "build.rs"], ".py": ["python", "tests", "tools", "packaging"],
              ".c": ["c_examples", "tests", "bench"], ".h": ["c_examples", "tests", "bench"]}
    for suffix, roots in places.items():
        for root in roots:
            top = TOP / root
            for path in [top] if top.is_file() else sorted(top.rglob(f"*{suffix}")):
                if path.suffix == suffix and shown(path) not in GENERATED and path != HEADER:
                    yield path


def too_long():
    """Files and functions over their limit."""
    functions = {".rs": source.rust_functions, ".py": source.python_functions,
                 ".c": source.c_functions, ".h": source.c_functions}
    files, bodies = [], []
    for path in sources():
        text = path.read_text()
        length = text.count("\n")
        if length >= MAX_FILE:
            files.append(f"{shown(path)}: {length} lines, the limit is {MAX_FILE}")
        for name, line, lines in functions[path.suffix](text):
            if lines >= MAX_FUNCTION:
                bodies.append(f"{shown(path)}:{line}: {name} has {lines} lines, the limit is {MAX_FUNCTION}")
    return files, bodies


def run(suite):
    for layer in REQUIRED:
        suite.check(f"{layer}-exists", present(layer), f"reactor/src/{layer} is missing")
    suite.none_of("imports-point-down", [line for path in sorted(REACTOR.rglob("*.rs")) for line in upward(path)])
    for layer in SAFE:
        if present(layer):
            suite.check(f"{layer}-forbids-unsafe", forbids_unsafe(layer),
                        f"reactor/src/{layer}/mod.rs does not begin with #![forbid(unsafe_code)]")
    files, bodies = too_long()
    suite.none_of("files-below-500-lines", files)
    suite.none_of("functions-below-80-lines", bodies)
