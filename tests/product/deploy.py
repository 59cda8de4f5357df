"""docs/deploy/: the configurations of load balancers that are shown there, tried with the servers of c_examples/.

The texts are taken from the document; only addresses are replaced. Everything runs in a directory of its own on the
loopback, and is ended by its process id.
"""

import contextlib
import http.client
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

from .harness import DIST, TARGET, TOP, have
from .snippets import blocks

DOCUMENT = TOP / "docs" / "deploy" / "more-than-one-machine.md"
STREAM_MODULE = pathlib.Path("/usr/lib/nginx/modules/ngx_stream_module.so")
HTTP_PARSER = "http_parser.h is missing (Debian: libhttp-parser-dev)"
PATIENCE = 30
CLIENTS = 40
LARGE = os.urandom(150_000)  # a file of both HTTP servers, larger than what a balancer keeps of it


class Wrong(Exception):
    """What did not work."""


def until(condition, what):
    """Waits for something that must come to be; a connection that fails meanwhile is only not yet there."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if condition():
                return
        if time.monotonic() > deadline:
            raise Wrong(what)
        time.sleep(0.05)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class Program:
    """One of our servers, which prints its port; or any program that runs until a signal."""

    def __init__(self, command, log, prints_port=True):
        self.log = log
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE if prints_port else log, stderr=log,
                                        start_new_session=not prints_port)
        self.port = int(self.process.stdout.readline().decode().rsplit(":", 1)[1]) if prints_port else 0

    def end(self):
        """Ends it by SIGTERM; what it has said on its standard output."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        said, _ = self.process.communicate(timeout=PATIENCE)
        return (said or b"").decode()


class Farm:
    """Two echo servers and two HTTP servers."""

    def __init__(self, programs, place, log):
        self.programs, self.log = programs, log
        self.roots = [place / name for name in ("one", "two")]
        for root in self.roots:
            root.mkdir()
            (root / "index.html").write_text(root.name)
            (root / "large").write_bytes(LARGE)
        self.echo = [self.start_echo(0), self.start_echo(0)]
        self.http = [self.start_http(0, 0), self.start_http(0, 1)]

    def start_echo(self, port):
        return Program([self.programs / "16_upper_echo", port], self.log)

    def start_http(self, port, which):
        return Program([self.programs / "20_http", port, self.roots[which]], self.log)

    def end(self):
        for program in [*self.echo, *self.http]:
            program.end()


def filled_in(text, farm, tcp_port, http_port):
    """The document's configuration, with our addresses; each must be there to be replaced."""
    changes = [(f"10.0.0.{11 + number}:8081", f"127.0.0.1:{server.port}") for number, server in enumerate(farm.echo)]
    changes += [(f"10.0.0.{11 + number}:8020", f"127.0.0.1:{server.port}") for number, server in enumerate(farm.http)]
    for port, ours in ((8081, tcp_port), (8080, http_port)):
        nginx = f"listen {port};" in text
        changes.append((f"listen {port};", f"listen 127.0.0.1:{ours};") if nginx
                       else (f"bind :{port}\n", f"bind 127.0.0.1:{ours}\n"))
    for before, after in changes:
        if before not in text:
            raise Wrong(f"the configuration does not say {before!r}")
        text = text.replace(before, after)
    if "10.0.0." in text:
        raise Wrong("an address was not replaced")
    return text


def start_nginx(text, place, log):
    """nginx writes bodies into directories that belong to root: it gets others."""
    (place / "temp").mkdir(exist_ok=True)
    temps = "".join(f"    {kind}_temp_path {place}/temp/{kind};\n"
                    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config = place / "nginx.conf"
    config.write_text(text.replace("http {\n", "http {\n" + temps, 1))
    return Program(["nginx", "-e", "stderr", "-p", place, "-c", config, "-g",
                    f"daemon off; pid {place}/nginx.pid; error_log stderr;"], log, prints_port=False)


def start_haproxy(text, place, log):
    config = place / "haproxy.cfg"
    config.write_text(text)
    return Program(["haproxy", "-db", "-f", config], log, prints_port=False)


def shout(port, seed):
    """Sends, ends, and reads to the end: all of it must come back in capitals."""
    data = b"".join(b"line %d of client %d\n" % (number, seed) for number in range(2000))
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        writer = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)), daemon=True)
        writer.start()
        received = b""
        while piece := client.recv(65536):
            received += piece
        writer.join(PATIENCE)
    if received != data.upper():
        raise Wrong(f"client {seed}: {len(received)} of {len(data)} bytes came back, or others")


def shout_together(port):
    failures = []

    def one(seed):
        try:
            shout(port, seed)
        except (OSError, Wrong) as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=one, args=(seed,), daemon=True) for seed in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * PATIENCE)
    return failures


def fetch(port, path="/"):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        client.request("GET", path)
        answer = client.getresponse()
        return answer.status, answer.read()
    finally:
        client.close()


def fetched(port, count=20):
    """Statuses and bodies of some requests."""
    return {fetch(port) for _ in range(count)}


def fetch_large(port, count=4):
    """Statuses of some requests for the large file, and whether it came as it is."""
    return {(status, body == LARGE) for status, body in (fetch(port, "/large") for _ in range(count))}


def load(suite, name, port):
    if not have("wrk"):
        suite.skip(f"{name}-load", "wrk is not installed")
        return
    said = suite.run(["wrk", "-t", "1", "-c", "50", "-d", "1s", f"http://127.0.0.1:{port}/"], 60).output
    requests = re.search(r"(\d+) requests in ", said)
    suite.check(f"{name}-load-without-an-error", requests and int(requests.group(1)) > 0
                and not re.search("Socket errors|Non-2xx", said), said)


def try_out(suite, name, farm, tcp_port, http_port):
    """Everything that the document claims."""
    both = {(200, b"one"), (200, b"two")}
    suite.none_of(f"{name}-tcp-clients-get-everything-back", shout_together(tcp_port))
    seen = fetched(http_port)
    suite.check(f"{name}-http-requests-are-spread", seen == both, seen)
    suite.check(f"{name}-large-files-come-whole", fetch_large(http_port) == {(200, True)})
    load(suite, name, http_port)

    said = farm.echo[0].end()
    count = int(said.split()[0]) if said else 0
    suite.check(f"{name}-tcp-clients-are-spread", count >= CLIENTS // 4, said)
    farm.http[0].end()
    seen = fetched(http_port)
    suite.check(f"{name}-a-server-that-ends-takes-no-request-along", seen == {(200, b"two")}, seen)
    ends = [server.process.returncode for server in (farm.echo[0], farm.http[0])]
    suite.check(f"{name}-servers-end-in-good-order", ends == [0, 0], ends)
    suite.check(f"{name}-large-files-still-come-whole", fetch_large(http_port) == {(200, True)})
    suite.none_of(f"{name}-a-server-that-ends-takes-no-client-along", shout_together(tcp_port))

    farm.echo[0] = farm.start_echo(farm.echo[0].port)
    farm.http[0] = farm.start_http(farm.http[0].port, 0)
    until(lambda: fetched(http_port) == both, f"{name}: the HTTP server that is back is not used")
    suite.ok(f"{name}-an-http-server-that-is-back-is-used")
    until(lambda: used(farm.echo[0], tcp_port), f"{name}: the TCP server that is back is not used")
    suite.ok(f"{name}-a-tcp-server-that-is-back-is-used")


def used(server, tcp_port):
    """Whether one of two connections through the balancer ends up with a server: it has more sockets than idle."""
    place = f"/proc/{server.process.pid}/fd"
    with socket.create_connection(("127.0.0.1", tcp_port), PATIENCE) as one, \
            socket.create_connection(("127.0.0.1", tcp_port), PATIENCE) as other:
        for client in (one, other):
            client.sendall(b"x")
            if client.recv(1) != b"X":
                return False
        sockets = [entry for entry in os.listdir(place) if os.readlink(f"{place}/{entry}").startswith("socket:")]
        return len(sockets) > 1


def with_balancer(suite, name, start, text, programs):
    with tempfile.TemporaryDirectory() as scratch, open(TARGET / "test-logs" / f"deploy-{name}.log", "wb") as log:
        place = pathlib.Path(scratch)
        place.chmod(0o755)
        farm = Farm(programs, place, log)
        balancer = None
        try:
            tcp_port, http_port = free_port(), free_port()
            balancer = start(filled_in(text, farm, tcp_port, http_port), place, log)
            until(lambda: fetch(http_port)[0] == 200, f"{name} does not serve; see {log.name}")
            until(lambda: shout(tcp_port, 0) is None, f"{name} does not relay; see {log.name}")
            try_out(suite, name, farm, tcp_port, http_port)
        except (Wrong, OSError, http.client.HTTPException) as problem:
            suite.fail(name, f"{problem!r}; see {log.name}")
        finally:
            if balancer:
                balancer.end()
            farm.end()


def has_http_parser(suite):
    return suite.run(["cc", "-E", "-include", "http_parser.h", "-xc", os.devnull]).ok


def built(suite, programs, name, *libraries):
    """Builds an example into the directory programs."""
    programs.mkdir(parents=True, exist_ok=True)
    return suite.command(f"{name}-builds", [
        "cc", "-O2", f"-I{TOP / 'include'}", TOP / "c_examples" / f"{name}.c", "-o", programs / name, f"-L{DIST}",
        f"-Wl,-rpath,{DIST}", "-ltidegate", "-pthread", *libraries]).ok


def run(suite):
    texts = {block.language: "\n".join(block.lines) + "\n" for block in blocks(DOCUMENT) if block.language}
    if not suite.check("the-document-shows-both", {"nginx", "haproxy"} <= texts.keys(), sorted(texts)):
        return
    if not has_http_parser(suite):
        suite.skip("balancers", HTTP_PARSER)
        return
    programs = TARGET / "deploy"
    if not all(built(suite, programs, *what) for what in (("16_upper_echo",), ("20_http", "-lhttp_parser"))):
        return
    if have("nginx") and STREAM_MODULE.exists():
        with_balancer(suite, "nginx", start_nginx, texts["nginx"], programs)
    else:
        suite.skip("nginx", "nginx or its stream module is not installed (Debian: nginx-light, libnginx-mod-stream)")
    if have("haproxy"):
        with_balancer(suite, "haproxy", start_haproxy, texts["haproxy"], programs)
    else:
        suite.skip("haproxy", "haproxy is not installed")
