"""The clients of the example servers that are more than an echo: which example is driven by which."""

from __future__ import annotations

import pathlib
from typing import Callable, Dict, List

from . import chat, documents, file_copy, http, http_load, line_client, ports, proxy, supervisor, tail

#: (program, what it runs under, its environment) -> None, or an exception.
Driver = Callable[[pathlib.Path, List[str], dict], None]

DRIVERS: Dict[str, List[Driver]] = {
    "15_tail": tail.DRIVERS,
    "16_upper_echo": documents.UPPER,
    "17_ok_response": documents.OK_RESPONSE,
    "18_chat_sb": documents.CHAT_SB,
    "19_chat": chat.DRIVERS,
    "20_http": [*http.DRIVERS, *http_load.DRIVERS],
    "21_tcp_proxy": proxy.DRIVERS,
    "22_line_client": line_client.DRIVERS,
}

#: What is done with an example besides all else.
MORE: Dict[str, List[Driver]] = {
    "11_file_copy": file_copy.DRIVERS,
    "14_supervisor": supervisor.DRIVERS,
    **{name: [ports.bad_ports] for name in ports.SERVERS},
}

#: What only makes sense at full speed: it needs many connections, or measures memory.
NATIVE_ONLY = {*chat.NATIVE_ONLY, *http_load.DRIVERS, *proxy.NATIVE_ONLY, *tail.NATIVE_ONLY}


def steps(program: pathlib.Path, wrapper: List[str], env: dict) -> List[Callable[[], None]]:
    """What is to be done with an example; under valgrind without NATIVE_ONLY."""
    chosen = [driver for driver in DRIVERS[program.name] if not wrapper or driver not in NATIVE_ONLY]
    return [lambda driver=driver: driver(program, wrapper, env) for driver in chosen]
