"""The loader, the generated tables, the exceptions."""

from __future__ import annotations

import ctypes
import errno
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import helpers
import pytest

import tidegate
from tidegate import _abi, _errors, _ffi

GENERATOR = Path(__file__).resolve().parents[1] / "tools" / "gen_abi.py"


def generate(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(GENERATOR), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_generated_file_is_that_of_the_header() -> None:
    done = generate("--check")
    assert done.returncode == 0, done.stderr


def test_check_compares_and_does_not_write(tmp_path: Path) -> None:
    output = tmp_path / "abi.py"
    output.write_text("old")
    for _ in range(2):
        done = generate("--check", "--output", output)
        assert done.returncode == 1 and "stale" in done.stderr
    assert output.read_text() == "old"
    assert generate("--output", output).returncode == 0
    assert generate("--check", "--output", output).returncode == 0


@pytest.mark.parametrize(
    "line",
    ["int tg_new(unknown_type x);", "what is this;", "typedef union { int a; } tg_u;", "int tg_array(int a[3]);"],
)
def test_what_the_generator_does_not_understand_is_an_error(line: str, tmp_path: Path) -> None:
    header = tmp_path / "tidegate.h"
    text = (GENERATOR.parents[2] / "include" / "tidegate.h").read_text()
    header.write_text(text.replace("#ifdef __cplusplus\n}", line + "\n#ifdef __cplusplus\n}", 1))
    assert header.read_text() != text, "the header ends as this test expects"
    done = generate("--header", header, "--output", tmp_path / "abi.py")
    assert done.returncode == 2 and str(header) in done.stderr
    assert not (tmp_path / "abi.py").exists()


def test_the_tables_agree_with_the_library() -> None:
    for code, name in _abi.ERRORS.items():
        assert _ffi.err_name(code) == name.encode()
    beyond = min(_abi.ERRORS) - 1
    assert _ffi.err_name(beyond) == b"TG_UNKNOWN"
    for name in _abi.PROTOTYPES:
        assert _ffi._LOCKED[name], name
    assert ctypes.sizeof(_abi.tg_record) == 32
    assert ctypes.sizeof(_abi.tg_poller_event) == 16
    assert ctypes.sizeof(_abi.tg_poll_item) == 12


def test_every_code_has_its_exception() -> None:
    for code, name in _abi.ERRORS.items():
        error = _errors.make_error(code, "words")
        assert isinstance(error, tidegate.TidegateError) and isinstance(error, OSError)
        assert (error.code, error.name, str(error)) == (code, name, f"[{name}] words")
    for number, builtin in (
        (errno.EPERM, PermissionError),
        (errno.EEXIST, FileExistsError),
        (errno.EAGAIN, BlockingIOError),
        (errno.ECONNRESET, ConnectionResetError),
        (errno.EMFILE, OSError),
    ):
        error = _errors.make_error(-number, "")
        assert isinstance(error, builtin) and isinstance(error, tidegate.TidegateError)
        assert (error.errno, error.name) == (number, errno.errorcode[number])
        assert os.strerror(number) in str(error)
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), again.errno, str(again)) == (type(error), number, str(error))
    assert isinstance(_errors.make_error(_abi.TG_EINVAL, ""), ValueError)
    assert isinstance(_errors.make_error(_abi.TG_ETIMEDOUT, ""), TimeoutError)


def test_an_error_speaks_the_librarys_words() -> None:
    with pytest.raises(tidegate.StaleError, match=r"tg_loop_wake.*0x3039.*TG_ESTALE"):
        _ffi.wake(12345)
    with pytest.raises(tidegate.StaleError, match=r"tg_close.*0x3039.*TG_ESTALE"):
        _ffi.check(_ffi.handle_close(12345))


def import_with(library: str) -> str:
    """What importing the package says when TIDEGATE_LIBRARY is `library`."""
    env = dict(helpers.environment(), TIDEGATE_LIBRARY=library)
    done = subprocess.run(
        [sys.executable, "-c", "import tidegate; print(tidegate.library_version())"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr.strip().rpartition("\n")[2]


def test_another_library_can_be_named(tmp_path: Path) -> None:
    copy = tmp_path / "renamed.so"
    shutil.copy(_ffi._PATH, copy)
    assert import_with(str(copy)).startswith(tidegate.library_version())


def test_a_library_that_is_not_there_or_not_ours(tmp_path: Path) -> None:
    absent = str(tmp_path / "absent.so")
    message = import_with(absent)
    assert message.startswith("ImportError") and absent in message and "TIDEGATE_LIBRARY" in message
    text = tmp_path / "text.so"
    text.write_text("not a library")
    message = import_with(str(text))
    assert message.startswith("ImportError: cannot load") and str(text) in message


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler to make a wrong library")
@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("int unrelated(void) { return 0; }", "has no tg_version_number"),
        ("unsigned tg_version_number(void) { return 7u << 16; }", "is libtidegate 7.0, but this package needs 0.1"),
        ("unsigned tg_version_number(void) { return 1u << 8; }", "has no tg_version:"),
    ],
)
def test_a_library_of_another_version(tmp_path: Path, source: str, expected: str) -> None:
    (tmp_path / "wrong.c").write_text(source)
    library = tmp_path / "wrong.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, tmp_path / "wrong.c"], check=True)
    message = import_with(str(library))
    assert message.startswith("ImportError") and expected in message and str(library) in message


def test_the_package_has_what_type_checkers_need() -> None:
    assert (Path(tidegate.__file__).parent / "py.typed").exists()
