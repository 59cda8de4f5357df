"""Builds each client with every compiler at hand, and runs it against its server, then again under valgrind.

A client or a server that is not installed is a skip by name. Each program must also say no: with a wrong
expectation, or without a server, it has to end by itself with another status than 0.

That the tests can fail was tried with these changes of the adapters, each of which they report:

    tidegate_curl.h     CURL_POLL_REMOVE does not close the watcher; no timer at 0; the interest of a known socket is
                        not changed; tg_curl_act goes on when done has closed (valgrind)
    tidegate_hiredis.h  writing although reading has freed the context (reset-while-writing); cleanup leaves the
                        watcher; del_write keeps the interest; the context is not forgotten
    redis_pipeline.c    errstr is not kept when connecting fails at once (no-name)
    tidegate_libpq.h    a watcher whose descriptor has the same number is kept (second-host); flush never asks to
                        write; a connection that failed keeps its watcher; its loss is not noticed; PQfinish when
                        opening fails (garbage, no-directory, no-name)
    tidegate_cares.h    the hook is never started; the timer does nothing; what is no longer wanted is not closed;
                        the wish to write is ignored
    tidegate_dbus.h     watches are not toggled, not removed, not watched from the beginning, or watched while
                        disabled; timeouts are not removed, or do nothing; dispatching goes on after detaching
                        (valgrind), or ends after one message; no reference during dispatch; detaching keeps its
                        reference
"""

import contextlib
import fcntl
import pathlib
import random
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import time

from product.harness import DIST, TARGET, TOP, environment, have

from . import own_server, servers

SOURCES = TOP / "c_examples" / "clients"
SECONDS = 60  # a program needs a few; under valgrind on a busy machine some more
MEMCHECK = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full", "--num-callers=30",
            f"--suppressions={TOP / 'tests' / 'c' / 'memcheck.supp'}"]
#: The environment may name servers, proxies and buses that are not ours.
CLEAN = dict.fromkeys(["PGHOST", "PGPORT", "PGSERVICE", "PGOPTIONS", "PGSSLMODE", "http_proxy", "all_proxy",
                       "DBUS_SESSION_BUS_ADDRESS", "RES_OPTIONS", "LOCALDOMAIN", "HOSTALIASES"])
BODIES = 20  # different ones, of which each is fetched under many names
UNKNOWN = "no.such.invalid"


def why_unknown():
    """What the C library says when it looks that name up: it depends on whether there is a name server here."""
    try:
        socket.getaddrinfo(UNKNOWN, 1)
    except socket.gaierror as error:
        return error.strerror
    return "it is known"


def fnv1a(data):
    """The hash that curl_fetch makes of a body."""
    value = 14695981039346656037
    for byte in data:
        value = (value ^ byte) * 1099511628211 & 0xFFFFFFFFFFFFFFFF
    return value


class Client:
    """One built program and its server: how it is run."""

    def __init__(self, suite, name, program, server):
        self.suite = suite
        self.name = name
        self.program = program
        self.server = server

    def succeeds(self, what, *arguments, wrapper=()):
        self.suite.command(f"{self.name}-{what}", [*wrapper, self.program, *arguments], SECONDS, env=CLEAN)

    def refuses(self, what, *arguments, native=False, says=""):
        """It ends by itself, not with 0, and says why; under valgrind where there is one, since such paths are rare."""
        wrapper = MEMCHECK if have("valgrind") and not native else []
        result = self.suite.run([*wrapper, self.program, *arguments], SECONDS, env=CLEAN)
        self.suite.check(f"{self.name}-says-no-{what}", result.status in (1, 2) and says in result.output,
                         f"{says!r} is expected\n{result.tail()}")


def curl(client, wrapper):
    """200 URLs of 20 bodies, some of them in small pieces; then one URL many times."""
    count = 40 if wrapper else 200
    place = client.server.place
    chance = random.Random(1)
    known = {}
    for number in range(BODIES):
        body = chance.getrandbits(8 * 150_000).to_bytes(150_000, "big")[:[0, 1, 1000, 16384, 150_000][number % 5]]
        (place / "files" / f"{number}.bin").write_bytes(body)
        known[number] = f"{len(body)} {fnv1a(body):016x}"
    base = f"http://127.0.0.1:{client.server.port}"
    lines = [f"{base}{'/slow' if number % 7 == 0 else ''}/{number % BODIES}.bin?{number} {known[number % BODIES]}\n"
             for number in range(count)]
    (place / "list").write_text("".join(lines))
    client.succeeds("list-valgrind" if wrapper else "list", place / "list", wrapper=wrapper)
    if wrapper:
        return
    client.succeeds("one-url", f"{base}/4.bin", "50")
    (place / "list").write_text("".join(lines[:-1]) + lines[-1].replace(known[(count - 1) % BODIES], "150000 0"))
    client.refuses("wrong-hash", place / "list")
    with refusing_port() as port:
        client.refuses("no-server", f"http://127.0.0.1:{port}/", "10")


def redis(client, wrapper):
    """The pipeline, and the server killed and started again when the program says so."""
    count = "2000" if wrapper else "100000"
    name = "reconnect-valgrind" if wrapper else "reconnect"
    command = [*map(str, wrapper), str(client.program), "127.0.0.1", str(client.server.port), count, "reconnect"]
    process = subprocess.Popen(command, env=environment(CLEAN), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    limit = threading.Timer(SECONDS, process.kill)
    limit.start()
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if line.startswith("kill the server now"):
                client.server.kill()
            elif line.startswith("no server"):  # it has been refused at least once
                client.server.start()
        process.wait()
    finally:
        limit.cancel()
        process.kill()
        process.stdout.close()
        process.wait()
    text = "".join(said)
    client.suite.log.write(text)
    client.suite.check(f"{client.name}-{name}", process.returncode == 0 and "no server" in text,
                       f"{text}exit status {process.returncode}")
    if wrapper:
        return
    client.succeeds("alone", "127.0.0.1", client.server.port, "10000")
    with refusing_port() as port:
        client.refuses("no-server", "127.0.0.1", port, "10", says="refused")
    client.refuses("no-name", UNKNOWN, "6379", "10", says=f"connect: {why_unknown()}")
    with Resetter() as port:
        client.refuses("reset-while-writing", "127.0.0.1", port, "100000", native=True)  # more than fits


def postgres(client, wrapper):
    """Directly, and when the first of two hosts refuses, so that libpq changes its socket while connecting."""
    count = "200" if wrapper else "5000"
    with refusing_port() as port:
        second = client.server.conninfo("127.0.0.1,", f"{port},")
        client.succeeds("second-host-valgrind" if wrapper else "second-host", second, count, wrapper=wrapper)
        if wrapper:
            return
        client.succeeds("direct", client.server.conninfo(), count)
        client.refuses("no-server", f"host=127.0.0.1 port={port} user=tidegate", says="refused")
    client.refuses("no-database", client.server.conninfo().replace("dbname=postgres", "dbname=none"),
                   says='"none" does not exist')
    client.refuses("garbage", "garbage", says='missing "=" after "garbage"')  # these end before there is a socket
    client.refuses("no-directory", "host=/nope", says="/nope/.s.PGSQL")
    client.refuses("no-name", f"host={UNKNOWN}", says=f'host name "{UNKNOWN}"')


def cares(client, wrapper):
    server = f"127.0.0.1:{client.server.port}"
    if wrapper:
        client.succeeds("valgrind", server, servers.DNS_DOMAIN, "200", wrapper=wrapper)
        return
    client.succeeds("lookups", server, servers.DNS_DOMAIN, "1000")
    client.refuses("wrong-domain", server, f"not.{servers.DNS_DOMAIN}", "20")


def dbus(client, wrapper):
    address = client.server.address()
    if wrapper:
        client.succeeds("valgrind", address, "200", wrapper=wrapper)
        return
    client.succeeds("calls", address, "1000")
    client.refuses("no-bus", f"{address.split(',')[0]}-missing", "10")


class refusing_port:
    """A port of 127.0.0.1 that refuses connections and that nobody else can take: bound, and not listening."""

    def __enter__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        return self.socket.getsockname()[1]

    def __exit__(self, *_):
        self.socket.close()


class Resetter:
    """A server that resets its only connection while the client, whose data it does not read, waits to write.

    The client finds a descriptor that is readable and writable at once; what it reads ends the connection.
    That it waits by then is guessed from nothing more arriving; with a wrong guess the test shows less, and passes.
    """

    def __enter__(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(1)
        self.listener.settimeout(SECONDS)
        self.thread = threading.Thread(target=self.reset, daemon=True)
        self.thread.start()
        return self.listener.getsockname()[1]

    def reset(self):
        with contextlib.suppress(OSError):
            connection, _ = self.listener.accept()
            with connection:
                connection.settimeout(SECONDS)
                before, waiting = 0, self.arrived(connection)
                while waiting == 0 or waiting != before:
                    time.sleep(0.02)
                    before, waiting = waiting, self.arrived(connection)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    @staticmethod
    def arrived(connection):
        return struct.unpack("i", fcntl.ioctl(connection, termios.FIONREAD, b"0000"))[0]

    def __exit__(self, *_):
        self.thread.join(SECONDS)
        self.listener.close()


# Program, its library's name for pkg-config, its server, and what is done with them.
CLIENTS = [
    ("curl_fetch", "libcurl", servers.Nginx, curl),
    ("redis_pipeline", "hiredis", servers.Redis, redis),
    ("pg_listen", "libpq", servers.Postgres, postgres),
    ("cares_lookup", "libcares", servers.Dnsmasq, cares),
    ("dbus_pair", "dbus-1", servers.DBus, dbus),
]


def missing(suite, library, server):
    """What is not installed that a client needs, in words; "" when all is there."""
    absent = server.missing()
    if not suite.run(["pkg-config", "--exists", library]).ok:
        absent.append(f"the headers of {library}")
    return ", ".join(absent)


def build(suite, name):
    """Builds a client by the clients' Makefile, with each compiler; the last one's program, or None."""
    program = None
    for compiler in ["clang", "gcc", "cc"]:
        if not have(compiler) or (compiler == "cc" and have("gcc")):
            continue
        target = TARGET / "clients" / compiler / name
        result = suite.command(f"{name}-builds-{compiler}", [
            "make", "-B", "-C", SOURCES, f"CC={compiler}", f"OUT={target.parent}", f"TG_CFLAGS=-I{TOP / 'include'}",
            f"TG_LIBS=-L{DIST} -ltidegate -Wl,-rpath,{DIST}", target])
        program = target if result.ok else None
    return program


def one(suite, name, server_class, steps):
    program = build(suite, name)
    if program is None:
        return
    with tempfile.TemporaryDirectory(prefix="tidegate-") as place:
        try:
            with server_class(place) as server:
                client = Client(suite, name, program, server)
                steps(client, [])
                if have("valgrind"):
                    steps(client, MEMCHECK)
        except servers.NotStarted as error:
            suite.fail(f"{name}-server", str(error))
    if name == "curl_fetch":
        with tempfile.TemporaryDirectory(prefix="tidegate-") as place:
            own_server.run(suite, program, pathlib.Path(place), fnv1a)


def run(suite):
    if not have("pkg-config"):
        suite.skip("pkg-config", "pkg-config is not installed")
        return
    if not have("valgrind"):
        suite.skip("valgrind", "valgrind is not installed")
    for name, library, server_class, steps in CLIENTS:
        absent = missing(suite, library, server_class)
        if absent:
            suite.skip(name, f"not installed: {absent}")
        else:
            one(suite, name, server_class, steps)
