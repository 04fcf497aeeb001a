#!/usr/bin/env python3
"""The HTTP server under requests of any kind: it answers them or hangs up, stays itself, and serves the next one.

    http_hostile.py --bin DIR --programs DIR --work DIR [--seconds 5]

Prints the seed. Hand-made requests first, then random damage to good ones, on several connections at a time, some left
open; afterwards /healthz and a report are answered as before, by the same process, without much more memory.
"""

import argparse
import json
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from real_cases import accepts, free_port, wait_until  # noqa: E402

GOOD = [b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n", b"GET /api/processes HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n",
        b"GET /api/processes/1/top-sites?format=markdown HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: localhost:PORT\r\nAccept-Encoding: gzip\r\nRange: bytes=0-1\r\n\r\n",
        b"POST /api/processes/1/snapshot HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nContent-Length: 4\r\n\r\nabcd"]
HOSTILE = [b"", b"\r\n\r\n", b"\0" * 4096, b"GET", b"GET / HTTP/9.9\r\n\r\n", b"GET /../../../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
           b"GET /api/processes/%2e%2e%2f/top-sites HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
           b"GET /api/processes/1/top-sites?format=$(touch%20x) HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
           b"GET /api/processes/99999999999999999999/handles HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
           b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
           b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n", b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
           b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"POST /api/processes/1/snapshot HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
           b"POST /api/processes/1/snapshot HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000000]


def ask(port, request, patience=0.3):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
            connection.sendall(request)
            return connection.recv(65536)
    except OSError:
        return b""


def damaged(request):
    data = bytearray(request)
    for _ in range(random.randint(1, 6)):
        kind, at = random.randrange(4), random.randrange(len(data))
        if kind == 0:
            data[at] = random.randrange(256)
        elif kind == 1:
            del data[at:at + random.randint(1, 20)]
        elif kind == 2:
            data[at:at] = random.randbytes(random.randint(1, 20))
        else:
            data[at:at] = data[:at]
        if not data:
            return b"\n"
    return bytes(data[:20000])


def server_of(collector):
    """The collector listens before its server has begun: 0 until then."""
    children = pathlib.Path(f"/proc/{collector.pid}/task/{collector.pid}/children").read_text().split()
    return next((int(child) for child in children if pathlib.Path(f"/proc/{child}/comm").read_text().startswith("leakhunt-http")), 0)


def resident(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) // 1024


def main():
    parser = argparse.ArgumentParser()
    for name in ("--bin", "--programs", "--work"):
        parser.add_argument(name, type=lambda text: pathlib.Path(text).resolve(), required=True)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    print("seed", options.seed, flush=True)
    random.seed(options.seed)
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    port = free_port()
    collector = subprocess.Popen([options.bin / "leakhunt-collect", "--quiet", "--interval", "1s", "--http", f"127.0.0.1:{port}",
                                  "--output", options.work / "data", "--", options.programs / "steady_leak", "1000"],
                                 stderr=subprocess.PIPE, cwd=options.work)
    try:
        exercise(options, collector, port)
    finally:
        collector.kill()
    return 0


def exercise(options, collector, port):
    wait_until("the server listens", lambda: accepts(("127.0.0.1", port)))
    wait_until("the server runs", lambda: server_of(collector))
    server = server_of(collector)
    wait_until("a process is listed", lambda: json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/api/processes"))["processes"])
    before = resident(server)
    for request in HOSTILE:
        answer = ask(port, request)
        assert answer == b"" or re.match(rb"HTTP/1\.[01] [45]\d\d ", answer), (request[:80], answer[:200])
    good = [request.replace(b"PORT", str(port).encode()) for request in GOOD]
    open_ones, sent, ended = [], 0, time.monotonic() + options.seconds
    while time.monotonic() < ended:
        ask(port, damaged(random.choice(good)), 0.05)
        sent += 1
        if sent % 50 == 0 and len(open_ones) < 20:  # half a request, and then nothing
            open_ones.append(socket.create_connection(("127.0.0.1", port)))
            open_ones[-1].sendall(b"GET / HT")
    for connection in open_ones:
        connection.close()
    wait_until("the server answers", lambda: b" 200 " in ask(port, good[0], 5)[:20])
    listed = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/api/processes"))["processes"]
    pid = listed[0]["pid"]
    sites = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/api/processes/{pid}/top-sites"))
    assert sites["process"]["pid"] == pid
    assert server_of(collector) == server, "the server is another process"
    after = resident(server)
    assert after < before + 32, f"{before} MiB before, {after} MiB after"
    assert sorted(path.name for path in options.work.iterdir()) == ["data"], list(options.work.iterdir())
    collector.terminate()
    assert collector.wait(20) == 0, collector.returncode
    assert collector.stderr.read() == b""
    print(f"{len(HOSTILE)} hostile and {sent} damaged requests; the server holds {after} MiB, {before} before")


if __name__ == "__main__":
    sys.exit(main())
