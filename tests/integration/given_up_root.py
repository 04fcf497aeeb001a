#!/usr/bin/env python3
"""Workers that give up root are recorded by the collector that their program started; strangers are not, and do not ask often.

nginx as it is usually run: a master of root, a worker of another user. What the worker holds open must be in the worker's
recording, the collector must be root's one and only, and its door is tried at most once a second by a process it does not
serve. A program that changes its user and execs goes on in the same run. A stranger's program starts its own collector.
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
import tempfile
import threading
import time

NOBODY = 65534


def become_nobody():
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


class Run:
    def __init__(self, prefix, work):
        self.report = prefix / "bin/leakhunt-report"
        self.library = next(prefix.glob("lib*/**/libleakhunt.so"))
        self.work = work
        self.failures = 0
        self.environment = {**{k: v for k, v in os.environ.items() if not k.startswith("LEAKHUNT_")},
                            "LD_PRELOAD": str(self.library), "LEAKHUNT_OUTPUT": str(work / "data"),
                            "LEAKHUNT_SOCKET": str(work / "socket"), "LEAKHUNT_INTERVAL": "500ms"}

    def expect(self, what, holds, detail=""):
        print(f"{'ok   ' if holds else 'FAIL '} {what}{f': {detail}' if detail and not holds else ''}", flush=True)
        self.failures += not holds

    def within(self, seconds, found):
        end = time.monotonic() + seconds
        while True:
            value = found()
            if value or time.monotonic() > end:
                return value
            time.sleep(0.1)

    def collectors(self):
        return [int(p) for p in subprocess.run(["pgrep", "-x", "leakhunt-collec"], capture_output=True, text=True).stdout.split()
                if f"LEAKHUNT_SOCKET={self.work}/socket".encode() in environment_of(p)]

    def recording(self, pid, under="data"):
        return next((self.work / under).glob(f"*-{pid}-*/snapshot-*.lhs"), None)

    def json_of(self, *arguments):
        said = subprocess.run([self.report, *arguments, "--format", "json"], capture_output=True, text=True)
        return json.loads(said.stdout) if said.returncode == 0 else None


def environment_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def text_of(path):
    try:
        return path.read_text()
    except OSError:
        return ""


class Door:
    """A third user's socket, which no program of ours trusts; it counts who comes."""

    def __init__(self, path):
        self.knocks = 0
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.bind(str(path))
        os.chmod(path, 0o666)
        os.seteuid(NOBODY - 1)  # what a peer is told is who listened
        self.socket.listen(64)
        os.seteuid(0)
        self.thread = threading.Thread(target=self.turn_away)

    def turn_away(self):
        while True:
            try:
                self.socket.accept()[0].close()
            except OSError:
                return
            self.knocks += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def nginx(run):
    port, place = free_port(), run.work / "nginx"
    place.mkdir()
    place.chmod(0o755)
    (place / "index.html").write_text("<p>static</p>\n")
    temporary = " ".join(f"{name}_temp_path {place}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (place / "nginx.conf").write_text(f"""daemon off; user nobody nogroup; worker_processes 1; pid {place}/pid; error_log {place}/error.log;
        events {{ worker_connections 64; }}
        http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{port}; location / {{ root {place}; }} }} }}""")
    server = subprocess.Popen(["nginx", "-p", place, "-c", place / "nginx.conf"], env=run.environment)

    def request(client):
        client.sendall(b"GET /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.recv(4096)
    try:
        worker = run.within(10, lambda: next((int(p) for p in pathlib.Path(f"/proc/{server.pid}/task/{server.pid}/children")
                                              .read_text().split()), None))
        run.expect("the worker is another user's", pathlib.Path(f"/proc/{worker}").stat().st_uid == NOBODY or
                   run.within(5, lambda: "\t65534\t" in pathlib.Path(f"/proc/{worker}/status").read_text()))
        clients = []

        def one_more():  # the collector may not listen yet when the first ones come
            if len(clients) < 5 or not run.recording(worker):
                clients.append(socket.create_connection(("127.0.0.1", port)))
                request(clients[-1])
            return len(clients) >= 5 and run.recording(worker)
        run.expect("what it does is recorded", run.within(10, one_more))

        def accepted():
            handles = run.recording(worker) and run.json_of("handles", str(run.recording(worker).parent))
            return handles and sum(h["open"] for h in handles["sites"] if h["type"] == "tcp")
        run.expect("its connections are seen open", run.within(10, lambda: accepted() and accepted() >= len(clients)), accepted())
        run.expect("by one collector, root's", len(run.collectors()) == 1 and
                   os.stat(f"/proc/{run.collectors()[0]}").st_uid == 0, run.collectors())
        # The collector is gone: the worker looks for another one at its pace, not at each connection.
        for pid in run.collectors():
            os.kill(pid, signal.SIGKILL)
        (run.work / "socket").unlink()
        with Door(run.work / "socket") as door:
            began = time.monotonic()
            for _ in range(500):
                with socket.create_connection(("127.0.0.1", port)) as client:
                    client.sendall(b"GET /index.html HTTP/1.0\r\n\r\n")
                    client.recv(4096)
            passed = time.monotonic() - began
        run.expect("where nobody lets it in it asks a few times, then once a second at most", door.knocks <= passed + 10,
                   f"{door.knocks} times in {passed:.1f} s")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=20)


def named_socket(run):
    """The same where root's collector runs the command, and its socket has been given a name."""
    port, place = free_port(), run.work / "named"
    place.mkdir()
    place.chmod(0o755)
    (place / "nginx.conf").write_text(f"""daemon off; user nobody nogroup; worker_processes 1; pid {place}/pid; error_log {place}/error.log;
        events {{ worker_connections 64; }} http {{ access_log off; server {{ listen 127.0.0.1:{port}; return 200; }} }}""")
    without = {k: v for k, v in run.environment.items() if k != "LD_PRELOAD" and not k.startswith("LEAKHUNT_")}
    server = subprocess.Popen([run.report.parent / "leakhunt-collect", "--quiet", "--interval", "500ms", "--output", place / "data",
                               "--socket", place / "socket", "--", "nginx", "-p", place, "-c", place / "nginx.conf"], env=without)

    def worker_of_nobody():
        master = text_of(place / "pid").strip()
        children = text_of(pathlib.Path(f"/proc/{master}/task/{master}/children")).split() if master else []
        return next((int(p) for p in children if f"\t{NOBODY}\t" in text_of(pathlib.Path(f"/proc/{p}/status"))), None)

    def recorded():
        socket.create_connection(("127.0.0.1", port)).close()
        return list((place / "data").glob(f"*-{worker}-*/snapshot-*.lhs"))
    try:
        worker = run.within(10, worker_of_nobody)
        run.expect("a worker that gave up root reaches a socket that was given a name", worker and run.within(10, recorded))
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=20)


def change_and_exec(run):
    # The pause: until the collector that the shell starts has opened its door.
    program = subprocess.Popen(["sh", "-c", f"sleep 1; exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups sleep 30"],
                               env=run.environment)
    try:
        def images():
            return sorted(p.name for p in (run.work / "data").glob(f"*-{program.pid}-*"))
        run.expect("a program that becomes another user and execs goes on being recorded",
                   run.within(10, lambda: [n.split("-")[0] for n in images()] == ["setpriv", "sh", "sleep"]), images())
        run.expect("by the same collector", len(run.collectors()) == 1, run.collectors())
    finally:
        program.kill()
        program.wait()


def stranger(run):
    """Root's collector stands there; another user's program, which it did not start, gets none of it and its own."""
    own = run.work / "own"
    own.mkdir()
    os.chown(own, NOBODY, NOBODY)
    root = subprocess.Popen(["sleep", "30"], env=run.environment)
    run.expect("root's program is recorded", run.within(10, lambda: (run.work / "socket").exists()))
    said = run.work / "said"
    with open(said, "w") as output:
        program = subprocess.Popen(["sleep", "3"], preexec_fn=become_nobody, stdout=output, stderr=output,
                                   env={**run.environment, "LEAKHUNT_OUTPUT": str(own)})
    program.wait(timeout=20)
    root.kill()
    root.wait()
    run.expect("a stranger's program is not recorded by it", not list((run.work / "data").glob(f"sleep-{program.pid}-*")))
    run.expect("but by its own", run.within(10, lambda: run.recording(program.pid, "own")))
    run.expect("and nothing is said of it", said.read_text() == "", said.read_text())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prefix", required=True, type=pathlib.Path)
    options = parser.parse_args()
    if os.getuid() != 0:
        print("root is needed to give it up")
        return 77
    for tool in ("nginx", "setpriv"):
        if shutil.which(tool) is None:
            print(f"{tool} is not installed")
            return 77
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o711)
        run = Run(options.prefix, pathlib.Path(directory))
        for case in (nginx, named_socket, change_and_exec, stranger):
            case(run)
        for pid in run.collectors():
            os.kill(pid, signal.SIGTERM)
        run.within(10, lambda: not run.collectors())
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
