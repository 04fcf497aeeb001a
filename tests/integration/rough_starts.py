#!/usr/bin/env python3
"""Programs that start their own collector, from places and with descriptors that make it hard: they are recorded where they
were started, or one line says why nothing can be written.

usage: rough_starts.py PREFIX PROGRAMS_DIR
"""
import glob
import itertools
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

NOBODY = 65534
PATIENCE_S = 20


class Room:
    """A directory of one case: its collectors are known by their socket, and are gone when the case is."""

    def __init__(self, parent, name, socket=None):
        self.path = pathlib.Path(parent) / name
        self.path.mkdir()
        os.chmod(self.path, 0o1777)  # one case runs as another user
        self.socket = pathlib.Path(socket or self.path / "socket")

    def environment(self, library, **settings):
        plain = {k: v for k, v in os.environ.items() if not k.startswith("LEAKHUNT_") and k != "LD_PRELOAD"}
        return {**plain, "LD_PRELOAD": library, "LEAKHUNT_SOCKET": str(self.socket), "LEAKHUNT_SAMPLE_BYTES": "1", **settings}

    def collectors(self):
        wanted = f"LEAKHUNT_SOCKET={self.socket}".encode()
        for directory in glob.glob("/proc/[0-9]*"):
            try:
                if pathlib.Path(directory, "comm").read_text().startswith("leakhunt-coll") and \
                        wanted in pathlib.Path(directory, "environ").read_bytes().split(b"\0"):
                    yield int(directory[6:])
            except OSError:
                pass

    def clear(self):
        while collectors := list(self.collectors()):
            for pid in collectors:
                os.kill(pid, signal.SIGTERM)
            time.sleep(0.02)


class Test:
    def __init__(self, prefix, programs, work):
        self.prefix, self.programs, self.work = pathlib.Path(prefix).resolve(), pathlib.Path(programs).resolve() / "situations", work
        self.library = str(next(self.prefix.glob("lib*/libleakhunt.so")))
        self.failures = 0

    def expect(self, what, good, detail=""):
        print(f"{'ok  ' if good else 'FAIL'}  {what}{'' if good else f': {detail}'}")
        self.failures += not good

    def live_blocks(self, output):
        """Of the newest recording in `output`, once there is a whole one; None when none comes."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if glob.glob(f"{output}/*/*.lhs"):
                done = subprocess.run([self.prefix / "bin/leakhunt-report", "top-sites", output, "--format", "json"],
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
                totals = json.loads(done.stdout)["totals"] if done.returncode == 0 else {}
                if totals.get("live_count", {}).get("value", 0) >= 100:
                    return totals["live_count"]["value"]
            time.sleep(0.05)
        return None

    def closed_descriptors(self, serving):
        for closed in (c for n in range(4) for c in itertools.combinations((0, 1, 2), n)):
            name = "closed-" + "".join(map(str, closed)) + ("-served" if serving else "")
            room = Room(self.work, name)
            closing = " ".join(f"{fd}>&-" for fd in closed)
            command = ["sh", "-c", f'LD_PRELOAD=$2 exec "$0" "$1" {closing}', self.programs / "situation_low_descriptors"]
            alone = subprocess.run([*command, room.path / "alone", ""], cwd=room.path, check=False, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            collector = None
            if serving:
                collector = subprocess.Popen([self.prefix / "bin/leakhunt-collect", "--quiet", "--output", room.path / "leakhunt-data",
                                              "--socket", room.socket])
                while not room.socket.exists():
                    time.sleep(0.01)
            under = subprocess.run([*command, room.path / "under", self.library], cwd=room.path, check=False, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**room.environment(self.library), "LD_PRELOAD": ""})
            same = (alone.returncode, alone.stdout, alone.stderr, (room.path / "alone").read_text()) == \
                   (under.returncode, under.stdout, under.stderr, (room.path / "under").read_text())
            self.expect(f"{name}: answers and numbers as alone", same, (alone, under))
            self.expect(f"{name}: recorded", self.live_blocks(room.path / "leakhunt-data") is not None)
            room.clear()
            if collector:
                collector.terminate()
                collector.wait()

    def few_descriptors(self):
        """Ours are the last ones where there are few: the program's numbers are those it has alone."""
        for number in (10, 12, 31):
            room = Room(self.work, f"descriptors-{number}")
            said = []
            for environment in ({}, room.environment(self.library)):
                file = room.path / f"numbers{len(said)}"
                done = subprocess.run([self.programs / "situation_low_descriptors", file], cwd=room.path, check=False,
                                      env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.PIPE, close_fds=True,
                                      preexec_fn=lambda n=number: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n)))
                said.append((done.returncode, done.stderr, file.read_text() if file.exists() else None))
            self.expect(f"{number} descriptors in all: numbers as alone", said[0] == said[1] and said[0][0] == 0, said)
            room.clear()

    def tiny(self, name, where="leakhunt-data", way="stay", user=None, lines=0, said="", live="0", room=None, **settings):
        """A program of a millisecond, started in the room: recorded at `where` in it (None: nowhere)."""
        room = room or Room(self.work, name.replace(" ", "-"))
        elsewhere = room.path / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        # The library is for the program alone: setpriv would start a collector of root's.
        preload = ["env", f"LD_PRELOAD={self.library}"]
        start = ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups", *preload] if user else preload
        done = subprocess.run([*start, self.programs / "situation_goes_away", way, elsewhere, live], cwd=room.path, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**room.environment(self.library, **settings), "LD_PRELOAD": ""})
        said_lines = done.stderr.decode().splitlines()
        self.expect(f"{name}: the status is the program's", (done.returncode, done.stdout) == (7, b""), done)
        self.expect(f"{name}: {lines} lines", len(said_lines) == lines and all(said in line for line in said_lines), said_lines)
        if where:
            self.expect(f"{name}: recorded in the directory it was started in", self.live_blocks(room.path / where) is not None)
        return room

    def places(self):
        self.tiny("the working directory").clear()
        self.tiny("a directory it leaves", way="chdir").clear()
        self.tiny("a relative output", where="there/deep", LEAKHUNT_OUTPUT="there/deep").clear()
        self.tiny("a relative output and a directory it leaves", where="there", way="chdir", LEAKHUNT_OUTPUT="there").clear()
        if os.geteuid() == 0:
            self.tiny("a root it leaves", way="chroot").clear()
            self.tiny("a root it leaves, and it lives on", way="chroot", live="900000").clear()
            self.started_in_another_root()
            self.tiny("without root", user=NOBODY).clear()
            self.tiny("without root and a relative output", where="there", user=NOBODY, LEAKHUNT_OUTPUT="there").clear()
            closed = Room(self.work, "unwritable", f"{self.work}/socket-of-nobody")
            os.chmod(closed.path, 0o755)
            (closed.path / "data").mkdir(mode=0o755)
            self.tiny("a directory without the right to write", where=None, user=NOBODY, lines=1, room=closed,
                      said="permission denied")
            self.tiny("an output without the right to write", where=None, user=NOBODY, lines=1, room=closed,
                      said=f"{closed.path}/data", LEAKHUNT_OUTPUT=str(closed.path / "data"))
            closed.clear()
        self.tiny("an output below a file", where=None, lines=1, said="not a directory",
                  LEAKHUNT_OUTPUT="/dev/null/x").clear()
        gone = Room(self.work, "gone")
        # The shell makes its directory go away below itself.
        done = subprocess.run(["sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && LD_PRELOAD=$1 exec "$0" stay .',
                               self.programs / "situation_goes_away", self.library], cwd=gone.path, check=False, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**gone.environment(self.library), "LD_PRELOAD": ""})
        lines = {line for line in done.stderr.decode().splitlines() if line.startswith("leakhunt")}
        self.expect("a directory that was removed: status", done.returncode == 7, done)
        self.expect("a directory that was removed: one line", len(lines) == 1 and "leakhunt-data" in lines.pop(), done.stderr)
        gone.clear()
        self.tiny("connect without a collector", where=None, lines=1, said="no collector", LEAKHUNT_COLLECTOR="connect")

    def started_in_another_root(self):
        """A collector outside serves programs of a root of their own: what they call a directory has another name here."""
        room = Room(self.work, "outside")
        jail = room.path / "jail"
        (jail / "work").mkdir(parents=True)
        needed = subprocess.run(["ldd", self.programs / "situation_goes_away"], stdout=subprocess.PIPE, text=True, check=True).stdout
        for file in [self.library, str(self.programs / "situation_goes_away"), *re.findall(r"(/\S+) \(", needed)]:
            (jail / file[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, jail / file[1:])
        collector = subprocess.Popen([self.prefix / "bin/leakhunt-collect", "--quiet", "--socket", jail / "socket"], cwd=room.path)
        while not (jail / "socket").exists():
            time.sleep(0.01)
        def enter():
            os.chroot(jail)
            os.chdir("/work")
        done = subprocess.run([self.programs / "situation_goes_away", "stay", ".", "900000"], check=False, preexec_fn=enter,
                              env={"LD_PRELOAD": self.library, "LEAKHUNT_SOCKET": "/socket", "LEAKHUNT_OUTPUT": "there",
                                   "LEAKHUNT_SAMPLE_BYTES": "1"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.expect("started in another root: status", (done.returncode, done.stderr) == (7, b""), done)
        self.expect("started in another root: recorded there", self.live_blocks(jail / "work/there") is not None)
        collector.terminate()
        collector.wait()

    def told_by_a_collector(self):
        """A second program meets the collector of the first, and wants an output that cannot be."""
        room = Room(self.work, "shared")
        first = subprocess.Popen(["sleep", "60"], cwd=room.path, env=room.environment(self.library))
        end = time.monotonic() + PATIENCE_S
        while not room.socket.exists() and time.monotonic() < end:
            time.sleep(0.01)
        done = subprocess.run(["true"], cwd=room.path, check=False, stderr=subprocess.PIPE,
                              env=room.environment(self.library, LEAKHUNT_OUTPUT="/dev/null/x"))
        self.expect("an output that cannot be, and another program's collector: one line",
                    done.stderr.count(b"\n") == 1 and b"/dev/null/x" in done.stderr, done.stderr)
        first.kill()
        first.wait()
        room.clear()


def main():
    prefix, programs = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o1777)
        test = Test(prefix, programs, work)
        test.closed_descriptors(serving=False)
        test.closed_descriptors(serving=True)
        test.few_descriptors()
        test.places()
        test.told_by_a_collector()
    return 1 if test.failures else 0


if __name__ == "__main__":
    sys.exit(main())
