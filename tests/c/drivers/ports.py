"""Servers and ports that are none."""

from __future__ import annotations

import pathlib
import subprocess
from typing import List

from examples import LIMIT

from .common import expect

#: What stands behind the port, for servers that want more.
MORE_ARGUMENTS = {"20_http": ["."], "21_tcp_proxy": ["127.0.0.1", "1"]}
SERVERS = ["03_poll_once_echo", "04_poller_echo", "05_callback_echo", "06_batch_echo", "12_udp_echo", "16_upper_echo",
           "17_ok_response", "18_chat_sb", "19_chat", "20_http", "21_tcp_proxy"]


def bad_ports(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """They are named, and nothing listens. (mutation: parse_port is atoi)"""
    for port in ("99999", "65536", "-1", "abc", "80x", ""):
        command = [*wrapper, str(program), port, *MORE_ARGUMENTS.get(program.name, [])]
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT,
                              check=False)
        expect(done.returncode == 2 and f"{port} is not a port\n".encode() in done.stdout
               and b"listening" not in done.stdout, f"{port!r}: exit {done.returncode}: {done.stdout!r}")
