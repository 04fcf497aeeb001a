#!/usr/bin/env python3
"""Root's collector and the other users of the host: who may enter, what they may say, and how much.

    collector_door.py --prefix PREFIX --program PROGRAM
"""

import argparse
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

import stranger
from stranger import NOBODY, as_user


class Collector:
    def __init__(self, prefix, work, name, *arguments, cwd=None):
        self.socket, self.output = work / f"{name}.sock", work / name
        self.program = prefix / "bin/leakhunt-collect"
        self.command = [self.program, "--socket", self.socket, *arguments]
        self.cwd = cwd or work

    def __enter__(self):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LEAKHUNT_")}
        self.process = subprocess.Popen(self.command, cwd=self.cwd, env=environment, stderr=subprocess.DEVNULL)
        wait_for(self.socket.exists)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)

    def recordings(self, name):
        return sorted(self.output.glob(f"{name}-*/snapshot-*.lhs"))


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class Cases:
    def __init__(self, options, work):
        self.prefix, self.program, self.work, self.failures = options.prefix, options.program, work, 0

    def expect(self, what, holds, detail=""):
        print(f"{'ok   ' if holds else 'FAIL '} {what}{f': {detail}' if not holds else ''}", flush=True)
        self.failures += not holds

    def collector(self, name, *arguments, **options):
        return Collector(self.prefix, self.work, name, "--output", self.work / name, *arguments, **options)

    def hello(self, path, name, uid=NOBODY, output=b"", hold=0.0):
        def act():
            connection = stranger.connect(path)
            stranger.send(connection, stranger.HELLO, stranger.pages(name, output))
            said = stranger.answer(connection)
            time.sleep(hold)
            return said
        return as_user(uid, act)

    def silent_crowd(self):
        with self.collector("silent") as collector:
            def crowd():
                held = [stranger.connect(collector.socket) for _ in range(300)]
                time.sleep(0.3)
                return self.hello(collector.socket, b"own") if held else 0

            def crowds_and_root(*users):
                crowds = [silent_crowd_of(user) for user in users]
                root, other = self.hello(collector.socket, b"root", uid=0), self.hello(collector.socket, b"other", uid=NOBODY - 1)
                for child in crowds:
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                return root, other

            def silent_crowd_of(user):
                ready, told = os.pipe()
                child = os.fork()
                if child == 0:
                    os.setresgid(user, user, user)
                    os.setresuid(user, user, user)
                    held = [stranger.connect(collector.socket) for _ in range(300)]
                    os.write(told, b"x" if held else b"")
                    time.sleep(30)
                    os._exit(0)
                os.read(ready, 1)
                return child
            self.expect("a user's own program is welcomed beside 300 silent connections", as_user(NOBODY, crowd) == stranger.WELCOME)
            welcome = (stranger.WELCOME, stranger.WELCOME)
            said = crowds_and_root(NOBODY)
            self.expect("so are root's and a third user's", said == welcome, said)
            said = crowds_and_root(NOBODY, NOBODY - 2)
            self.expect("also where two users have filled what all of them may have", said == welcome, said)

    def flood(self):
        with self.collector("flood") as collector:
            def act():
                welcomed, began = 0, time.monotonic()
                for _ in range(400):
                    connection = stranger.connect(collector.socket)
                    memfd = stranger.pages(b"flood")
                    stranger.send(connection, stranger.HELLO, memfd)
                    welcomed += stranger.answer(connection) == stranger.WELCOME
                    connection.close()
                    os.close(memfd)
                return 100 <= welcomed <= 130 + 21 * (time.monotonic() - began)
            self.expect("400 new images of one user begin at a bounded rate", as_user(NOBODY, act) == 1)
            self.expect("another program is welcomed after 400 new images of one user",
                        self.hello(collector.socket, b"root", uid=0) == stranger.WELCOME)
        made = len(list(collector.output.glob("flood-*")))
        self.expect("of 400 short images of one program some are kept", 1 <= made <= 40, made)

    def requests(self):
        with self.collector("requests") as collector:
            def act():
                connection = stranger.connect(collector.socket)
                stranger.send(connection, stranger.HELLO, stranger.pages(b"asker"))
                stranger.answer(connection)
                connection.settimeout(5)
                for number in range(300):
                    connection.send(stranger.message(stranger.SNAPSHOT, b"%d" % number))
                time.sleep(1.5)
                return 0
            as_user(0, act)  # whose snapshots are made at once
        made = len(collector.recordings("asker"))
        self.expect("300 requests at once make as many snapshots as are allowed", 15 <= made <= 23, made)

    def adoption(self):
        """A stranger hands over a connection, as a collector that leaves does."""
        with self.collector("adoption") as collector:
            def act():
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                stranger.send(ours, stranger.HELLO, stranger.pages(b"adopted"))
                connection = stranger.connect(collector.socket)
                stranger.send(connection, stranger.ADOPT, theirs.fileno())
                theirs.close()
                return stranger.answer(ours, 1)
            self.expect("root's own collector may hand a connection over", as_user(0, act) == stranger.WELCOME)
            self.expect("a stranger may not", as_user(NOBODY, act) in (0, 255))

    def output_of_strangers(self):
        """Without --output a program may say where: one of the collector's own user."""
        place = self.work / "cwd"
        place.mkdir()
        collector = Collector(self.prefix, self.work, "wishes", cwd=place)
        theirs, roots = self.work / "theirs", self.work / "roots"
        with collector:
            self.hello(collector.socket, b"wisher", output=str(theirs).encode(), hold=0.1)
            self.hello(collector.socket, b"wisher", uid=0, output=str(roots).encode(), hold=0.1)
        self.expect("a stranger's wish for a directory is not believed",
                    not theirs.exists() and list((place / "leakhunt-data").glob("wisher-*")))
        self.expect("the own user's is", bool(list(roots.glob("wisher-*"))))

    def kin_of_a_command(self):
        """The name of any socket stands in /proc/net/unix; only what the command started may enter."""
        with self.collector("kin", "--", "sleep", "30") as collector:
            self.expect("a stranger is not let in by a collector that runs one command",
                        self.hello(collector.socket, b"intruder") != stranger.WELCOME)
            collector.process.send_signal(signal.SIGTERM)
            collector.process.wait(timeout=30)
        self.expect("and leaves no recording", not collector.recordings("intruder"))
        script = self.work / "daemon.py"
        script.write_text(f"""import os, sys, time
sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})
import stranger
if os.fork() == 0:  # its parent ends, it gives up root, and then it says Hello
    time.sleep(0.3)
    os.setresgid({NOBODY}, {NOBODY}, {NOBODY}); os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
    connection = stranger.connect(sys.argv[1])
    stranger.send(connection, stranger.HELLO, stranger.pages(b"kin"))
    open(sys.argv[2], "w").write(str(stranger.answer(connection)))
    time.sleep(0.2)
""")
        answers = self.work / "answers"
        answers.mkdir()
        answers.chmod(0o777)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LEAKHUNT_")}
        subprocess.run([self.prefix / "bin/leakhunt-collect", "--quiet", "--socket", self.work / "kin2.sock", "--output", self.work / "kin2",
                        "--", "sh", "-c", f"/usr/bin/python3 {script} {self.work}/kin2.sock {answers}/kin; sleep 1.5"], env=environment, timeout=60)
        said = (answers / "kin").read_text() if (answers / "kin").exists() else "nothing"
        self.expect("a daemon that gave up root and lost its parent is let in", said == str(stranger.WELCOME), said)

    def guest_trusts_root_and_itself(self):
        """A third user's socket under the name that the program looks for is given nothing."""
        def listen(uid):
            path = self.work / f"trap-{uid}.sock"
            door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            door.bind(str(path))
            path.chmod(0o666)
            os.seteuid(uid)  # a peer is told who listened
            door.listen(8)
            os.seteuid(0)
            environment = {k: v for k, v in os.environ.items() if not k.startswith("LEAKHUNT_")}
            library = next(self.prefix.glob("lib*/**/libleakhunt.so"))
            program = subprocess.Popen([self.program, "--blocks=1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                       env={**environment, "LD_PRELOAD": str(library), "LEAKHUNT_SOCKET": str(path),
                                            "LEAKHUNT_COLLECTOR": "connect"})
            program.wait(timeout=30)
            door.settimeout(2)
            try:
                peer = door.accept()[0]
                peer.settimeout(2)
                return len(peer.recv(4096))
            except OSError:
                return -1
        self.expect("root's program says Hello to root", listen(0) == 128)
        said = listen(NOBODY)
        self.expect("and nothing to another user's socket", said in (0, -1), said)

    def ended_unseen(self):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LEAKHUNT_")}
        library = next(self.prefix.glob("lib*/**/libleakhunt.so"))
        with self.collector("unseen", "--interval", "100ms") as collector:
            program = subprocess.Popen(["sleep", "60"], env={**environment, "LD_PRELOAD": str(library),
                                                             "LEAKHUNT_SOCKET": str(collector.socket), "LEAKHUNT_COLLECTOR": "connect"})
            wait_for(lambda: collector.recordings("sleep"))
            collector.process.kill()
            collector.process.wait()
        program.kill()
        program.wait()

        def end():
            said = subprocess.run([self.prefix / "bin/leakhunt-report", "processes", self.work / "unseen", "--format", "json"],
                                  capture_output=True, text=True).stdout
            return '"lost"' in said
        self.expect("without a collector its recording cannot know the end", collector.recordings("sleep") and not end())
        collector.socket.unlink()
        with self.collector("unseen"):
            self.expect("the next collector says that the process is lost", wait_for(end))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prefix", required=True, type=pathlib.Path)
    parser.add_argument("--program", required=True, type=pathlib.Path)
    options = parser.parse_args()
    if os.getuid() != 0:
        print("root is needed to act as other users")
        return 77
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        cases = Cases(options, pathlib.Path(directory))
        for case in (cases.silent_crowd, cases.flood, cases.requests, cases.adoption, cases.output_of_strangers,
                     cases.kin_of_a_command, cases.guest_trusts_root_and_itself, cases.ended_unseen):
            case()
    return 1 if cases.failures else 0


if __name__ == "__main__":
    sys.exit(main())
