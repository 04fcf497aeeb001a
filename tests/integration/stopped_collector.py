#!/usr/bin/env python3
"""A collector that is stopped, killed and started again under full allocation load: the program goes on, and the live
set is exact afterwards.

    stopped_collector.py --bin DIR --programs DIR --work DIR [--seconds 3]

SIGSTOP for --seconds while 50,000 blocks are made and all but 1,000 freed, then SIGCONT: exactly 1,000 blocks live. Then
kill -9, 2,000 more made and freed with nobody there, and a new collector: the same 1,000 blocks, born when they were
born, in the same recording, with the gap marked.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time


class Program:
    def __init__(self, options, socket):
        env = {**os.environ, "LD_PRELOAD": str(options.bin.parent / "lib/libleakhunt.so"), "LEAKHUNT_SOCKET": str(socket),
               "LEAKHUNT_COLLECTOR": "connect", "LEAKHUNT_SAMPLE_BYTES": "1"}
        self.process = subprocess.Popen([options.programs / "request_latency", "4"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True)

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def run(self, milliseconds):
        self.tell(f"run {milliseconds}")
        return [int(part) for part in self.process.stdout.readline().split()]


def collect(options, socket, data):
    collector = subprocess.Popen([options.bin / "leakhunt-collect", "--quiet", "--interval", "500ms", "--socket", socket,
                                  "--output", data])
    deadline = time.monotonic() + 10
    while not socket.exists():
        assert time.monotonic() < deadline, "the collector does not listen"
        time.sleep(0.02)
    return collector


def snapshots(data):
    return sorted(data.glob("*/*.lhs"))


def snapshot_now(collector, data):
    known = set(snapshots(data))
    collector.send_signal(signal.SIGUSR1)
    deadline = time.monotonic() + 20
    while not [path for path in set(snapshots(data)) - known if path.stat().st_size > 0]:
        assert time.monotonic() < deadline, "no snapshot on request"
        time.sleep(0.05)
    time.sleep(0.3)


def held(options, data):
    shown = subprocess.run([options.bin / "leakhunt-report", "top-sites", data, "--snapshot", "end", "--format", "json", "--limit", "0"],
                           stdout=subprocess.PIPE, check=True, timeout=60)
    answer = json.loads(shown.stdout)
    sites = [site for site in answer["sites"] if any(frame["function"] == "Hold" for frame in site["stack"])]
    return (sum(site["live_count"]["value"] for site in sites), sum(site["total_count"]["value"] for site in sites),
            max((site["oldest_age_s"] for site in sites), default=0), answer)


def main():
    parser = argparse.ArgumentParser()
    for name in ("--bin", "--programs", "--work"):
        parser.add_argument(name, type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True, mode=0o700)
    socket, data = options.work / "socket", options.work / "data"
    collector = collect(options, socket, data)
    program = Program(options, socket)
    program.tell("hold 1000")
    program.run(1000)

    collector.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    requests = 0
    while time.monotonic() - began < options.seconds:
        program.tell("hold 50000")
        program.tell("drop")
        requests += program.run(300)[0]
    assert requests > 0, "no request was answered while the collector was stopped"
    collector.send_signal(signal.SIGCONT)
    program.run(500)
    snapshot_now(collector, data)
    live, total, _, answer = held(options, data)
    rounds = (total - 1000) / 50000
    assert live == 1000 and rounds == int(rounds) >= 1, f"{live} blocks live, {total} made"
    assert answer["losses"]["records"] == 0, answer["losses"]
    print(f"stopped for {options.seconds:g} s: {requests} requests, {int(total)} blocks made there, 1,000 live: exact")

    collector.kill()
    collector.wait()
    socket.unlink(missing_ok=True)
    program.tell("hold 2000")
    program.tell("drop")
    assert program.run(2000)[0] > 0
    collector = collect(options, socket, data)
    deadline = time.monotonic() + 2 + 3  # reconnects within two seconds of activity; then a snapshot has to be made
    recordings = {path.parent for path in snapshots(data)}
    known = len(snapshots(data))
    while len(snapshots(data)) == known:
        program.run(100)
        assert time.monotonic() < deadline, "the program did not come back"
    snapshot_now(collector, data)
    live, total_after, age, answer = held(options, data)
    assert live == 1000 and total_after == total + 2000, (live, total, total_after)
    assert age > options.seconds + 3, f"born {age} s ago: births were not kept"
    assert {path.parent for path in snapshots(data)} == recordings, "another directory was begun"
    assert len(answer["losses"]["gaps"]) == 1, answer["losses"]
    print(f"killed and started again: 1,000 live, the oldest {age:.1f} s old, {int(total_after)} made in all, one gap marked")

    program.process.stdin.close()
    assert program.process.wait(20) == 0
    assert program.process.stderr.read() == ""
    collector.terminate()
    assert collector.wait(20) == 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
