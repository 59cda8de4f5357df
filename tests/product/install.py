"""make install: what it writes, and that a stranger's program builds from it alone.

An example is built from the installed tree in four ways (pkg-config, pkg-config --static, find_package,
pkg_check_modules), and the static archive stands in one program beside another Rust library.
"""

import os
import pathlib
import shutil
import stat
import tempfile

from .harness import DIST, TOP, have, version

EXAMPLE = TOP / "c_examples" / "01_timer.c"
PREFIX = "/opt/tidegate"
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]

CMAKE = """
cmake_minimum_required(VERSION 3.13)
project(example C)
find_package({name} {version} REQUIRED)
find_package({name} {version} REQUIRED)
add_executable(shared example.c)
target_link_libraries(shared tidegate::tidegate)
add_executable(static example.c)
target_link_libraries(static tidegate::tidegate_static)
"""
CMAKE_PKG_CONFIG = """
cmake_minimum_required(VERSION 3.13)
project(example C)
find_package(PkgConfig REQUIRED)
pkg_check_modules(TIDEGATE REQUIRED IMPORTED_TARGET tidegate={version})
add_executable(shared example.c)
target_link_libraries(shared PkgConfig::TIDEGATE)
"""
CMAKE_TOO_NEW = """
cmake_minimum_required(VERSION 3.13)
project(example C)
find_package(tidegate {major}.999 QUIET)
if(tidegate_FOUND)
  message(FATAL_ERROR "a version that does not exist was found")
endif()
"""

OTHER_RUST = """
#[unsafe(no_mangle)]
pub extern "C" fn other_length(n: u32) -> u32 {
    let caught = std::panic::catch_unwind(|| {
        if n == 0 { panic!("expected") }
        std::thread::spawn(move || format!("{n}").len() as u32).join().unwrap_or(0)
    });
    caught.unwrap_or(99)
}
"""
BESIDE = """
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <tidegate.h>
uint32_t other_length(uint32_t n);
int main(void)
{
    tg_loop loop;
    if (strcmp(tg_version(), TG_VERSION) != 0) return 1;
    if (tg_loop_new(NULL, &loop) != 0) return 2;
    if (other_length(1234) != 4 || other_length(0) != 99) return 3;
    if (tg_loop_run(loop) != 0 || tg_loop_free(loop) != 0) return 4;
    puts("beside");
    return 0;
}
"""


class Tree:
    """An installation that was moved after it was made, and a directory for strangers' programs."""

    def __init__(self, suite, scratch):
        self.suite = suite
        self.scratch = pathlib.Path(scratch)
        self.root = self.scratch / "moved"
        self.lib = self.root / "lib"
        self.include = self.root / "include"
        self.env = {"PKG_CONFIG_PATH": self.lib / "pkgconfig", "LD_LIBRARY_PATH": None, "TIDEGATE_LIBRARY": None}

    def install(self):
        staged = self.scratch / "staged"
        made = self.suite.command("make-install", ["make", "install", f"DESTDIR={staged}", f"PREFIX={PREFIX}"], 600)
        if made.ok:
            shutil.move(str(staged) + PREFIX, self.root)
        return made.ok

    def program(self, name, text):
        """A directory of its own with one C file, as a stranger would have it."""
        place = self.scratch / name
        place.mkdir()
        (place / "example.c").write_text(text)
        return place

    def run(self, name, command, shared, seconds=30):
        """The program runs; it needs the shared library exactly if it should."""
        env = {**self.env, "LD_LIBRARY_PATH": self.lib if shared else None}
        self.suite.command(f"{name}-runs", [command], seconds, env=env)
        needed = self.suite.run(["readelf", "-dW", command]).output
        self.suite.check(f"{name}-links-{'shared' if shared else 'static'}",
                         (f"libtidegate.so.{version().split('.')[0]}" in needed) == shared, needed)


def files(suite, tree):
    """Exactly these files, the links among them relative, modes as they should be."""
    full = f"libtidegate.so.{version()}"
    soname = f"libtidegate.so.{version().split('.')[0]}"
    expected = {
        "include/tidegate.h": 0o644, "lib/libtidegate.a": 0o644, f"lib/{full}": 0o755, f"lib/{soname}": full,
        "lib/libtidegate.so": soname, "lib/pkgconfig/tidegate.pc": 0o644,
        "lib/cmake/tidegate/tidegate-config.cmake": 0o644, "lib/cmake/tidegate/tidegate-config-version.cmake": 0o644,
    }
    found = {}
    for path in tree.root.rglob("*"):
        if path.is_symlink():
            found[str(path.relative_to(tree.root))] = os.readlink(path)
        elif path.is_file():
            found[str(path.relative_to(tree.root))] = stat.S_IMODE(path.stat().st_mode)
    suite.check("installs-exactly-these-files", found == expected, f"found {found}\nexpected {expected}")


def nothing_of_the_build(suite, tree):
    """No path of the machine that built it."""
    texts = [path for path in tree.root.rglob("*") if path.suffix in (".pc", ".cmake", ".h")]
    suite.none_of("names-no-build-path", [f"{path.name} names {place}" for path in texts
                                          for place in (str(TOP), str(tree.scratch), PREFIX)
                                          if place in path.read_text()])


def with_pkg_config(suite, tree):
    if not have("pkg-config"):
        suite.skip("pkg-config", "pkg-config is not installed")
        return
    text = EXAMPLE.read_text()
    place = tree.program("by-pkg-config", text)
    flags = suite.run(["pkg-config", "--cflags", "--libs", "tidegate"], env=tree.env).output.split()
    suite.command("pkg-config-builds", ["cc", *WARNINGS, "example.c", "-o", "shared", *flags], cwd=place, env=tree.env)
    tree.run("pkg-config", place / "shared", shared=True)

    # A static link is one in which the linker finds the archive alone.
    alone = tree.scratch / "archive-only"
    shutil.copytree(tree.root, alone, symlinks=True)
    for path in (alone / "lib").glob("libtidegate.so*"):
        path.unlink()
    env = {**tree.env, "PKG_CONFIG_PATH": alone / "lib" / "pkgconfig"}
    flags = suite.run(["pkg-config", "--static", "--cflags", "--libs", "tidegate"], env=env).output.split()
    suite.command("pkg-config-static-builds", ["cc", *WARNINGS, "example.c", "-o", "static", *flags], cwd=place,
                  env=env)
    tree.run("pkg-config-static", place / "static", shared=False)


def every_example(suite, tree):
    """The examples' own Makefiles build all of them against the installed tree."""
    if not have("pkg-config"):
        return
    place = tree.scratch / "examples"
    shutil.copytree(EXAMPLE.parent, place)
    command = ["make", "OUT=out", f"PKG_CONFIG_PATH={tree.lib / 'pkgconfig'}"]
    suite.command("examples-build", command, 300, cwd=place, env=tree.env)
    # Those whose library is not here are left out.
    suite.command("clients-build", command, 300, cwd=place / "clients", env=tree.env)


def with_cmake(suite, tree):
    if not have("cmake"):
        suite.skip("cmake", "cmake is not installed")
        return
    text = EXAMPLE.read_text()
    major = version().split(".")[0]
    projects = {"find-package": CMAKE.format(name="tidegate", version=version()),
                "find-package-capital": CMAKE.format(name="Tidegate", version=major),
                "find-package-too-new": CMAKE_TOO_NEW.format(major=major)}
    if have("pkg-config"):
        projects["pkg-check-modules"] = CMAKE_PKG_CONFIG.format(version=version())
    else:
        suite.skip("pkg-check-modules", "pkg-config is not installed")
    for name, project in projects.items():
        place = tree.program(name, text)
        (place / "CMakeLists.txt").write_text(project)
        made = suite.command(f"{name}-configures", ["cmake", "-S", place, "-B", place / "out",
                                                    f"-DCMAKE_PREFIX_PATH={tree.root}"], env=tree.env)
        if made.ok and "add_executable" in project:
            suite.command(f"{name}-builds", ["cmake", "--build", place / "out"], env=tree.env)
            tree.run(name, place / "out" / "shared", shared=True)
        if made.ok and "static" in project:
            tree.run(f"{name}-static", place / "out" / "static", shared=False)


def beside_another_rust_library(suite, tree):
    """Both orders of linking, and a panic caught in the other one, which needs its own unwinding tables."""
    place = tree.program("beside", BESIDE)
    (place / "other.rs").write_text(OTHER_RUST)
    suite.command("other-library-builds", ["rustc", "--edition=2024", "-O", "--crate-type=staticlib",
                                           "-Cpanic=unwind", "other.rs"], cwd=place)
    system = (DIST / "static-libs.txt").read_text().split()
    ours = tree.lib / "libtidegate.a"
    for name, pair in (("beside-before", [ours, "libother.a"]), ("beside-after", ["libother.a", ours])):
        suite.command(f"{name}-links", ["cc", *WARNINGS, f"-I{tree.include}", "example.c", *pair, *system, "-o", name],
                      cwd=place)
        tree.run(name, place / name, shared=False)


def static_libraries(suite, tree):
    """Libs.private is what rustc says that this library needs, not only an empty one."""
    command = ["cargo", "rustc", "--locked", "--package", "tidegate", "--lib", "--no-default-features",
               "--crate-type", "staticlib", "--", "--print", "native-static-libs"]
    output = suite.run(command, 300).output
    asked = [line.split("native-static-libs:", 1)[1].strip() for line in output.splitlines()
             if "native-static-libs:" in line]
    pc = (tree.lib / "pkgconfig" / "tidegate.pc").read_text()
    given = [line.split(":", 1)[1].strip() for line in pc.splitlines() if line.startswith("Libs.private:")]
    suite.check("libs-private-is-what-rustc-says", asked and asked == given, f"rustc: {asked}\ntidegate.pc: {given}")


def uninstall(suite, scratch):
    root = pathlib.Path(scratch) / "uninstalled"
    where = [f"DESTDIR={root}", f"PREFIX={PREFIX}", "LIBDIR=lib/some-triplet"]
    suite.command("make-install-with-libdir", ["make", "install", *where], 600)
    pc = root / PREFIX[1:] / "lib/some-triplet/pkgconfig/tidegate.pc"
    found = pc.read_text() if pc.exists() else ""
    suite.check("libdir-keeps-it-relocatable", "prefix=${pcfiledir}/../../..\n" in found, found)
    suite.command("make-uninstall", ["make", "uninstall", *where], 60)
    left = [str(path) for path in root.rglob("*") if not path.is_dir()]
    suite.none_of("uninstall-leaves-no-file", left)


def run(suite):
    with tempfile.TemporaryDirectory() as scratch:
        tree = Tree(suite, scratch)
        if not tree.install():
            return
        files(suite, tree)
        nothing_of_the_build(suite, tree)
        with_pkg_config(suite, tree)
        every_example(suite, tree)
        with_cmake(suite, tree)
        beside_another_rust_library(suite, tree)
        static_libraries(suite, tree)
        uninstall(suite, scratch)
