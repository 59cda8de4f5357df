#!/usr/bin/env python3
"""Install the C library, or remove what was installed.

    packaging/install.py [--uninstall] --version 0.1.0 --dist target/dist --prefix /usr/local
                         [--destdir DIR] [--libdir DIR] [--includedir DIR]

The installed tree may be moved as a whole: the pkg-config file and the CMake package find the rest
relative to themselves wherever libdir and includedir lie below prefix. Nothing is built here, so it can
run as another user than the one who built.
"""

import argparse
import os
import pathlib
import shutil
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
TEMPLATES = TOP / "packaging"


def relative(target, start, prefix):
    """target as seen from start while both lie below prefix; absolute otherwise."""
    if os.path.commonpath([target, prefix]) == os.path.commonpath([start, prefix]) == str(prefix):
        return os.path.relpath(target, start)
    return None


def pkg_config_paths(paths):
    """prefix, libdir and includedir as the pkg-config file spells them."""
    prefix = paths["prefix"]
    up = relative(prefix, paths["pkgconfigdir"], prefix)
    spelled = {"PC_PREFIX": "${pcfiledir}/" + up if up else str(prefix)}
    for name, key in (("libdir", "PC_LIBDIR"), ("includedir", "PC_INCLUDEDIR")):
        below = relative(paths[name], prefix, prefix)
        spelled[key] = "${prefix}/" + below if below else str(paths[name])
    return spelled


def cmake_paths(paths):
    """libdir and includedir as the CMake package spells them."""
    spelled = {}
    for name, key in (("libdir", "CMAKE_LIBDIR"), ("includedir", "CMAKE_INCLUDEDIR")):
        to = relative(paths[name], paths["cmakedir"], paths["prefix"])
        spelled[key] = "${CMAKE_CURRENT_LIST_DIR}/" + to if to else str(paths[name])
    return spelled


def cmake_link_libraries(flags):
    """-lfoo -lbar as a CMake list; the C library is always linked, and last."""
    names = [flag[2:] if flag.startswith("-l") else flag for flag in flags.split()]
    return ";".join(name for name in names if name != "c")


def layout(options):
    """Every directory that is written, without DESTDIR."""
    prefix = pathlib.Path(os.path.abspath(options.prefix))
    libdir = prefix / (options.libdir or "lib")
    return {
        "prefix": prefix,
        "libdir": libdir,
        "includedir": prefix / (options.includedir or "include"),
        "pkgconfigdir": libdir / "pkgconfig",
        "cmakedir": libdir / "cmake" / "tidegate",
    }


def values(options, paths):
    """What replaces @NAME@ in the templates."""
    libraries = (options.dist / "static-libs.txt").read_text().strip()
    return {
        "VERSION": options.version,
        "SOVERSION": options.version.split(".")[0],
        "STATIC_LIBS": libraries,
        "CMAKE_STATIC_LIBS": cmake_link_libraries(libraries),
        **pkg_config_paths(paths),
        **cmake_paths(paths),
    }


def fill(template, replacements):
    """The template's text with every @NAME@ replaced; an unknown name is an error."""
    text = (TEMPLATES / template).read_text()
    for name, value in replacements.items():
        text = text.replace(f"@{name}@", value)
    if "@" in text:
        sys.exit(f"install: {template} has a placeholder that nothing fills")
    return text


def contents(options, paths):
    """Destination and source of everything that is installed.

    A path is copied, a string is written, and ("link", target) becomes a symbolic link. find_package
    accepts tidegate-config.cmake for both spellings, tidegate and Tidegate.
    """
    real = f"libtidegate.so.{options.version}"
    soname = f"libtidegate.so.{options.version.split('.')[0]}"
    replacements = None if options.uninstall else values(options, paths)

    def filled(template):
        return "" if options.uninstall else fill(template, replacements)

    return {
        paths["libdir"] / real: options.dist / real,
        paths["libdir"] / soname: ("link", real),
        paths["libdir"] / "libtidegate.so": ("link", soname),
        paths["libdir"] / "libtidegate.a": options.dist / "libtidegate.a",
        paths["includedir"] / "tidegate.h": TOP / "include" / "tidegate.h",
        paths["pkgconfigdir"] / "tidegate.pc": filled("tidegate.pc.in"),
        paths["cmakedir"] / "tidegate-config.cmake": filled("TidegateConfig.cmake.in"),
        paths["cmakedir"] / "tidegate-config-version.cmake": filled("TidegateConfigVersion.cmake.in"),
    }


def below_destdir(path, destdir):
    """Where path is really written while a package is being built."""
    return pathlib.Path(destdir + str(path)) if destdir else path


def put(destination, source):
    """Writes one file; removing it first never follows a link of an earlier installation."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    destination.unlink(missing_ok=True)
    if isinstance(source, tuple):
        destination.symlink_to(source[1])
    elif isinstance(source, str):
        destination.write_text(source)
        destination.chmod(0o644)
    else:
        shutil.copyfile(source, destination)
        destination.chmod(0o755 if ".so." in destination.name else 0o644)
    print(f"installed {destination}")


def drop(destination, own_directory):
    """Removes one file, and the package's own directory once it is empty."""
    if not destination.is_symlink() and not destination.exists():
        return
    destination.unlink()
    print(f"removed {destination}")
    if destination.parent == own_directory and not any(own_directory.iterdir()):
        own_directory.rmdir()


def parse():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--uninstall", action="store_true")
    arguments.add_argument("--version", required=True)
    arguments.add_argument("--dist", required=True, type=pathlib.Path)
    arguments.add_argument("--prefix", required=True)
    arguments.add_argument("--destdir", default="")
    arguments.add_argument("--libdir", default="", help="absolute, or relative to prefix")
    arguments.add_argument("--includedir", default="", help="absolute, or relative to prefix")
    return arguments.parse_args()


def main():
    options = parse()
    paths = layout(options)
    for path, source in contents(options, paths).items():
        destination = below_destdir(path, options.destdir)
        if options.uninstall:
            drop(destination, below_destdir(paths["cmakedir"], options.destdir))
        else:
            put(destination, source)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"install: {error.strerror}: {error.filename}")
