"""The built library: what it exports, what it needs, and that it was optimised as a whole."""

import re
import shutil
import tempfile

from .harness import DIST, TARGET, have, symbols, version

SHARED = DIST / "libtidegate.so"
STATIC = DIST / "libtidegate.a"
NEEDED = re.compile(r"^(libc\.so\.6|libgcc_s\.so\.1|ld-linux[\w.-]*\.so\.\d)$")
OLDEST_GLIBC = (2, 28)
# Symbols that moved into libc.so between 2.28 and now; on an older system the loader or the linker finds
# them in libpthread, libdl, librt or libc_nonshared.
MOVED = re.compile(r"^(pthread_\w+|dl\w+|sem_\w+|shm_\w+|timer_\w+|[fl]?stat(at)?(64)?|fstatat64|mknod\w*|"
                   r"__libc_\w+|__pthread_\w+|sigaction|raise|lockf\w*)$")
# Rust objects that an archive holds after fat link-time optimisation: ours, and the compiler's own helpers.
FOLDED = re.compile(r"^(compiler_builtins-|tidegate\.)")


def table(suite, path, *options):
    """(binding, section, name@version) of every symbol in a file."""
    output = suite.run(["readelf", "-W", *options, path]).output
    rows = []
    for line in output.splitlines():
        fields = line.split()
        if len(fields) >= 8 and re.match(r"^\d+:$", fields[0]):
            rows.append((fields[4], fields[6], fields[7]))
    return rows


def defined(rows):
    return sorted({name.split("@")[0] for binding, section, name in rows
                   if section != "UND" and binding in ("GLOBAL", "WEAK", "UNIQUE")})


def difference(found):
    return (f"exported only: {sorted(set(found) - set(symbols()))}\n"
            f"in abi/symbols.txt only: {sorted(set(symbols()) - set(found))}")


def too_new(rows):
    """Imports that glibc 2.28 does not have in any of its libraries; a weak one may be absent."""
    for binding, section, name in rows:
        found = re.match(r"(.+?)@+GLIBC_(\d+)\.(\d+)", name)
        if section == "UND" and binding != "WEAK" and found:
            since = (int(found.group(2)), int(found.group(3)))
            if since > OLDEST_GLIBC and not MOVED.match(found.group(1)):
                yield f"{found.group(1)} came with glibc {since[0]}.{since[1]}"


def dynamic_section(suite):
    text = suite.run(["readelf", "-dW", SHARED]).output
    soname = f"libtidegate.so.{version().split('.')[0]}"
    suite.check("soname", f"soname: [{soname}]" in text, text)
    suite.check("nodelete", re.search(r"FLAGS_1.*\bNODELETE\b", text), text)
    needed = re.findall(r"\(NEEDED\).*\[(.+?)\]", text)
    suite.check("needs-only-libc", needed and all(NEEDED.match(name) for name in needed), f"needs {needed}")
    suite.check("no-run-path", "RPATH" not in text and "RUNPATH" not in text, text)


def optimised(suite):
    """With fat link-time optimisation the archive has one object of ours and none of the standard library."""
    members = suite.run(["ar", "t", TARGET / "release" / "libtidegate.a"]).output.split()
    others = [name for name in members if name.endswith(".rcgu.o") and not FOLDED.match(name)]
    suite.check("link-time-optimised", members and not others, f"not folded into one object: {others[:10]}")


def stripped_size(suite):
    with tempfile.TemporaryDirectory() as scratch:
        copy = shutil.copy(SHARED, scratch)
        if suite.command("strips", ["strip", copy]).ok:
            suite.note(f"libtidegate.so, stripped: {(SHARED.parent / copy).stat().st_size / 1024:.0f} KiB")


def run(suite):
    if not have("readelf"):
        suite.skip("readelf", "readelf is not installed (binutils)")
        return
    ordered = sorted(set(symbols())) == symbols()
    suite.check("list-is-sorted-and-unique", ordered, "abi/symbols.txt: sort it by bytes, each name once")
    dynamic = table(suite, SHARED, "--dyn-syms")
    suite.check("shared-exports", defined(dynamic) == sorted(symbols()), difference(defined(dynamic)))
    static = table(suite, STATIC, "-s")
    suite.check("static-exports", defined(static) == sorted(symbols()), difference(defined(static)))
    suite.none_of("runs-on-glibc-2.28", sorted(set(too_new(dynamic))))
    dynamic_section(suite)
    optimised(suite)
    stripped_size(suite)
