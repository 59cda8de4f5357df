"""The HTTP server: well-behaved clients (http.client, curl), and raw bytes of all kinds."""

from __future__ import annotations

import contextlib
import http.client
import os
import pathlib
import socket
import subprocess
import tempfile
from typing import Dict, Iterator, List, Tuple

from examples import LIMIT, Server

from .common import descriptors_settle, expect, have, receive, receive_all, serving

SECRET = b"nobody may see this"
PAGE = b"<!doctype html><title>hello</title>\n" * 20


@contextlib.contextmanager
def site(program: pathlib.Path, wrapper: List[str], env: dict,
         *arguments: str) -> Iterator[Tuple[Server, pathlib.Path]]:
    """A server for a directory with some files, beside which is one that is none of its business."""
    with tempfile.TemporaryDirectory() as place:
        top = pathlib.Path(place)
        root = top / "root"
        (root / "sub").mkdir(parents=True)
        (top / "secret.txt").write_bytes(SECRET)
        (root / "index.html").write_bytes(PAGE)
        (root / "sub" / "index.html").write_bytes(b"below")
        (root / "a b.txt").write_bytes(b"with a space")
        (root / "empty.css").write_bytes(b"")
        (root / "data.bin").write_bytes(bytes(range(256)) * 40)
        (root / "absolute").symlink_to(top / "secret.txt")
        (root / "relative").symlink_to("../secret.txt")
        (root / "directory").symlink_to(top)
        (root / "passwd").symlink_to("/etc/passwd")
        with serving(program, wrapper, env, "0", str(root), *arguments) as server:
            yield server, root


def raw(server: Server, sent: bytes) -> bytes:
    """Sends bytes as they are and ends; everything that comes back."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        return receive_all(client)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def get(path: str, *fields: str, version: str = "1.1", method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: here", *fields, "", ""]).encode("latin-1")


class Reader:
    """Answers on one connection, one after the other."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.file = client.makefile("rb")

    def answer(self, has_body: bool = True) -> Tuple[int, Dict[str, str], bytes]:
        first = self.file.readline()
        expect(first.startswith(b"HTTP/1.1 "), f"not an answer: {first!r}")
        fields = {}
        while (line := self.file.readline()) != b"\r\n":
            name, _, value = line.decode("latin-1").partition(":")
            fields[name.lower()] = value.strip()
        body = self.file.read(int(fields["content-length"])) if has_body else b""
        return int(first.split()[1]), fields, body


def one_connection(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Several requests on one connection, each with its type, length and body."""
    with site(program, wrapper, env) as (server, root):
        before = server.descriptors()
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT)
        sockets = set()
        for method, path, expected, kind, body in [
                ("GET", "/", 200, "text/html; charset=utf-8", PAGE),
                ("HEAD", "/index.html", 200, "text/html; charset=utf-8", b""),
                ("GET", "/index.html?query=1", 200, "text/html; charset=utf-8", PAGE),
                ("GET", "/sub/", 200, "text/html; charset=utf-8", b"below"),
                ("GET", "//sub/.//index.html", 200, "text/html; charset=utf-8", b"below"),
                ("GET", "/sub", 404, "text/plain", b"404 Not Found\n"),
                ("GET", "/a%20b.txt", 200, "text/plain; charset=utf-8", b"with a space"),
                ("GET", "/empty.css", 200, "text/css; charset=utf-8", b""),
                ("GET", "/data.bin", 200, "application/octet-stream", (root / "data.bin").read_bytes()),
                ("HEAD", "/nothing", 404, "text/plain", b""),
                ("GET", "/nothing/at/all", 404, "text/plain", b"404 Not Found\n"),
                ("GET", "/index.html/", 404, "text/plain", b"404 Not Found\n")]:
            client.request(method, path)
            answer = client.getresponse()
            got = (answer.status, answer.getheader("Content-Type"), answer.read())
            expect(got == (expected, kind, body), f"{method} {path}: {got}")
            if method == "HEAD" and expected == 200:
                expect(answer.getheader("Content-Length") == str(len(PAGE)), "HEAD says another length")
            expect("GMT" in answer.getheader("Date", ""), "no date")
            sockets.add(client.sock.getsockname())
        expect(len(sockets) == 1, f"{len(sockets)} connections for one client")
        client.close()
        descriptors_settle(server, before)


def versions_and_ends(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """When the connection stays, and when the server ends it: Connection, and HTTP/1.0."""
    with site(program, wrapper, env) as (server, _):
        for request, stays in [(get("/"), True), (get("/", "Connection: close"), False),
                               (get("/", version="1.0"), False),
                               (get("/", "Connection: keep-alive", version="1.0"), True),
                               (b"GET / HTTP/1.0\r\n\r\n", False), (get("http://there/index.html"), True),
                               (get("/", "Connection: upgrade", "Upgrade: websocket"), True)]:
            with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT) as client:
                client.sendall(request)
                reader = Reader(client)
                code, fields, body = reader.answer()
                expect((code, body) == (200, PAGE), f"{request!r}: {code} {body[:40]!r}")
                expect((fields.get("connection") == "close") == (not stays), f"{request!r}: {fields}")
                if stays:
                    client.sendall(get("/sub/"))
                    expect(reader.answer()[2] == b"below", f"{request!r}: no second answer")
                else:
                    expect(client.recv(1) == b"", f"{request!r}: the connection stays")


def pieces_and_pipelines(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """A request that comes byte by byte, and forty that come at once: the answers in their order."""
    with site(program, wrapper, env) as (server, root):
        with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in get("/sub/", "X-Something: long"):
                client.sendall(bytes([byte]))
            reader = Reader(client)
            expect(reader.answer()[2] == b"below", "byte by byte")
            paths = ["/", "/sub/", "/nothing", "/data.bin", "/a%20b.txt"] * 8
            bodies = [PAGE, b"below", b"404 Not Found\n", (root / "data.bin").read_bytes(), b"with a space"] * 8
            client.sendall(b"".join(get(path) for path in paths))
            for path, body in zip(paths, bodies):
                expect(reader.answer()[2] == body, path)
        answers = raw(server, get("/sub/") * 30 + get("/", "Connection: close") + get("/sub/"))
        expect(answers.count(b"below") == 30, "not all before the last one were answered")
        expect(answers.endswith(PAGE), "something came after the last answer")


def refusals(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """What is wrong has its status, and the server goes on."""
    long_path, long_field = "/" + "x" * 5000, "X: " + "y" * 20_000
    cases = [(400, b"hello\r\n\r\n"), (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), (400, b"GET\r\n\r\n"),
             (400, b"GET / HTTP/1.1\r\n\r\n"), (400, get("/", "Host: there")), (400, get("/%zz")), (400, get("/%00")),
             (400, get("/x%")), (400, get("/", "Content-Length: -1")), (400, get("/", "Content-Length: x")),
             (400, get("/", "Transfer-Encoding: chunked", "Content-Length: 3")),
             (405, get("/", "Content-Length: 3", method="POST") + b"abc"), (405, get("/", method="DELETE")),
             (405, get("here:80", method="CONNECT")), (405, get("*", method="OPTIONS")),
             (414, get(long_path)), (414, get("/" + "x" * 3_000_000)), (431, get("/", long_field)),
             (431, get("/", *["A: b"] * 5000)), (505, get("/", version="2.0"))]
    with site(program, wrapper, env) as (server, _):
        for expected, request in cases:
            with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT) as client:
                client.sendall(request)  # without an end of ours: the server must not wait for one
                code, fields, _ = Reader(client).answer()
                expect(code == expected, f"{code} instead of {expected}: {request[:80]!r}")
                if code == 405:
                    expect(fields.get("allow") == "GET, HEAD", fields)
            expect(raw(server, get("/sub/")).endswith(b"below"), f"ill after {request[:80]!r}")
        with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT) as client:
            for start in range(0, 6000, 7):  # a URL that is too long only when its pieces are put together
                piece = get("/" + "x" * 6000)[start:start + 7]
                client.sendall(piece)
                if start > 4200:
                    break
            expect(Reader(client).answer()[0] == 414, "a long URL in pieces")
        expect(raw(server, get("/", "Content-Length: 5") + b"ab") == b"", "an unfinished body was answered")
        expect(raw(server, get("/", "Content-Length: 5") + b"ab\r\nx" + get("/sub/")).endswith(b"below"),
               "a body was not passed over")


def traversal(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """Nothing outside of the root comes out, however it is spelt, nor by a link."""
    paths = ["/../secret.txt", "/sub/../../secret.txt", "/%2e%2e/secret.txt", "/%2E%2e/secret.txt", "/.%2e/secret.txt",
             "/..%2fsecret.txt", "/%2e%2e%2fsecret.txt", "/sub/%2e%2e/%2e%2e/secret.txt", "/..//secret.txt",
             "//../secret.txt", "/./../secret.txt", "/..%00/secret.txt", "/../secret.txt%00.html", "/%2e%2e/",
             "http://here/../secret.txt", "/..", "/sub/..", "/..\\secret.txt", "/%252e%252e/secret.txt",
             "/%c0%ae%c0%ae/secret.txt", "/absolute", "/relative", "/directory/secret.txt", "/directory/", "/passwd",
             "/../../../../../../../../etc/passwd", "/%2e%2e" * 12 + "/etc/passwd", "//etc/passwd", "/etc/passwd"]
    with site(program, wrapper, env) as (server, _):
        for path in paths:
            answer = raw(server, get(path))
            expect(status(answer) in (400, 403, 404), f"{path}: {answer[:60]!r}")
            expect(SECRET not in answer and b"root:" not in answer, f"{path} came out")


def idle(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """A connection without a request ends by itself; so does one whose request never gets finished."""
    with site(program, wrapper, env, "0.5") as (server, _):
        with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT) as client:
            client.sendall(get("/sub/"))
            expect(Reader(client).answer()[2] == b"below", "no answer")
            expect(client.recv(1) == b"", "more than an answer")
        with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT) as client:
            client.settimeout(0.05)
            answer = b""
            while not answer:  # a byte now and then
                client.sendall(b"X")
                with contextlib.suppress(socket.timeout):
                    answer = client.recv(4096)
            expect(status(answer) in (400, 408), answer[:60])
        with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT) as client:
            client.sendall(b"GET / HTTP/1.1\r\nX: ")
            client.settimeout(0.05)
            answer = b""
            while not answer:
                client.sendall(b"y")
                with contextlib.suppress(socket.timeout):
                    answer = client.recv(4096)
            expect(status(answer) == 408, answer[:60])


def with_curl(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """curl: one connection for several URLs, HEAD, a directory, and a status that is no success."""
    if not have("curl"):
        return
    with site(program, wrapper, env) as (server, root):
        base = f"http://127.0.0.1:{server.port}"

        def curl(*arguments: str) -> subprocess.CompletedProcess:
            return subprocess.run(["curl", "-sS", "--noproxy", "*", *arguments], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=LIMIT, check=False)

        done = curl("-w", "%{num_connects}%{http_code}\n", *[word for _ in range(10)
                                                              for word in ("-o", os.devnull, f"{base}/data.bin")])
        expect(done.stdout == b"1200\n" + b"0200\n" * 9, f"not one connection: {done.stdout!r}")
        head = curl("-I", f"{base}/data.bin").stdout
        expect(b"Content-Length: 10240\r\n" in head and head.endswith(b"\r\n\r\n"), head)
        expect(curl(f"{base}/data.bin").stdout == (root / "data.bin").read_bytes(), "changed on its way")
        expect(curl("-f", f"{base}/nothing").returncode == 22, "not an error for curl")
        expect(curl("--http1.0", f"{base}/sub/").stdout == b"below", "HTTP/1.0")
        expect(curl("--path-as-is", f"{base}/../secret.txt").stdout == b"403 Forbidden\n", "traversal")


def open_at_the_end(program: pathlib.Path, wrapper: List[str], env: dict) -> None:
    """The server ends while connections are open, idle, in the middle of a request and of an answer."""
    with site(program, wrapper, env) as (server, root):
        with (root / "large").open("wb") as file:
            file.truncate(50_000_000)
        clients = [socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT) for _ in range(3)]
        clients[1].sendall(b"GET / HT")
        clients[2].sendall(get("/large"))
        receive(clients[2], 100)
    for client in clients:
        client.close()


DRIVERS = [one_connection, versions_and_ends, pieces_and_pipelines, refusals, traversal, idle, with_curl,
           open_at_the_end]
