#!/usr/bin/env python3
"""Attaching to programs that were not started with the library, and letting go of them, again and again.

    attach_cycles.py --bin DIR --programs DIR --case storm|redis|nginx|node|python3 [--cycles 6]

The program is under load the whole time. It must never crash, hang or answer anything else than it should; each
recording must be of this process, hold what was allocated while it was attached, and no more blocks than can have been
live; the last detach must leave every import where it was. Exit status 77: the program is not installed.
"""

import argparse
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from real_cases import accepts, free_port, wait_until, write  # noqa: E402


class Load(threading.Thread):
    """Calls `request` until stopped; the first exception is kept."""

    def __init__(self, request):
        super().__init__(daemon=True)
        self.request, self.error, self.count, self.going = request, None, 0, True

    def run(self):
        while self.going:
            try:
                self.request(self.count)
                self.count += 1
            except Exception as error:  # noqa: BLE001 - it is shown
                self.error = error
                return

    def finish(self):
        self.going = False
        self.join(30)
        assert self.error is None, f"after {self.count} good answers: {self.error!r}"
        assert self.count > 0, "no request was answered"


def storm(options, work):
    program = subprocess.Popen([options.programs / "allocator_storm", options.programs / "libheap_plugin_a.so"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    yield program, {"most_blocks": 33 * 64 + 64, "function": "StormOne"}
    program.terminate()
    out, err = program.communicate(timeout=60)
    assert program.returncode == 0 and out.startswith(b"storm over: ") and err == b"", (program.returncode, out, err)


def redis(options, work):
    address = str(work / "redis.sock")
    server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", address, "--save", "", "--appendonly", "no"],
                              stdout=subprocess.DEVNULL, cwd=work)
    wait_until("redis listens", lambda: accepts(address))

    def ask(number):
        script = "\n".join(f"SET k{i} {'v' * (i + 1 + number % 50)}\nSTRLEN k{i}\nINCR n" for i in range(100))
        answer = subprocess.run(["redis-cli", "-s", address], input=script.encode(), stdout=subprocess.PIPE, check=True, timeout=20)
        expected = "".join(f"OK\n{i + 1 + number % 50}\n{number * 100 + i + 1}\n" for i in range(100))
        assert answer.stdout.decode() == expected, "redis answers something else"

    load = Load(ask)
    load.start()
    yield server, {}
    load.finish()
    subprocess.run(["redis-cli", "-s", address, "SHUTDOWN", "NOSAVE"], check=True, timeout=20)
    assert server.wait(20) == 0


def http_load(port, path, expected):
    connections = {}

    def ask(number):
        if number % 50 == 0:
            connections["now"] = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connections["now"].request("GET", path)
        answer = connections["now"].getresponse().read()
        assert answer == expected, answer

    return Load(ask)


def nginx(options, work):
    port = free_port()
    (work / "html").mkdir()
    text = "<p>static</p>\n" * 300
    (work / "html" / "index.html").write_text(text)
    os.chmod(work, 0o755)
    write(work / "nginx.conf", f"""
        daemon off; master_process off;
        pid {work}/nginx.pid;
        error_log stderr error;
        events {{ worker_connections 128; }}
        http {{
          access_log off; keepalive_requests 20;
          client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fastcgi;
          uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
          server {{ listen 127.0.0.1:{port}; root {work}/html; }}
        }}
        """)
    server = subprocess.Popen(["nginx", "-p", str(work), "-c", str(work / "nginx.conf")], stderr=subprocess.PIPE)
    wait_until("nginx listens", lambda: accepts(("127.0.0.1", port)))
    loads = []
    for _ in range(2):
        connection = {}

        def ask(number, connection=connection):
            if number % 20 == 0:
                connection["now"] = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection["now"].request("GET", "/")
            assert connection["now"].getresponse().read() == text.encode(), "nginx answers something else"

        loads.append(Load(ask))
        loads[-1].start()
    yield server, {}
    for load in loads:
        load.finish()
    server.send_signal(signal.SIGQUIT)
    assert server.wait(20) == 0
    assert server.stderr.read() == b""


def node(options, work):
    port = free_port()
    script = write(work / "service.js", f"""
        const http = require('http');
        const kept = [];
        http.createServer((request, response) => {{
          kept.push(Buffer.alloc(20000, 'x'));
          if (kept.length > 200) kept.shift();
          response.end(JSON.stringify({{ sum: kept[0].length + 1 }}));
        }}).listen({port}, '127.0.0.1');
        process.on('SIGTERM', () => process.exit(0));
        """)
    server = subprocess.Popen(["node", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until("node listens", lambda: accepts(("127.0.0.1", port)))
    load = http_load(port, "/", b'{"sum":20001}')
    load.start()
    yield server, {}
    load.finish()
    server.terminate()
    out, err = server.communicate(timeout=20)
    assert server.returncode == 0 and out == b"" and err == b"", (server.returncode, out, err)


def python3(options, work):
    script = write(work / "service.py", """
        import sys, threading, hashlib, subprocess
        def work(results, n):
            for i in range(300):
                text = ("%d-%d" % (n, i)).encode() * 1000
                results.append(hashlib.sha256(text).hexdigest())
        for line in sys.stdin:
            results = []
            threads = [threading.Thread(target=work, args=(results, n)) for n in range(4)]
            for t in threads: t.start()
            for t in threads: t.join()
            child = subprocess.run(["/bin/echo", line.strip()], stdout=subprocess.PIPE, check=True).stdout
            print(hashlib.sha256("".join(sorted(results)).encode()).hexdigest()[:8], child.decode().strip(), flush=True)
        """)
    program = subprocess.Popen(["/usr/bin/python3", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={**os.environ, "PYTHONMALLOC": "malloc"})
    first = {}

    def ask(number):
        program.stdin.write(b"line %d\n" % number)
        program.stdin.flush()
        answer = program.stdout.readline().split(b" ", 1)
        assert answer[1] == b"line %d\n" % number, answer
        assert first.setdefault("hash", answer[0]) == answer[0], "another hash"

    load = Load(ask)
    load.start()
    yield program, {}
    load.finish()
    out, err = program.communicate(timeout=20)
    assert program.returncode == 0 and out == b"" and err == b"", (program.returncode, out, err)


def report(options, recording, *arguments):
    answer = subprocess.run([options.bin / "leakhunt-report", "top-sites", recording, "--snapshot", "end", "--format", "json", *arguments],
                            stdout=subprocess.PIPE, check=True, timeout=60)
    return json.loads(answer.stdout)


def cycle(options, work, pid, number, promise):
    data = work / f"data{number % 2}"
    shutil.rmtree(data, ignore_errors=True)
    sampling = ["--sample-bytes", "1"] if number % 2 == 0 else []
    began = time.monotonic()
    ran = subprocess.run([options.bin / "leakhunt-collect", "--pid", str(pid), "--duration", "400ms", "--output", data, *sampling],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    took = time.monotonic() - began
    lines = [line for line in ran.stdout.decode().splitlines() if "recording" not in line]
    assert ran.returncode == 0 and not lines, f"cycle {number}: {ran.returncode} {lines}"
    os.kill(pid, 0)
    name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()  # not that of the thread in which the library came to be
    assert [d.name.rsplit("-", 2)[0] for d in data.iterdir()] == [name], f"{list(data.iterdir())} of {name}"
    sites = report(options, data, *(["--limit", "0"] if promise else ["--limit", "1", "--symbols", "off"]))
    assert sites["process"]["pid"] == pid
    born = sites["totals"]["total_count"]["value"]
    if sampling:
        assert born > 0, f"cycle {number}: nothing recorded in {took:.1f} s"
    if sampling and promise:
        count = sum(site["live_count"]["value"] for site in sites["sites"] if site["kind"] == "heap")
        assert count <= promise["most_blocks"], f"cycle {number}: {count} blocks live, {promise['most_blocks']} possible"
        functions = {frame["function"] for site in sites["sites"] for frame in site["stack"]}
        assert promise["function"] in functions, f"cycle {number}: {functions}"
    return took, born


def redirected(pid):
    """Import slots that lead into the library: looked for in the process's memory."""
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
    spans = [[int(end, 16) for end in line.split()[0].split("-")] + line.split()[1:] for line in maps]
    code = [(start, end) for start, end, access, *rest in spans if "x" in access and rest and rest[-1].endswith("libleakhunt.so")]
    assert code, "the library is not there any more"
    found = 0
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end, access, *rest in spans:
            if len(rest) < 4 or not rest[-1].startswith("/") or rest[-1].endswith("libleakhunt.so") or "r" not in access or "x" in access:
                continue
            if not (rest[-1].rsplit("/", 1)[-1].find(".so") >= 0 or access.startswith("rw") or "r--" in access) or end - start > 1 << 24:
                continue
            memory.seek(start)
            try:
                words = memoryview(memory.read(end - start)).cast("Q")
            except OSError:
                continue
            found += sum(1 for word in words if any(first <= word < last for first, last in code))
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--programs", type=pathlib.Path, required=True)
    parser.add_argument("--case", choices=["storm", "redis", "nginx", "node", "python3"], required=True)
    parser.add_argument("--cycles", type=int, default=6)
    options = parser.parse_args()
    program = {"redis": "redis-server", "storm": "true"}.get(options.case, options.case)
    if shutil.which(program) is None:
        print(f"{program} is not installed")
        return 77
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory)
        case = globals()[options.case](options, work)
        process, promise = next(case)
        pid = process.pid
        times, born = [], 0
        try:
            for number in range(options.cycles):
                took, recorded = cycle(options, work, pid, number, promise)
                times.append(took)
                born = recorded
            left = redirected(pid)
            assert left == 0, f"{left} imports still lead to the library"
            if next(case, None) is not None:
                raise AssertionError("the case goes on")
        except BaseException:
            print(f"{options.case} when this failed: exit status {process.poll()} (None: it runs)")
            process.kill()
            raise
    print(f"{options.case}: {options.cycles} cycles, {sum(times) / len(times) - 0.4:.2f} s each beside the 0.4 s of recording, "
          f"the longest {max(times) - 0.4:.2f} s; {born:.0f} allocations recorded in all; answers as expected, nothing left behind")
    return 0


if __name__ == "__main__":
    sys.exit(main())
