"""make demo: it says that all is well, and can say that something is not."""

import pathlib
import sys
import tempfile

from .harness import DIST, TOP


def run(suite):
    suite.run(["make", "-s", "lib"], 600)
    result = suite.command("make-demo", ["make", "-s", "demo"], 120)
    lines = result.output.rstrip().splitlines()
    suite.check("verdict-is-the-last-line", lines and lines[-1].startswith("OK: 9 servers answered"), result.tail())
    for port in (10000, 9000, 8080, 8081, 8088):
        suite.check(f"names-port-{port}", f", port {port}\n" in result.output, result.tail())
    with tempfile.TemporaryDirectory() as place:
        for name in ("05_callback_echo", "16_upper_echo", "17_ok_response", "18_chat_sb"):
            pathlib.Path(place, name).symlink_to("/bin/true")
        broken = suite.run([sys.executable, TOP / "tools" / "demo.py", "--c-examples", place,
                            "--library", DIST / "libtidegate.so"], 60)
    suite.check("a-server-that-fails-fails-the-demo", broken.status == 1 and "WRONG: 4 of 9" in broken.output,
                broken.tail())
