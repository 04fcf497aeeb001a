#!/usr/bin/env python3
"""Records site histories of real services, each with a seeded leak and without, into tests/data/verdicts.

    record_services.py --build DIR [--seconds N] [--data DIR] [NAME...]

The services drive themselves (nginx is driven from here), so that how much the leak holds at the end is known: the sites
that end with about that many live blocks or open handles are labelled a leak, all others not. Runs side by side.
"""

import argparse
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time

PYTHON_CHURN = """
    import collections, functools, json, random, sys, time
    random.seed(7)
    end, kept, made = time.monotonic() + float(sys.argv[1]), None, 0
    @functools.lru_cache(maxsize=400)
    def page(key): return json.dumps({"key": key, "rows": list(range(key % 90))})
    recent = collections.deque(maxlen=300)
    while time.monotonic() < end:
        for _ in range(25):
            page(random.randrange(3000))
            recent.append(bytearray(random.randrange(200, 3000)))
            LEAK
        time.sleep(0.05)
    print(made)
"""
PYTHON_LEAK = "kept = (bytearray(700 + made % 90), kept); made += 1"

NODE = """
    const end = Date.now() + 1000 * Number(process.argv[2]);
    let kept = null, made = 0;
    const cache = new Map();
    function turn() {
      for (let i = 0; i < 20; i++) {
        const key = Math.floor(Math.random() * 5000);
        cache.set(key, Buffer.alloc(4000 + key % 500, 1));
        if (cache.size > 300) cache.delete(cache.keys().next().value);
        JSON.parse(JSON.stringify({ key, text: 'x'.repeat(key % 200) }));
        LEAK
      }
      if (Date.now() < end) setTimeout(turn, 40); else console.log(made);
    }
    turn();
"""
NODE_LEAK = "if (i % 2 === 0) { kept = { buffer: Buffer.alloc(9000 + made % 100, 2), next: kept }; made++; }"

SQLITE = """
    import random, sqlite3, sys, time
    random.seed(3)
    end, kept, made = time.monotonic() + float(sys.argv[1]), None, 0
    db = sqlite3.connect(sys.argv[2], isolation_level=None)
    db.execute("pragma cache_size=400"); db.execute("pragma synchronous=off")
    db.execute("create table t(a integer primary key, b text)")
    db.executemany("insert into t values(?, ?)", ((i, "row " * (i % 40)) for i in range(20000)))
    while time.monotonic() < end:
        for _ in range(20):
            key = random.randrange(20000)
            db.execute("select b from t where a = ?", (key,)).fetchone()
            db.execute("update t set b = ? where a = ?", ("new " * (key % 50), key))
        LEAK
        time.sleep(0.04)
    print(made)
"""
# A connection that is opened for a statement and forgotten: its file, its page cache, its schema.
SQLITE_LEAK = "kept = (sqlite3.connect(sys.argv[2]), kept); kept[0].execute('select count(*) from t where a < 9').fetchone(); made += 1"


def script(work, name, text, leak):
    path = work / name
    path.write_text(textwrap.dedent(text).replace("LEAK", leak or ("pass" if name.endswith(".py") else "")))
    return path


def python(work, seconds, leak):
    return ["/usr/bin/python3", script(work, "service.py", PYTHON_CHURN, PYTHON_LEAK if leak else ""), seconds], {"PYTHONMALLOC": "malloc"}


def node(work, seconds, leak):
    # Not optimized: compilers move the call site to new code every some ten seconds of so young a service.
    return ["node", "--no-opt", "--no-sparkplug", script(work, "service.js", NODE, NODE_LEAK if leak else ""), seconds], {}


def sqlite(work, seconds, leak):
    return ["/usr/bin/python3", script(work, "service.py", SQLITE, SQLITE_LEAK if leak else ""), seconds, work / "db"], {"PYTHONMALLOC": "malloc"}


def drive_nginx(port, seconds, leak, made):
    """Requests that come and go; with `leak`, two in three clients never leave."""
    end, held = time.monotonic() + seconds - 3, []
    while time.monotonic() < end:
        for turn in range(6):
            try:
                client = socket.create_connection(("127.0.0.1", port), timeout=2)
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                client.recv(4096)
            except OSError:
                continue
            if leak and turn % 3 != 0:
                held.append(client)
            else:
                client.close()
        time.sleep(0.1)
    made.append(len(held))
    time.sleep(2)
    return held


def nginx(work, seconds, leak):
    del leak
    os.chmod(work, 0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (work / "port").write_text(str(port))
    (work / "index.html").write_text("<p>x</p>\n" * 100)
    (work / "nginx.conf").write_text(f"""daemon off; master_process off; pid {work}/pid; error_log {work}/error.log;
        events {{ worker_connections 8000; }}
        http {{ access_log off; keepalive_timeout 1h; open_file_cache max=50 inactive=2s; client_body_temp_path {work}/b;
        proxy_temp_path {work}/p; fastcgi_temp_path {work}/f; uwsgi_temp_path {work}/u; scgi_temp_path {work}/s;
        server {{ listen 127.0.0.1:{port}; location / {{ root {work}; }} }} }}""")
    return ["timeout", "-s", "QUIT", str(seconds), "nginx", "-p", work, "-c", work / "nginx.conf"], {}


SERVICES = {"python-service": python, "node-service": node, "sqlite-cache": sqlite, "nginx": nginx}


def record(build, data, name, leak, seconds, failures):
    work = pathlib.Path(tempfile.mkdtemp(prefix="leakhunt-record-"))
    try:
        command, environment = SERVICES[name](work, seconds, leak)
        process = subprocess.Popen([build / "collector/leakhunt-collect", "--quiet", "--interval", "1s", "--sample-bytes", "1", "--output",
                                    work / "data", "--socket", work / "socket", "--", *map(str, command)],
                                   stdout=subprocess.PIPE, env={**os.environ, **environment}, text=True)
        made = []
        if name == "nginx":
            time.sleep(1.5)
            held = drive_nginx(int((work / "port").read_text()), seconds, leak, made)
        said = process.communicate()[0]
        if name == "nginx":
            del held
        count = made[0] if made else int(said.split()[-1])
        recording = max((work / "data").iterdir(), key=lambda place: len(list(place.glob("*.lhs"))))
        options = ["--generated-code", "yes"] if name == "node-service" else []
        if leak:
            # node's cache and garbage come from the same call site as the leak.
            most = count * 1.35 if name == "node-service" else count * 1.03 + 3
            options += [o for option in ("--leak-blocks", "--leak-open") for o in (option, f"{int(count * 0.97)}:{int(most)}")]
            if name == "python-service":  # its pairs and byte arrays, whichever way the interpreter came to make them
                options += ["--leak-size", "55.9:56.1"]
        stored = subprocess.run([build / "tests/bench/verdicts/store_recording", recording, name + ("-leaking" if leak else "-sound"), *options],
                                stdout=subprocess.PIPE, check=True).stdout
        (data / f"{name}-{'leaking' if leak else 'sound'}.txt").write_bytes(stored)
        lines = stored.decode().splitlines()
        print(f"{name}, {'leaking' if leak else 'sound'}: {count} leaked, {sum(l.startswith('site') for l in lines)} sites, "
              f"{sum(l.startswith('site') and ' leak ' in l for l in lines)} of them a leak, {len(stored)} bytes", flush=True)
    except Exception as error:  # pylint: disable=broad-except  # a thread: said at the end
        failures.append(f"{name}: {error}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--seconds", type=int, default=75)
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path(__file__).parents[2] / "data/verdicts")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    failures = []
    runs = [threading.Thread(target=record, args=(options.build.resolve(), options.data, name, leak, options.seconds, failures))
            for name in options.names or SERVICES for leak in (False, True)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
