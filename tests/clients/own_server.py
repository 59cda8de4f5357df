"""curl_fetch against 20_http: a client and a server that are both ours."""

import os
import random

from product.deploy import HTTP_PARSER, Program, built, has_http_parser
from product.harness import TARGET

SECONDS = 60
URLS = 200
SIZES = [0, 1, 1000, 16384, 150_000]  # of the files


def write_files(place, fnv1a):
    """The files in place, and what curl_fetch is to find in each: its size and hash."""
    known = {}
    for size in SIZES:
        body = os.urandom(size)
        (place / f"{size}.bin").write_bytes(body)
        known[f"{size}.bin"] = f"{size} {fnv1a(body):016x}"
    return known


def run(suite, fetch, place, fnv1a):
    """With the program curl_fetch, which checks every body.

    mutation: sys::stream::send_file begins a byte too late.
    """
    if not has_http_parser(suite):
        suite.skip("20_http", HTTP_PARSER)
        return
    programs = TARGET / "clients"
    if not built(suite, programs, "20_http", "-lhttp_parser"):
        return
    files = place / "site"
    files.mkdir()
    known = write_files(files, fnv1a)
    server = Program([programs / "20_http", 0, files], suite.log)
    try:
        names = random.Random(2).choices(list(known), k=URLS)
        (place / "urls").write_text("".join(f"http://127.0.0.1:{server.port}/{name}?{number} {known[name]}\n"
                                            for number, name in enumerate(names)))
        suite.command("curl_fetch-our-own-server", [fetch, place / "urls"], SECONDS)
    finally:
        server.end()
    suite.check("20_http-ends-in-good-order", server.process.returncode == 0, server.process.returncode)
