"""Our HTTP example by itself, and two of it behind load balancers, each with the configuration that the guide shows."""

import contextlib
import os
import random
import re
import signal
import socket
import subprocess

from product.harness import DIST, TARGET, TOP, environment

from . import servers

GUIDE = TOP / "docs" / "guide" / "14-groups-and-limits.md"
SECONDS = 60
URLS = 200
NUMBERS = [0, 1, 1000, 16384, 150_000]  # sizes of the files


def configuration(language, port, backends):
    """A block of the guide, with addresses of this test in the place of the guide's."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.M | re.S)
    for number, backend in enumerate(backends, 1):
        assert f"10.0.0.{number}:8080" in text
        text = text.replace(f"10.0.0.{number}:8080", f"127.0.0.1:{backend.port}")
    return re.sub(r"(listen|bind) :?80\b", rf"\1 127.0.0.1:{port}", text)


class Http:
    """One of our servers; it takes a free port and says which."""

    def __init__(self, program, files):
        self.process = subprocess.Popen([program, "0", files], env=environment({}), stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def end(self):
        """As an administrator ends it; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return None
        finally:
            self.process.stdout.close()


class Nginx(servers.Nginx):
    backends = ()

    def command(self):
        shown = configuration("nginx", self.port, self.backends)
        frame = self.CONFIGURATION.format(place=self.place, port=self.port)
        http = frame[:frame.index("    server {")] + shown + "}\n"
        (self.place / "nginx.conf").write_text(http)
        return [servers.find("nginx"), "-e", "stderr", "-p", self.place, "-c", self.place / "nginx.conf"]


class HaProxy(servers.Server):
    tools = ("haproxy",)
    backends = ()

    def command(self):
        shown = configuration("haproxy", self.port, self.backends)
        path = self.place / "haproxy.cfg"
        path.write_text(f"global\n    stats socket {self.place}/admin\n{shown}")
        return [servers.find("haproxy"), "-db", "-f", path]

    def ready(self):
        """It answers on a socket of its own once it runs."""
        with socket.socket(socket.AF_UNIX) as admin, contextlib.suppress(OSError):
            admin.settimeout(SECONDS)
            admin.connect(str(self.place / "admin"))
            admin.sendall(b"show info\n")
            return b"HAProxy" in admin.recv(4096)
        return False


def list_of_urls(place, base, known):
    chance = random.Random(2)
    path = place / "urls"
    path.write_text("".join(f"{base}/{name}?{number} {known[name]}\n" for number, name in
                            enumerate(chance.choices(list(known), k=URLS))))
    return path


def write_files(place, fnv1a):
    files = place / "site"
    files.mkdir()
    known = {}
    for number, size in enumerate(NUMBERS):
        body = os.urandom(size)
        (files / f"{number}.bin").write_bytes(body)
        known[f"{number}.bin"] = f"{size} {fnv1a(body):016x}"
    return files, known


def build(suite):
    target = TARGET / "clients" / "20_http"
    target.parent.mkdir(parents=True, exist_ok=True)
    result = suite.command("20_http-builds", [
        "cc", "-O2", f"-I{TOP / 'include'}", TOP / "c_examples" / "20_http.c", "-o", target, f"-L{DIST}", "-ltidegate",
        f"-Wl,-rpath,{DIST}", "-lhttp_parser"], SECONDS)
    return target if result.ok else None


def behind(suite, fetch, balancer, backends, place, known):
    """All URLs with both servers, and all again when one has been ended."""
    name = balancer.__name__.lower()
    absent = balancer.missing()
    if absent:
        suite.skip(f"behind {name}", f"not installed: {', '.join(absent)}")
        return
    balancer.backends = backends
    home = place / name
    home.mkdir()
    try:
        with balancer(home) as front:
            urls = list_of_urls(place, f"http://127.0.0.1:{front.port}", known)
            suite.command(f"behind-{name}", [fetch, urls], SECONDS)
            suite.check(f"behind-{name}-one-ends", backends[0].end() == 0, "it did not end well")
            suite.command(f"behind-{name}-the-other-goes-on", [fetch, urls], SECONDS)
    except servers.NotStarted as error:
        suite.fail(f"behind-{name}-server", str(error))


def run(suite, fetch, place, fnv1a):
    """With curl_fetch, which checks every body."""
    if not suite.run(["cc", "-E", "-include", "http_parser.h", "-xc", os.devnull]).ok:
        suite.skip("20_http", "not installed: the headers of http_parser (Debian: libhttp-parser-dev)")
        return
    program = build(suite)
    if program is None:
        return
    files, known = write_files(place, fnv1a)
    place.chmod(0o755)
    for number, balancer in enumerate([Nginx, HaProxy]):
        backends = [Http(program, files), Http(program, files)]
        try:
            if number == 0:
                urls = list_of_urls(place, f"http://127.0.0.1:{backends[0].port}", known)
                suite.command("curl_fetch-our-own-server", [fetch, urls], SECONDS)
            behind(suite, fetch, balancer, backends, place, known)
        finally:
            for backend in backends:
                backend.end()
