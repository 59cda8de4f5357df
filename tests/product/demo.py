"""make demo: it says that all is well, and can say that something is not."""

import pathlib
import sys
import tempfile

from .harness import DIST, TARGET, TOP


def run(suite):
    suite.run(["make", "-s", "lib"], 600)
    result = suite.command("make-demo", ["make", "-s", "demo"], 120)
    lines = result.output.rstrip().splitlines()
    suite.check("verdict-is-the-last-line", lines and lines[-1].startswith("OK: 9 servers answered"), result.tail())
    for port in (10000, 9000, 8080, 8081, 8088):
        suite.check(f"names-port-{port}", f", port {port}\n" in result.output, result.tail())
    with tempfile.TemporaryDirectory() as place:
        for program in (TARGET / "c_examples").glob("[0-9][0-9]_*"):
            does = pathlib.Path("/bin/true") if program.name == "16_upper_echo" else program
            pathlib.Path(place, program.name).symlink_to(does)
        broken = suite.run([sys.executable, TOP / "tools" / "demo.py", "--c-programs", place,
                            "--library", DIST / "libtidegate.so"], 60)
    suite.check("a-server-that-fails-fails-the-demo", broken.status == 1 and "WRONG: 1 of 9" in broken.output,
                broken.tail())
