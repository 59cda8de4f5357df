"""Builds one of the C programs beside this file."""

from .harness import DIST, TOP

LIBRARY = DIST / "libtidegate.so"


def build(suite, scratch, name, source=None):
    """Where the program is; None when it could not be built, which is a failure."""
    program = scratch / name
    source = source or TOP / "tests" / "product" / f"{name}.c"
    strict = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    linked = [str(LIBRARY), f"-Wl,-rpath,{LIBRARY.parent}", "-pthread"]
    command = ["cc", *strict, f"-I{TOP / 'include'}", str(source), "-o", str(program), *linked]
    result = suite.run(command, 60)
    if not suite.check(f"{name}-builds", result.ok, result.tail()):
        return None
    return program
