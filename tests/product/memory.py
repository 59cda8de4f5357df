"""Memory of connections: idle ones, ones that were used, and one whose peer reads slowly. See tests/run.py."""

import pathlib
import tempfile

from . import c_program

# What a connection may keep resident, in bytes. Measured: 197 without framing, and 396 after a burst of frames, of
# whose 64 KiB nothing may stay. The heap has reserved besides what closing them may need.
IDLE = 200
FRAMED = 460
HEAP = 350
FRAMED_HEAP = 580
# A stream of 1 GiB to a peer that rests: the high watermark, what the kernel and the allocator keep around it.
GROWTH = 16 << 20


def measure(program, scenario, suite):
    """What the program says, as numbers by name."""
    result = suite.run([str(program), scenario], 120)
    suite.check(f"{scenario}-runs", result.ok, result.tail())
    words = (line.split() for line in result.output.splitlines())
    return {line[0]: int(line[1]) for line in words if len(line) == 2 and line[1].isdigit()}


def within(suite, name, got, key, most):
    value = got.get(key)
    suite.check(name, value is not None and value <= most, f"{key} is {value}, at most {most} were to be")


def run(suite):
    with tempfile.TemporaryDirectory() as directory:
        program = c_program.build(suite, pathlib.Path(directory), "memory")
        if program is None:
            return
        for scenario, rss, heap in (
            ("idle", IDLE, HEAP),
            ("answered", IDLE, HEAP),
            ("framed", FRAMED, FRAMED_HEAP),
        ):
            got = measure(program, scenario, suite)
            suite.note(
                f"8,000 connections, {scenario}: {got.get('rss')} bytes resident, {got.get('heap')} of the heap each"
            )
            within(suite, f"{scenario}-resident", got, "rss", rss)
            within(suite, f"{scenario}-heap", got, "heap", heap)
        got = measure(program, "slow", suite)
        suite.note(f"1 GiB to a peer that rests: {got.get('growth', 0) >> 10} KiB of growth")
        within(suite, "h41-slow-reader", got, "growth", GROWTH)
        within(suite, "h41-slow-reader-rests", got, "rested-after", GROWTH)
        suite.check("h41-slow-reader-gets-all", got.get("written") == 1 << 30, str(got))
