"""Build hook of the wheel: cargo builds the shared library, which then lies inside the package.

The wheel needs no particular Python, since the package reaches the library through ctypes; it needs the
platform that the library was built for. Hence one tag for all of them, py3-none-<platform>.
"""

import json
import os
import subprocess
import sysconfig

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Generating the C header takes a code generator that a wheel has no use for.
CARGO = ["cargo", "build", "--release", "--locked", "--no-default-features", "--package", "tidegate"]
SUFFIXES = (".so", ".dylib", ".dll")


class LibraryHook(BuildHookInterface):
    """Adds libtidegate to the wheel, and to the tree for an editable installation."""

    PLUGIN_NAME = "custom"

    def initialize(self, version, build_data):
        """Called by hatchling before it collects the files; version is "standard" or "editable"."""
        library = build_library(self.root)
        inside = "tidegate/" + os.path.basename(library)
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-" + platform_tag()
        build_data["force_include"][library] = inside
        if version == "editable":
            build_data["force_include_editable"][library] = inside


def build_library(root):
    """Runs cargo in root and returns the path of the shared library that it reports."""
    command = [*CARGO, "--message-format", "json-render-diagnostics"]
    try:
        done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, check=False, text=True)
    except FileNotFoundError:
        raise SystemExit("tidegate: building needs cargo, which is not on the PATH (Rust 1.85 or newer)") from None
    if done.returncode != 0:
        raise SystemExit(f"tidegate: {' '.join(command)} failed with {done.returncode}")
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact" and "cdylib" in message["target"]["kind"]:
            for name in message["filenames"]:
                if name.endswith(SUFFIXES):
                    return name
    raise SystemExit("tidegate: cargo reported no shared library")


def platform_tag():
    """The platform in a wheel's spelling: linux_x86_64, macosx_11_0_arm64, win_amd64."""
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")
