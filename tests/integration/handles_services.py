#!/usr/bin/env python3
"""Services under load: whenever the load pauses, what leakhunt says is open is what the kernel holds open.

    handles_services.py --bin DIR --case nginx|redis|node|python3|postgres

At each pause every process of the service is compared: open + untracked + inherited of a snapshot taken then against
/proc/PID/fd, leakhunt's own two descriptors left out. A handle that is said to be open and is not would make the sum
too large, one that was lost too small. Exit status 77: the service is not installed.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from real_cases import accepts, free_port, wait_until  # noqa: E402

OWN = "/memfd:leakhunt"


def children_of(pid):
    listed = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [p for child in map(int, listed) for p in [child] + children_of(child)]


def descriptors(pid):
    """What the kernel holds open, less leakhunt's: the memfds (a forked process has its parent's, too) and the socket."""
    links, own = [], 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            link = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            continue
        if link.startswith(OWN) or (1007 < int(fd) < 1024 and link.startswith("socket:")):
            own += 1
        else:
            links.append(link)
    return len(links), own


class Service:
    def __init__(self, programs, work, command, **options):
        self.programs, self.data = programs, work / "data"
        self.collector = subprocess.Popen(
            [programs / "leakhunt-collect", "--quiet", "--output", self.data, "--", *map(str, command)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(work / "stderr", "w"), **options)
        self.pauses = 0

    def processes(self):
        return [pid for pid in children_of(self.collector.pid) if descriptors(pid)[1] > 0]

    def snapshots(self):
        return {path: path.stat().st_mtime_ns for path in self.data.glob("*/*.lhs")}

    def handles(self, pid):
        answer = subprocess.run([self.programs / "leakhunt-report", "handles", self.data, "--pid", str(pid), "--format", "json",
                                 "--limit", "0", "--symbols", "off"], stdout=subprocess.PIPE, check=True, timeout=60)
        return json.loads(answer.stdout)

    def compare(self, what):
        """At a pause; tried again while the service still moves. Returns the reports by pid."""
        wrong = []
        for _ in range(20):
            time.sleep(0.3)  # a difference from /proc counts only when two sweeps saw it
            before = {pid: descriptors(pid)[0] for pid in self.processes()}
            known = self.snapshots()
            self.collector.send_signal(signal.SIGUSR1)
            # Not by their number: one of another process may fall due at the same time.
            wait_until("a snapshot of every process", lambda: all(
                any(f"-{pid}-" in path.parent.name for path in self.snapshots().keys() - known.keys()) for pid in before))
            time.sleep(0.05)
            if {pid: descriptors(pid)[0] for pid in self.processes()} != before:
                wrong = ["the service does not come to rest"]
                continue
            reports = {pid: self.handles(pid) for pid in before}
            sums = {pid: sum(r["totals"][k] for k in ("open", "untracked", "inherited")) for pid, r in reports.items()}
            wrong = [f"process {pid}: leakhunt says {sums[pid]} are open, the kernel {before[pid]}: {reports[pid]['totals']}"
                     for pid in before if sums[pid] != before[pid]]
            if not wrong and before:
                self.pauses += 1
                print(f"{what}: {len(before)} processes, {sum(before.values())} descriptors, equal", flush=True)
                return reports
        sys.exit(f"handles_services: {what}: " + "; ".join(wrong or ["no process is recorded"]))

    def stop(self, number=signal.SIGTERM):
        self.collector.send_signal(number)
        self.collector.wait(timeout=30)


def connect(address, count):
    connections = []
    for _ in range(count):
        connection = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        connection.connect(address)
        connections.append(connection)
    return connections


def of_type(reports, kind):
    return sum(site["open"] for r in reports.values() for site in r["sites"] if site["type"] == kind)


def close_all(connections):
    for connection in connections:
        connection.close()


def redis(programs, work):
    address = str(work / "redis.sock")
    service = Service(programs, work, ["redis-server", "--port", "0", "--unixsocket", address, "--save", "", "--maxclients", "3000"])
    wait_until("redis listens", lambda: accepts(address))
    service.compare("redis at rest")
    clients = connect(address, 1000)
    reports = service.compare("redis with 1,000 clients")
    assert of_type(reports, "unix") >= 1000, "the clients' sockets have no call site"
    close_all(clients[::2])
    subprocess.run(["redis-benchmark", "-s", address, "-n", "30000", "-c", "200", "-k", "0", "-t", "ping,set", "-q"],
                   stdout=subprocess.DEVNULL, check=True)
    service.compare("redis after 60,000 connections, 500 clients left")
    close_all(clients[1::2])
    reports = service.compare("redis when all have left")
    assert of_type(reports, "unix") <= 3, f"{of_type(reports, 'unix')} sockets are said to be open"
    service.stop()


def nginx(programs, work):
    port = free_port()
    os.chmod(work, 0o755)
    (work / "html").mkdir()
    (work / "html" / "index.html").write_text("<p>static</p>\n" * 300)
    (work / "nginx.conf").write_text(textwrap.dedent(f"""
        daemon off; worker_processes 2; pid {work}/nginx.pid; error_log {work}/error.log;
        events {{ worker_connections 512; }}
        http {{
          access_log {work}/access.log; open_file_cache max=10 inactive=1s;
          client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fastcgi;
          uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
          server {{ listen 127.0.0.1:{port}; location / {{ root {work}/html; }}
                   location /again {{ proxy_pass http://127.0.0.1:{port}/index.html; }} }}
        }}"""))
    service = Service(programs, work, ["nginx", "-p", work, "-c", work / "nginx.conf"])
    wait_until("nginx listens", lambda: accepts(("127.0.0.1", port)))
    service.compare("nginx at rest")
    for path in ("/", "/again"):
        subprocess.run(["wrk", "-t1", "-c100", "-d2s", f"http://127.0.0.1:{port}{path}"], stdout=subprocess.DEVNULL, check=True)
        service.compare(f"nginx after wrk on {path}")
    clients = connect(("127.0.0.1", port), 200)
    service.compare("nginx with 200 idle clients")
    close_all(clients)
    service.compare("nginx when they have left")
    service.stop(signal.SIGQUIT)


def node(programs, work):
    (work / "service.js").write_text(textwrap.dedent("""
        const http = require('http'), fs = require('fs'), net = require('net');
        const held = [];  // the leak: upstream sockets kept alive by an agent nobody empties
        const upstream = http.createServer((request, response) => response.end('up'));
        upstream.keepAliveTimeout = 0;
        upstream.listen(0, '127.0.0.1', () => {
          const server = http.createServer((request, response) => {
            const agent = new http.Agent({ keepAlive: true });
            held.push(agent);
            http.get({ port: upstream.address().port, host: '127.0.0.1', agent }, (up) => {
              up.resume();
              up.on('end', () => fs.readFile(__filename, () => response.end('ok')));
            });
          });
          server.listen(process.argv[2]);
        });"""))
    address = str(work / "node.sock")
    service = Service(programs, work, ["node", work / "service.js", address])
    wait_until("node listens", lambda: accepts(address))
    service.compare("node at rest")
    for round_number in (1, 2):
        for _ in range(100):
            subprocess.run(["curl", "-sS", "--unix-socket", address, "http://x/"], stdout=subprocess.DEVNULL, check=True)
        reports = service.compare(f"node after {100 * round_number} requests that keep a socket alive")
        assert of_type(reports, "tcp") >= 200 * round_number, "the leaked sockets have no call site"
    service.stop()


def python3(programs, work):
    (work / "service.py").write_text(textwrap.dedent("""
        import os, socket, subprocess, sys, tempfile, threading
        kept = []
        def serve(connection):
            for turn in range(20):
                subprocess.run(["true"], close_fds=turn % 2 == 0)
                with tempfile.TemporaryFile() as scratch, socket.socketpair()[0]:
                    scratch.write(b"x")
            kept.append(socket.socketpair()[0])   # the other end closes itself
            kept.append(os.popen("cat", "w"))
            connection.sendall(b"done")
            connection.close()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(sys.argv[1])
        listener.listen(16)
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
        """))
    address = str(work / "python.sock")
    service = Service(programs, work, ["/usr/bin/python3", work / "service.py", address])
    wait_until("python listens", lambda: os.path.exists(address))
    service.compare("python at rest")
    for round_number in (1, 2, 3):
        clients = connect(address, 4)
        for client in clients:
            assert client.recv(4) == b"done"
        close_all(clients)
        service.compare(f"python after {80 * round_number} child processes")
    service.stop()


def postgres(programs, work):
    binaries = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    data = work / "cluster"
    os.chmod(work, 0o777)
    run_as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    subprocess.run([*run_as, binaries / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync"],
                   stdout=subprocess.DEVNULL, check=True)
    # The collector is of the same user as the server: it reads /proc/PID/fd of its own.
    service = Service(programs, work, [binaries / "postgres", "-D", data, "-k", work, "-c", "listen_addresses=", "-c", "fsync=off"],
                      **({"user": "postgres", "group": "postgres", "extra_groups": []} if run_as else {}))
    host = ["-h", str(work), "-U", "postgres"]
    wait_until("PostgreSQL accepts", lambda: subprocess.run([binaries / "pg_isready", "-q", *host], check=False).returncode == 0)
    subprocess.run([binaries / "pgbench", "-i", "-q", "-s", "1", *host, "postgres"], stderr=subprocess.DEVNULL, check=True)
    service.compare("PostgreSQL at rest")
    sessions = [subprocess.Popen([binaries / "psql", "-X", "-q", *host, "postgres"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
                for _ in range(6)]
    for session in sessions:
        session.stdin.write("select count(*) from pgbench_accounts; create temp table t as select 1; \n")
        session.stdin.flush()
    subprocess.run([binaries / "pgbench", "-c", "4", "-T", "2", *host, "postgres"], stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=True)
    service.compare("PostgreSQL after pgbench, with 6 sessions")
    for session in sessions:
        session.communicate("\\q\n")
    service.compare("PostgreSQL when they have left")
    service.stop()


CASES = {"nginx": (nginx, ["nginx", "wrk"]), "redis": (redis, ["redis-server", "redis-benchmark"]), "node": (node, ["node", "curl"]),
         "python3": (python3, ["/usr/bin/python3"]), "postgres": (postgres, [])}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True, type=pathlib.Path)
    parser.add_argument("--case", required=True, choices=CASES)
    options = parser.parse_args()
    case, needed = CASES[options.case]
    if any(shutil.which(program) is None for program in needed) or (
            options.case == "postgres" and not list(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))):
        sys.exit(77)
    # Short: socket addresses are bounded to 108 bytes.
    work = pathlib.Path("/tmp") / f"leakhunt-handles-{options.case}-{os.getpid()}"
    work.mkdir()
    try:
        case(options.bin, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
