#!/usr/bin/env python3
"""Commands that leave a process behind, and daemons that close everything and move to another root.

usage: daemons.py PREFIX PROGRAMS_DIR
"""
import glob
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

PATIENCE_S = 20


class Test:
    def __init__(self, prefix, programs, work):
        self.bin = pathlib.Path(prefix).resolve() / "bin"
        self.library = next(pathlib.Path(prefix).resolve().glob("lib*/libleakhunt.so"))
        self.daemon = pathlib.Path(programs).resolve() / "situations/situation_becomes_daemon"
        self.work = pathlib.Path(work)
        self.failures = 0

    def expect(self, what, good, detail=""):
        print(f"{'ok  ' if good else 'FAIL'}  {what}{'' if good else f': {detail}'}")
        self.failures += not good

    def room(self, name):
        room = self.work / name
        (room / "jail").mkdir(parents=True)
        return room

    def kept_by_the_daemon(self, data):
        """Of 100 blocks, in the recording of a forked process; the longest-lived one's last snapshot."""
        most = 0
        for recording in glob.glob(f"{data}/situation_becom*"):
            done = subprocess.run([self.bin / "leakhunt-report", "top-sites", recording, "--format", "json"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
            if done.returncode == 0:
                most = max(most, sum(site["live_count"]["value"] for site in json.loads(done.stdout)["sites"]
                                     if site["live_bytes"]["value"] == 12345 * site["live_count"]["value"]))
        return most

    def command(self, name, options, way=(), said=0, recorded=True, least=0.0, most=60.0, tenths=10):
        room = self.room(name.replace(" ", "-"))
        began = time.monotonic()
        done = subprocess.run([self.bin / "leakhunt-collect", "--sample-bytes", "1", "--output", room / "data", *options, "--",
                               self.daemon, *(way or ("stay",))[:1], str(tenths), *way[1:]], cwd=room, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        took = time.monotonic() - began
        lines = done.stderr.decode().splitlines()
        self.expect(f"{name}: the status is the command's", done.returncode == 9, done)
        self.expect(f"{name}: {said} lines", len(lines) == said and all("unrecorded" in line and "situation_becom" in line for line in lines),
                    lines)
        self.expect(f"{name}: leaves in time", least <= took <= most, took)
        if recorded:
            self.expect(f"{name}: all that the daemon holds is recorded", self.kept_by_the_daemon(room / "data") == 100)

    def stopped(self):
        """A stop ends the waiting, not the daemon."""
        room = self.room("stopped")
        collector = subprocess.Popen([self.bin / "leakhunt-collect", "--wait", "all", "--output", room / "data", "--",
                                      self.daemon, "stay", "100"], cwd=room)
        end = time.monotonic() + PATIENCE_S
        while not glob.glob(f"{room}/data/*/*.lhs") and time.monotonic() < end:
            time.sleep(0.05)
        collector.send_signal(signal.SIGTERM)
        self.expect("a stop while it waits: leaves with the command's status", collector.wait(PATIENCE_S) == 9)
        left = subprocess.run(["pgrep", "-f", f"^{self.daemon} stay 100$"], stdout=subprocess.PIPE, check=False).stdout.split()
        self.expect("the daemon runs on", len(left) == 1, left)
        for pid in left:
            os.kill(int(pid), signal.SIGKILL)

    def served(self, way):
        room = self.room(f"served-{way}")
        collector = subprocess.Popen([self.bin / "leakhunt-collect", "--quiet", "--socket", room / "socket", "--output", room / "data",
                                      "--sample-bytes", "1"])
        end = time.monotonic() + PATIENCE_S
        while not (room / "socket").exists() and time.monotonic() < end:
            time.sleep(0.02)
        subprocess.run([self.daemon, way, "3", room / "jail"], cwd=room, check=False,
                       env={**os.environ, "LD_PRELOAD": str(self.library), "LEAKHUNT_SOCKET": str(room / "socket")})
        while self.kept_by_the_daemon(room / "data") != 100 and time.monotonic() < end:
            time.sleep(0.1)
        self.expect(f"a daemon that closes all and moves to another root ({way}): recorded by a serving collector",
                    self.kept_by_the_daemon(room / "data") == 100, glob.glob(f"{room}/data/*"))
        collector.terminate()
        collector.wait()


def main():
    for name in [name for name in os.environ if name.startswith("LEAKHUNT_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory() as work:
        test = Test(*sys.argv[1:3], work)
        test.command("wait for all", ["--wait", "all"], least=1.0)
        test.command("wait for the command", ["--wait", "command"], said=1, most=5.0, tenths=60, recorded=False)
        test.command("the default", [], said=1, most=5.0, tenths=60, recorded=False)
        test.command("a daemon that ends at once", [], tenths=0, recorded=False)
        test.command("without children", ["--children", "ignore"], recorded=False, most=5.0, tenths=60)
        test.stopped()
        if os.geteuid() == 0:
            for way in ("chroot", "raw"):
                test.command(f"another root by {way}", ["--wait", "all"], way=(way, test.work))
                test.served(way)
    return 1 if test.failures else 0


if __name__ == "__main__":
    sys.exit(main())
