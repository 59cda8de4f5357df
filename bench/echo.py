#!/usr/bin/env python3
"""Echo servers side by side: what a request costs on Tidegate, a hand-written epoll loop, libuv and libevent.

The servers take turns (A B C A B C ...), each pinned to one processor and the client to another, so that what disturbs
the machine disturbs all. Nothing is asserted about time.

  bench/echo.py --dir target/bench [--quick] [--rounds N]     processor time of the server per request
  bench/echo.py --dir target/bench --flood                    latency of the others while one connection floods
  bench/echo.py --dir target/bench --instructions             instructions in user space per request (valgrind)
"""

import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PEERS = {"epoll": "epoll by hand", "tidegate": "tidegate", "uv": "libuv", "libevent": "libevent"}
# (connections, bytes, requests under way on each)
WORKLOADS = [(50, 64, 1), (1000, 64, 1), (50, 16384, 1)]
ENDED_S = 10


def processors():
    """The client's and the server's; the same one where there is only one."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def pinned(processor):
    """What a child does before it begins."""
    return None if processor is None else lambda: os.sched_setaffinity(0, {processor})


def cpu_ns(pid):
    """Processor time of a process, kernel included, all of its threads."""
    total = 0
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            total += int((thread / "schedstat").read_text(encoding="ascii").split()[0])
        return total
    except OSError:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class Server:
    """One server process; `with` ends it."""

    def __init__(self, program, before=()):
        self.process = subprocess.Popen(
            [*before, str(program)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=pinned(processors()[1])
        )
        self.port = self.process.stdout.readline().strip().decode()
        if not self.port.isdigit():
            self.end()
            raise SystemExit(f"{program} does not listen")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(ENDED_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def measure(directory, server, workload, options):
    """The client's figures, and `cpu_us`, the server's processor time per request."""
    arguments = [str(directory / "load"), server.port, *map(str, workload), *options]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=pinned(processors()[0])
    ) as client:
        if client.stdout.readline() != "ready\n":
            raise SystemExit("the client has failed")
        settle(server.process.pid)
        before = cpu_ns(server.process.pid)
        client.stdin.write("go\n")
        client.stdin.flush()
        words = client.stdout.readline().split()
        if not words:
            raise SystemExit("the client has failed")
        settle(server.process.pid)
        after = cpu_ns(server.process.pid)
        client.stdin.close()
    figures = {name: float(value) for name, value in zip(words[::2], words[1::2])}
    figures["cpu_us"] = (after - before) / 1000 / figures["requests"]
    return figures


def settle(pid):
    """The kernel adds a process's time up when it goes to sleep: waits a moment until this one does."""
    for _ in range(100):
        if Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "S":
            return
        time.sleep(0.001)


def take_turns(directory, peers, workload, options, rounds):
    """Figures by peer, a list each; a round before those that count is for warming up."""
    found = {peer: [] for peer in peers}
    for count in range(rounds + 1):
        for peer in peers:
            with Server(directory / f"echo_{peer}") as server:
                figures = measure(directory, server, workload, options)
            if count > 0:
                found[peer].append(figures)
    return found


def named(workload):
    return "{:,} connections of {:,} bytes".format(*workload[:2]).replace(" of", ", requests of")


def median(rounds, figure):
    return statistics.median(figures[figure] for figures in rounds)


def ratio(found, peer, other, figure):
    if other not in found or peer == other:
        return ""
    return "{:.2f}".format(median(found[peer], figure) / median(found[other], figure))


def show_processor_time(directory, peers, args):
    seconds = 0.5 if args.quick else 2
    print(f"echo: the server's processor time per request in microseconds, median of {args.rounds} rounds (least - most)")
    for workload in WORKLOADS:
        options = ["-s", str(seconds), "-w", str(20 * workload[0])]
        found = take_turns(directory, peers, workload, options, args.rounds)
        print(f"{named(workload)}:")
        for peer in peers:
            each = [figures["cpu_us"] for figures in found[peer]]
            speed = median(found[peer], "requests") / seconds
            to = [f"x {ratio(found, peer, other, 'cpu_us'):>4} {PEERS[other]}" for other in ("epoll", "uv")
                  if ratio(found, peer, other, "cpu_us")]
            print(f"  {PEERS[peer]:14} {statistics.median(each):7.2f} ({min(each):.2f} - {max(each):.2f})"
                  f"  {speed:9,.0f} a second   {', '.join(to)}")
        sys.stdout.flush()


def show_flood(directory, peers, args):
    seconds = 0.5 if args.quick else 2
    print("echo: 50 connections, requests of 64 bytes, while one more connection sends as much as it can")
    options = ["-s", str(seconds), "-w", "1000", "-f"]
    found = take_turns(directory, peers, (50, 64, 1), options, args.rounds)
    quiet = take_turns(directory, peers, (50, 64, 1), options[:-1], args.rounds)
    for peer in peers:
        of = {name: median(found[peer], name) for name in ("p50_us", "p99_us", "p999_us", "max_us", "flood_bytes")}
        print(f"  {PEERS[peer]:14} latency p50 {of['p50_us']:6.0f} us, p99 {of['p99_us']:6.0f}, p99.9 {of['p999_us']:6.0f},"
              f" worst {of['max_us']:6.0f} (without the flood: p50 {median(quiet[peer], 'p50_us'):.0f},"
              f" p99 {median(quiet[peer], 'p99_us'):.0f}); flood {of['flood_bytes'] / seconds / 1e6:5.0f} MB/s")


def instructions(directory, peer, workload, requests):
    """What a whole life of the server takes, kernel excluded, when it answers so many requests."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "callgrind.out"
        before = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        with Server(directory / f"echo_{peer}", before) as server:
            measure(directory, server, workload, ["-r", str(requests), "-w", str(20 * workload[0]), "-l"])
        totals = re.search(r"^(?:totals|summary): (\d+)", out.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return int(totals.group(1))


def show_instructions(directory, peers, args):
    print("echo: instructions of the server in user space per request, library included"
          " (two runs of different length, so that the start cancels out)")
    shorter = 2000 if args.quick else 5000
    for workload in [(1, 64, 1), *WORKLOADS]:
        few, many = shorter * (1 + (workload[0] > 100)), 5 * shorter * (1 + (workload[0] > 100))
        each = {peer: (instructions(directory, peer, workload, many) - instructions(directory, peer, workload, few))
                / (many - few) for peer in peers}
        print(f"{named(workload)}:")
        for peer in peers:
            print(f"  {PEERS[peer]:14} {each[peer]:8.0f}   x {each[peer] / each[peers[0]]:.2f}")
        sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, required=True, help="where the programs are")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="shorter rounds, for a look")
    parser.add_argument("--flood", action="store_true")
    parser.add_argument("--instructions", action="store_true")
    parser.add_argument("--peers", default=",".join(PEERS), help="which, the one to compare with first")
    args = parser.parse_args()
    asked = args.peers.split(",")
    peers = [peer for peer in asked if (args.dir / f"echo_{peer}").is_file()]
    for peer in asked:
        if peer not in peers:
            print(f"echo: left out, as it could not be built here: {PEERS.get(peer, peer)}")
    if args.instructions:
        if shutil.which("valgrind") is None:
            raise SystemExit("valgrind is missing (Debian, Ubuntu: apt install valgrind)")
        show_instructions(args.dir, peers, args)
    elif args.flood:
        show_flood(args.dir, peers, args)
    else:
        show_processor_time(args.dir, peers, args)


if __name__ == "__main__":
    main()
